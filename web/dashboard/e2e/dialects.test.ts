/** One page for every dialect of dcgm-exporter: the same GPU looks the same, whatever its exporter calls things. */

import { createServer, type Server } from "node:http";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, open } from "./support/browser";
import { until } from "./support/process";
import { Stack } from "./support/stack";

const WORKLOAD = 'namespace="team-a",pod="train-0"';

/** Before 4.8.3 and with Prometheus's own label for the node; from 4.9 on; and a board in two MIG instances. One sensor
 * that is not there, as old exporters print it. */
const METRICS = `
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 73
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 65536
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 65536
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 84
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 500
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 1980
DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 31
DCGM_FI_DEV_MEMORY_TEMP{gpu="0",UUID="GPU-old",Hostname="old",modelName="H200",${WORKLOAD}} 9223372036854775794
DCGM_FI_DEV_GPU_UTIL_RATIO{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 0.73
DCGM_FI_DEV_FB_USED_BYTES{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 68719476736
DCGM_FI_DEV_FB_CAPACITY_BYTES{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 137438953472
DCGM_FI_DEV_GPU_TEMP_CELSIUS{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 84
DCGM_FI_DEV_BOARD_POWER_WATTS{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 500
DCGM_FI_DEV_SM_CLOCK_HERTZ{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 1980000000
DCGM_FI_DEV_XID_ERROR{gpu="0",UUID="GPU-new",hostname="new",modelName="H200",${WORKLOAD}} 31
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-mig",GPU_I_ID="1",GPU_I_PROFILE="3g.71gb",hostname="mig"} 0.25
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-mig",GPU_I_ID="2",GPU_I_PROFILE="3g.71gb",hostname="mig"} 0.75
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-mig",GPU_I_ID="1",GPU_I_PROFILE="3g.71gb",hostname="mig"} 50
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-mig",GPU_I_ID="2",GPU_I_PROFILE="3g.71gb",hostname="mig"} 50
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-mig",GPU_I_ID="1",GPU_I_PROFILE="3g.71gb",hostname="mig"} 300
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-mig",GPU_I_ID="2",GPU_I_PROFILE="3g.71gb",hostname="mig"} 300
`;

const stack = new Stack();
let [browser, exporter, url]: [Browser?, Server?, string?] = [];
let metrics = METRICS;

beforeAll(async () => {
  exporter = createServer((_, response) =>
    response.setHeader("Content-Type", "text/plain; version=0.0.4").end(metrics.trimStart()),
  );
  await new Promise<void>((resolve) => exporter?.listen(0, "127.0.0.1", resolve));
  const address = exporter.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const prometheus = await stack.prometheus({ gpus: `127.0.0.1:${port}` });
  url = (await stack.gateway(["--prometheus-url", prometheus.url])).url;
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await stack.stop();
  exporter?.close();
});

test("a GPU looks the same before and from 4.9 on, and a cut board is counted once", async () => {
  const { page } = await open(browser as Browser, url ?? "");
  const rows = page.locator("table.gpus tbody tr");
  const texts = async () =>
    (await rows.allInnerTexts()).map((text) =>
      text.split(/\s*[\t\n]\s*/).map((cell) => cell.replaceAll("\u202f", " ")),
    );
  const found = await until(
    "rows with all values",
    30,
    texts,
    (all) => all.length === 4 && all[2]?.at(-1) === "31" && !all[2].includes("–"),
  );
  const [one, other, newer, older] = found;
  expect(newer?.slice(1)).toEqual(older?.slice(1));
  expect(newer).toEqual(["new GPU 0", "team-a/train-0", "73 %", "64 GiB", "84 °C ▲", "500 W", "1.98 GHz", "31"]);
  expect([one?.[0], other?.[0]]).toEqual(["mig GPU 1.1 (3g.71gb)", "mig GPU 1.2 (3g.71gb)"]);
  expect([one?.[2], other?.[2]]).toEqual(["25 %", "75 %"]);
  const power = page.locator(".tile", { hasText: "Power" }).locator(".digits");
  await until(
    "the power of three boards",
    20,
    () => power.innerText(),
    (text) => text === "1.3",
  );
  const busy = page.locator(".tile", { hasText: "Mean utilisation" }).locator(".digits");
  expect(await busy.innerText(), "each instance counts with its slices").toBe("66");
  const said = async (title: string) => {
    const panel = page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });
    return (await panel.locator(".condition").allInnerTexts()).join();
  };
  expect(await said("Memory temperature"), "the mark for no value is none").toBe("No GPU has this metric");
  expect(await said("Clock limits and XID errors")).toMatch(/^No GPU tells what limits its clocks/);
  await page.close();
});

test("an error of the driver and a clock that is slowed are on the timeline, the tile and the table", async () => {
  const { page } = await open(browser as Browser, url ?? "");
  const old = page.locator("table.gpus tbody tr", { hasText: "old GPU 0" });
  const xid = old.locator("td").last();
  await until(
    "the last error",
    20,
    () => xid.innerText(),
    (text) => text === "31",
  );
  const of = 'gpu="0",UUID="GPU-old",Hostname="old"';
  metrics = `${METRICS.replace(/(XID_ERRORS\{.*\}) 31/, "$1 79")}DCGM_FI_DEV_CLOCKS_EVENT_REASONS{${of}} 64\n`;
  await page.getByRole("button", { name: "Clock limits and XID errors as a table" }).click();
  const rows = page.getByRole("region", { name: "Clock limits and XID errors, the newest first" }).locator("tbody tr");
  await until(
    "both on the timeline",
    30,
    async () => (await rows.allInnerTexts()).join(),
    (text) => /old GPU 0\s+[\d:]+\s+XID 79/.test(text) && /old GPU 0\s+[\d:]+\s+slowed/.test(text),
  );
  const tile = page.locator(".tile", { hasText: "XID errors" });
  await until(
    "one error in the window",
    20,
    () => tile.innerText(),
    (text) => /^XID errors\s+1\s+in 15 min; last codes: 31, 79$/.test(text),
  );
  expect(await tile.getAttribute("data-level")).toBe("high");
  await until(
    "the new error",
    20,
    () => xid.innerText(),
    (text) => text === "79",
  );
  await page.close();
});
