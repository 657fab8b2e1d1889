/** The examples of the documentation, as they stand there: each shows the temperature of a GPU. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "./support/browser";
import { until } from "./support/process";
import { BIN, type Gateway, Stack } from "./support/stack";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DEFAULT = "http://127.0.0.1:8080";

const stack = new Stack();
let browser: Browser | undefined;
let prometheus = "";
let gateway: Gateway;
const folders: string[] = [];

beforeAll(async () => {
  prometheus = (await stack.prometheus({ gpus: await stack.exporter() })).url;
  gateway = await stack.gateway(["--prometheus-url", prometheus]);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await stack.stop();
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** The code under a heading, as it stands in the page. */
async function code(heading: string): Promise<string> {
  const text = await readFile(join(ROOT, "docs/examples.md"), "utf8");
  const block = text.split(`## ${heading}\n`)[1]?.match(/```\w+\n([\s\S]*?)```/)?.[1];
  if (block === undefined) throw new Error(`there is no code under ${heading}`);
  return block;
}

function at(url: string, text: string): string {
  expect(text).toContain(DEFAULT);
  return text.replaceAll(DEFAULT, url);
}

test("curl", async () => {
  const program = stack.start("curl", "bash", ["-c", at(gateway.url, await code("curl"))]);
  expect(await program.says(/event: metric-update\ndata: .*"value":\[[\d.]+,("\d+(?:\.\d+)?")\]/)).toBeTruthy();
});

test("Python", async () => {
  const program = stack.start("python", join(ROOT, ".build/venv/bin/python"), [
    "-c",
    at(gateway.url, await code("Python")),
  ]);
  expect(Number(await program.says(/^\d{13} \d (\d+(?:\.\d+)?)$/m))).toBeGreaterThan(10);
});

test("Rust", async () => {
  const file = await readFile(join(ROOT, "tests/examples/stream.rs"), "utf8");
  expect(await code("Rust"), "without what this project's lints want").toBe(file.replace(/^#!\[expect.*\n/m, ""));
  const program = stack.start("rust", join(BIN, "examples/stream"), [gateway.url]);
  expect(Number(await program.says(/^\d{13} GPU "\d" "(\d+(?:\.\d+)?)" °C$/m))).toBeGreaterThan(10);
});

test("a browser's own EventSource", async () => {
  const page = await (browser as Browser).newPage();
  const logged = listen(page);
  await page.goto(gateway.url);
  await page.evaluate(at(gateway.url, await code("A browser's own EventSource")));
  await until(
    "a temperature",
    30,
    async () => logged(),
    (lines) => lines.some((line) => /^\d{13} \d \d+/.test(line)),
  );
  await page.close();
});

for (const [name, script] of [
  ["the client in an empty page of Vite", () => code("The client")],
  ["the lines of the client's own README", () => firstBlock("web/client/README.md")],
] as const) {
  test(name, async () => {
    const served = await vitePage("main.js", await script());
    const tab = await (browser as Browser).newPage();
    const logged = listen(tab);
    await tab.goto(served.url);
    await until(
      "history and an update",
      30,
      async () => logged(),
      (lines) => lines.filter((line) => /^0 /.test(line)).length >= 2,
    );
    await tab.close();
  });
}

test("React", async () => {
  const served = await vitePage("main.jsx", await code("React"));
  const tab = await (browser as Browser).newPage();
  await tab.goto(served.url);
  await until(
    "a list",
    30,
    () => tab.locator("li").allTextContents(),
    (lines) => /^GPU \d: \d+/.test(lines[0] ?? ""),
  );
  await tab.close();
});

async function firstBlock(page: string): Promise<string> {
  const text = await readFile(join(ROOT, page), "utf8");
  return text.match(/```js\n([\s\S]*?)```/)?.[1] ?? "";
}

function listen(page: Page): () => readonly string[] {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  return () => lines;
}

/** An otherwise empty page with this script, built by Vite and served by a gateway of its own origin. */
async function vitePage(name: string, script: string): Promise<Gateway> {
  // Beside the client, so that it and React are found as in a project that has installed them.
  const folder = await mkdtemp(join(ROOT, "web/client/.example-"));
  folders.push(folder);
  await writeFile(join(folder, "index.html"), `<div id="root"></div><script type="module" src="/${name}"></script>`);
  // The page knows its gateway by its own address.
  await writeFile(join(folder, name), script.replace(`"${DEFAULT}"`, "location.origin"));
  await build({ root: folder, configFile: false, logLevel: "error" });
  return await stack.gateway(["--prometheus-url", prometheus, "--http-pages", join(folder, "dist")]);
}
