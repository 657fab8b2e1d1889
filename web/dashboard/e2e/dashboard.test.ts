/** The dashboard in a browser, on one gateway, a real Prometheus and simulated GPUs. */

import axe from "axe-core";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { badge, launch, line, open } from "./support/browser";
import { type Program, until } from "./support/process";
import { connections, type Gateway, Stack } from "./support/stack";

const stack = new Stack();
let [browser, gateway]: [Browser?, Gateway?] = [];
let prometheus: { url: string; program: Program };
let exporter: string;

beforeAll(async () => {
  exporter = await stack.exporter("--profile", "xid");
  prometheus = await stack.prometheus({ gpus: exporter });
  gateway = await stack.gateway(["--prometheus-url", prometheus.url]);
  browser = await launch();
});

// A test that fails leaves its page open, and the next ones would count its connection.
afterEach(async () => {
  await Promise.all((browser?.contexts() ?? []).map((context) => context.close()));
});

afterAll(async () => {
  await browser?.close();
  await stack.stop();
});

const visit = (fragment = "", options = {}) => open(browser as Browser, `${gateway?.url}/${fragment}`, options);

test("the page shows the fleet, and its data move", async () => {
  const { page, faults } = await visit();
  await badge(page, "Live");
  await until(
    "eight GPUs",
    20,
    () => page.locator(".picks .pick").count(),
    (count) => count === 8,
  );
  const first = await until(
    "a line",
    10,
    () => line(page, "GPU utilisation"),
    ({ ticks }) => ticks > 0,
  );
  const later = await until(
    "a newer tick",
    20,
    () => line(page, "GPU utilisation"),
    ({ newest }) => newest > first.newest,
  );
  expect(later.missing).toBe(0);
  expect(await page.locator(".tile .digits").first().innerText()).toBe("8");
  expect(await page.locator("table.gpus tbody tr").count()).toBe(8);
  // Each query has ticks of its own; one whose first tick was before the first scrape has nothing until its next.
  await until(
    "the power",
    10,
    () => page.locator(".tile", { hasText: "Power" }).innerText(),
    (text) => /\d+(\.\d+)?\s*k?W/.test(text),
  );
  expect(faults).toEqual([]);
  await page.close();
});

test("filters narrow all pictures, and are kept in the address", async () => {
  const { page } = await visit();
  await until(
    "eight rows",
    20,
    () => page.locator("table.gpus tbody tr").count(),
    (count) => count === 8,
  );
  await page.getByLabel("Namespace").selectOption("team-vision");
  const rows = page.locator("table.gpus tbody tr");
  await until(
    "fewer rows",
    5,
    () => rows.count(),
    (count) => count > 0 && count < 8,
  );
  for (const text of await rows.locator(".workload").allInnerTexts()) expect(text).toMatch(/^team-vision\//);
  expect(page.url()).toContain("namespace=team-vision");
  await page.reload();
  await until(
    "the same rows",
    20,
    () => rows.count(),
    (count) => count > 0 && count < 8,
  );
  await page.getByRole("button", { name: "Show all" }).click();
  await until(
    "all rows",
    5,
    () => rows.count(),
    (count) => count === 8,
  );
  await page.close();
});

test("all panels share one connection, also with as many as there is room for", async () => {
  const queries = Array.from(
    { length: 20 },
    (_, i) => `panel=line,5,${encodeURIComponent(`avg(DCGM_FI_DEV_GPU_UTIL) + ${i}`)}`,
  );
  const { page, faults } = await visit(`#${queries.join("&")}`);
  await badge(page, "Live");
  const found = await until(
    "one connection with all",
    20,
    () => connections(gateway?.url ?? ""),
    ([one]) => one?.subscriptions.length === 32,
  );
  expect(found).toHaveLength(1);
  expect(await page.locator("section.panel").count()).toBeGreaterThanOrEqual(32);
  expect(faults).toEqual([]);
  await page.close();
  await until(
    "no connection",
    20,
    () => connections(gateway?.url ?? ""),
    (left) => left.length === 0,
  );
});

test("a panel of one's own goes into the address, and comes back from it", async () => {
  const { page, faults } = await visit();
  const query = 'sum(DCGM_FI_DEV_POWER_USAGE{gpu=~"0|1"}) # & + %';
  await page.getByLabel("PromQL query").fill(query);
  await page.getByLabel("Picture").selectOption("number");
  await page.getByRole("button", { name: "Add panel" }).click();
  const { page: other } = await visit(new URL(page.url()).hash);
  const panel = other.locator("section.panel", { has: other.getByRole("heading", { name: query, exact: true }) });
  await until(
    "a number",
    20,
    () => panel.locator(".number b").allInnerTexts(),
    ([text]) => /\d/.test(text ?? ""),
  );
  await panel.getByRole("button", { name: `Remove ${query}` }).click();
  expect(new URL(other.url()).hash).toBe("");
  expect(faults).toEqual([]);
  await other.close();
  await page.close();
});

test("a query that cannot be is told on its panel, and harms no other", async () => {
  const { page } = await visit("#panel=line,5,sum(");
  const panel = page.locator("section.panel", { has: page.getByRole("heading", { name: "sum(", exact: true }) });
  await until(
    "the error",
    20,
    () => panel.innerText(),
    (text) => /quer|parse|PromQL/i.test(text.replace("sum(", "")),
  );
  expect(await panel.getAttribute("data-state")).toBe("error");
  await until(
    "the others live",
    20,
    () => line(page, "Power"),
    ({ ticks }) => ticks > 0,
  );
  await page.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`a picture has a table, and the ${colorScheme} page no serious fault of accessibility`, async () => {
    const { page } = await visit("#panel=table,5,up&panel=heatmap,5,DCGM_FI_DEV_FB_USED", { colorScheme });
    await badge(page, "Live");
    await until(
      "rows",
      20,
      () => page.locator("table.gpus tbody tr").count(),
      (count) => count === 8,
    );
    await page.getByRole("button", { name: "GPU temperature as a table" }).click();
    expect(await page.locator(".alternative table tbody tr").count()).toBe(8);
    // The page's policy lets no script in; the debugger may.
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const page = globalThis as unknown as { axe: typeof axe };
      return (await page.axe.run()).violations.map(({ id, impact, nodes }) => ({
        id,
        impact,
        nodes: nodes.map(({ html }) => html),
      }));
    });
    expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical")).toEqual([]);
    await page.close();
  });
}

