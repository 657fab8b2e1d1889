/** The build: hashed files under /assets, and nothing inline, so that the page runs under a strict policy. */

import { defineConfig } from "vite";

const gateway = process.env.PROMCAST_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: true },
  server: { proxy: { "/api": gateway } },
  preview: { proxy: { "/api": gateway } },
});
