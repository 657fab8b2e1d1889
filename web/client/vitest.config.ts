import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["test/**/*.test.{ts,tsx}"], testTimeout: 10_000, typecheck: { enabled: false } },
});
