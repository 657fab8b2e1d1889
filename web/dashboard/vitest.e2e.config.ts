import { defineConfig } from "vitest/config";

// One stack and one browser for all: files run one after the other. Each wait of a test has its own bound and says what did
// not come; the timeouts here are for what hangs without one.
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