test("the keyboard reaches what the mouse does, and keeps its place", async () => {
  const { page } = await visit();
  await until(
    "rows",
    20,
    () => page.locator("table.gpus tbody tr").count(),
    (count) => count === 8,
  );
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to the panels");
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  expect(new URL(page.url()).hash).toBe("");
  for (let i = 0; i < 3; i += 1) await page.keyboard.press("Tab");
  expect(await focused()).toBe("GPU 0");
  await page.keyboard.press("Space");
  await until(
    "one row",
    5,
    () => page.locator("table.gpus tbody tr").count(),
    (count) => count === 1,
  );
  expect(await focused()).toBe("GPU 0");
  expect(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).toBe("solid");
  await page.close();
});

test("a phone shows everything without scrolling sideways", async () => {
  const { page, faults } = await visit("", { viewport: { width: 375, height: 812 }, hasTouch: true });
  await badge(page, "Live");
  await until(
    "rows",
    20,
    () => page.locator("table.gpus tbody tr").count(),
    (count) => count === 8,
  );
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide).toBeLessThanOrEqual(0);
  expect(faults).toEqual([]);
  await page.close();
});

test("a page that nobody looks at lets go of its connection, and catches up without a hole when it is looked at", async () => {
  const { page, faults } = await visit();
  await badge(page, "Live");
  const before = await until(
    "a line",
    20,
    () => line(page, "Power"),
    ({ ticks }) => ticks > 0,
  );
  // Chromium without a window shows every page: the page is told that it does not.
  const look = (state: DocumentVisibilityState) =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await look("hidden");
  await until(
    "no connection",
    45,
    () => connections(gateway?.url ?? ""),
    (left) => left.length === 0,
  );
  expect(await page.title()).toBe("Paused · Promcast");
  await look("visible");
  await badge(page, "Live");
  const after = await until(
    "what was missed",
    20,
    () => line(page, "Power"),
    ({ newest }) => newest > before.newest + 30_000,
  );
  expect(after.missing).toBe(0);
  expect(await page.locator(".condition").allInnerTexts()).toEqual([]);
  expect(faults).toEqual([]);
  await page.close();
});

test("a Prometheus that has stopped shows as stale, and heals", async () => {
  const { page } = await visit();
  await badge(page, "Live");
  await until(
    "a line",
    20,
    () => line(page, "Power"),
    ({ ticks }) => ticks > 0,
  );
  await prometheus.program.stop("SIGKILL");
  await badge(page, "Stale", 40);
  expect(await page.title()).toBe("Stale · Promcast");
  // What was known last stays, and looks its age.
  await until(
    "the last numbers",
    10,
    () => page.locator(".stats[data-stale=true] .tile .digits").allInnerTexts(),
    (texts) => texts.length === 6 && texts.every((text) => /\d/.test(text)),
  );
  expect(await page.locator(".tile", { hasText: "GPUs" }).innerText()).not.toContain("0 at work");
  const panel = page.locator("section.panel", { has: page.getByRole("heading", { name: "Power", exact: true }) });
  await until(
    "both complaints",
    20,
    () => panel.locator(".condition").allInnerTexts(),
    (texts) =>
      texts.some((text) => text.includes("upstream_unreachable")) && texts.some((text) => text.startsWith("Stale")),
  );
  prometheus = await stack.prometheus({ gpus: exporter }, Number(new URL(prometheus.url).port));
  await badge(page, "Live", 40);
  await until(
    "no complaint",
    20,
    () => panel.locator(".condition.error, .condition.stale").count(),
    (count) => count === 0,
  );
  expect(await panel.locator(".condition.gap").first().innerText()).toMatch(
    /ticks? (failed|(is|are) missing) (at|from)/,
  );
  await page.close();
});
