// The size of what a page loads: `import { Client }`, minified, with its dependencies, gzipped. Fails above the bound.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const BOUND = 10 * 1024;
const contents = 'export { Client } from "./src/index.ts";';
const { outputFiles } = await build({
  stdin: { contents, resolveDir: new URL("..", import.meta.url).pathname, loader: "ts" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const code = outputFiles[0].contents;
const size = gzipSync(code, { level: 9 }).length;
console.log(`core: ${size} bytes gzipped (${code.length} minified), of at most ${BOUND}`);
if (size > BOUND) process.exit(1);
