/** The examples of the documentation, as they stand there: each shows the temperature of a GPU. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "./support/browser";
import { until } from "./support/process";
import { type Project, project, ROOT } from "./support/project";
import { BIN, connections, type Gateway, Stack } from "./support/stack";

const DEFAULT = "http://127.0.0.1:8080";

const stack = new Stack();
let browser: Browser | undefined;
let prometheus = "";
let gateway: Gateway;
let installed: Project;

beforeAll(async () => {
  prometheus = (await stack.prometheus({ gpus: await stack.exporter() })).url;
  gateway = await stack.gateway(["--prometheus-url", prometheus]);
  browser = await launch();
  installed = await project(stack.folder);
});

afterAll(async () => {
  await browser?.close();
  await installed?.stop();
  await stack.stop();
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

test("Go", async () => {
  const file = await installed.script("main.go", at(gateway.url, await code("Go")));
  const binary = join(stack.folder, "go-example");
  await stack.start("go build", "go", ["build", "-o", binary, file]).done();
  const program = stack.start("go", binary, []);
  expect(Number(await program.says(/^\d{13} GPU \d (\d+(?:\.\d+)?) °C$/m))).toBeGreaterThan(10);
});

test("the client in Node.js", async () => {
  const file = await installed.script("client.js", at(gateway.url, await code("The client")));
  const program = stack.start("node", process.execPath, [file]);
  expect(Number(await program.says(/^\d \[ \[ \d{13}, (\d+(?:\.\d+)?) \] \]$/m))).toBeGreaterThan(10);
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
  ["the client in a page", () => code("The client")],
  ["the lines of the client's own README", () => firstBlock("web/client/README.md")],
] as const) {
  test(name, async () => {
    const { url } = await gatewayWith({ "main.js": await script() });
    const tab = await (browser as Browser).newPage();
    const logged = listen(tab);
    await tab.goto(url);
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
  const { url } = await gatewayWith({ "main.jsx": await code("React") });
  const tab = await (browser as Browser).newPage();
  await tab.goto(url);
  await until(
    "a list",
    30,
    () => tab.locator("li").allTextContents(),
    (lines) => /^GPU \d: \d+/.test(lines[0] ?? ""),
  );
  await tab.close();
});

test("ten lines of the README are a live chart in an empty page of Vite", async () => {
  const lines = await firstBlock("README.md");
  expect(lines.trim().split("\n")).toHaveLength(10);
  const folder = await installed.page({ "src/main.js": "" });
  const origin = await installed.served(folder);
  const { url } = await stack.gateway(["--prometheus-url", prometheus, "--http-allowed-origins", origin]);
  await installed.script(join(folder, "src/main.js"), at(url, lines));
  const tab = await (browser as Browser).newPage();
  const logged = listen(tab);
  await tab.goto(origin);
  const drawn = () => tab.evaluate(() => document.querySelector("canvas")?.toDataURL() ?? "").catch(() => "");
  const inked = () => tab.evaluate(inkOf, [0, 128, 128] as const).catch(() => 0);
  await until("a line", 30, inked, (pixels) => pixels > 20);
  const before = await drawn();
  await until("more of it", 20, drawn, (picture) => picture !== before);
  expect(logged().filter((line) => !line.includes("[vite]"))).toEqual([]);
  await tab.close();
});

test("tabs on the shared worker of the client's README have one connection, also more of them than HTTP/1.1 allows", async () => {
  const [worker, page] = await blocks("web/client/README.md", "One connection for all tabs");
  const lines = await firstBlock("web/client/README.md");
  const subscribe = `import { samples } from "@promcast/client";\n${lines.slice(lines.indexOf("const draw"))}`;
  const { url } = await gatewayWith({ "main.js": page + subscribe, "streams.js": worker ?? "" });
  const context = await (browser as Browser).newContext();
  const tabs = await Promise.all(Array.from({ length: 8 }, () => context.newPage()));
  const logs = tabs.map(listen);
  await Promise.all(tabs.map((tab) => tab.goto(url)));
  for (const logged of logs) {
    await until(
      "an update",
      30,
      async () => logged(),
      (lines) => lines.some((line) => /^0 /.test(line)),
    );
  }
  expect(await connections(url)).toHaveLength(1);
  await context.close();
  await until(
    "no connection",
    20,
    () => connections(url),
    (left) => left.length === 0,
  );
});

/** How many pixels of a canvas have this colour. Read from a copy: Chromium warns of a canvas that is read often. */
function inkOf([red, green, blue]: readonly [number, number, number]): number {
  const canvas = document.querySelector("canvas");
  if (!canvas?.width || !canvas.height) return 0;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy?.drawImage(canvas, 0, 0);
  const { data } = copy?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] === red && data[i + 1] === green && data[i + 2] === blue) count += 1;
  }
  return count;
}

/** The JavaScript of a page, or of one of its sections. */
async function blocks(page: string, heading?: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, page), "utf8");
  const part = heading === undefined ? text : (text.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "");
  return [...part.matchAll(/```js\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
}

async function firstBlock(page: string): Promise<string> {
  return (await blocks(page))[0] ?? "";
}

function listen(page: Page): () => readonly string[] {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  return () => lines;
}

/** A gateway that serves a page with these scripts, as Vite builds it. */
async function gatewayWith(scripts: Readonly<Record<string, string>>): Promise<Gateway> {
  // The page knows its gateway by its own address.
  const own = Object.entries(scripts).map(([name, text]) => [name, text.replace(`"${DEFAULT}"`, "location.origin")]);
  const folder = await installed.built(Object.fromEntries(own));
  return await stack.gateway(["--prometheus-url", prometheus, "--http-pages", folder]);
}
