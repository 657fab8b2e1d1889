/** The dashboard behind a load balancer: two gateways, of which one dies; and several tabs over HTTP/1.1. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { badge, launch, line, open } from "./support/browser";
import { until } from "./support/process";
import { connections, type Gateway, Stack } from "./support/stack";

const stack = new Stack();
let browser: Browser | undefined;
let cluster: { url: string; gateways: readonly Gateway[] };

beforeAll(async () => {
  const { url } = await stack.prometheus({ gpus: await stack.exporter() });
  cluster = await stack.cluster(url);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await stack.stop();
});

const TITLES = ["GPU utilisation", "Memory used", "GPU temperature", "Power"];

test("three tabs of one browser are live over HTTP/1.1, and one more can change its panels", async () => {
  const context = await (browser as Browser).newContext();
  const tabs = await Promise.all([0, 1, 2].map(() => context.newPage()));
  for (const tab of tabs) await tab.goto(cluster.url);
  for (const tab of tabs)
    await until(
      "a line",
      20,
      () => line(tab, "Power"),
      ({ ticks }) => ticks > 0,
    );
  const [first] = tabs;
  await first?.bringToFront();
  await first?.getByLabel("PromQL query").fill("count(up)");
  await first?.getByRole("button", { name: "Add panel" }).click();
  const asked = async () => (await connections(cluster.url)).map(({ subscriptions }) => subscriptions.length).sort();
  await until("one panel more on one of three connections", 20, asked, (counts) => String(counts) === "12,12,13");
  await context.close();
});

test("a gateway that is killed is not noticed but for the badge: no reload, no hole in any line", async () => {
  const { page, faults } = await open(browser as Browser, cluster.url);
  await badge(page, "Live");
  await until(
    "a line",
    20,
    () => line(page, "Power"),
    ({ ticks }) => ticks > 0,
  );
  await page.evaluate(() => Object.assign(globalThis, { same: true }));
  const [before] = await until(
    "one connection",
    20,
    () => connections(cluster.url),
    (found) => found.length === 1,
  );
  const victim = cluster.gateways[before?.replica === "gateway-1" ? 0 : 1];
  const killed = Date.now();
  await victim?.program.stop("SIGKILL");
  for (const title of TITLES) {
    const after = await until(
      title,
      40,
      () => line(page, title),
      ({ newest }) => newest > killed + 10_000,
    );
    expect(after, title).toMatchObject({ missing: 0 });
  }
  await badge(page, "Live");
  expect((await connections(cluster.url))[0]?.replica).not.toBe(before?.replica);
  expect(await page.evaluate(() => (globalThis as { same?: boolean }).same)).toBe(true);
  expect(await page.locator(".condition.gap").count()).toBe(0);
  // The browser itself reports the connection that was cut.
  expect(faults.filter((fault) => !/ERR_|Failed to load resource/.test(fault))).toEqual([]);
  await page.close();
});
