import { defineConfig } from "vitest/config";

// One stack and one browser for all: files run one after the other.
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 90_000,
  },
});
