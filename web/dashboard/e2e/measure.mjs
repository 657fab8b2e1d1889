/** What the page costs: `node e2e/measure.mjs URL [MINUTES]`, against `make demo` or any other gateway, in a new Chromium. */

import { chromium } from "playwright-core";

const [url = "http://127.0.0.1:8080/", minutes = "5"] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/**
 * Milliseconds from the navigation until something is painted, and until all line charts have their history; and what the
 * page's main thread worked for that, in processor time, which other work on the machine does not stretch as much.
 */
async function opening() {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.goto(url);
  const times = await page.evaluate(async () => {
    const charts = () => [...document.querySelectorAll("section[data-ticks]")];
    const full = () => charts().length >= 9 && charts().every(({ dataset }) => Number(dataset.ticks) > 10);
    while (!full()) await new Promise((resolve) => requestAnimationFrame(resolve));
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
    return { contentful: Math.round(paint ?? -1), charts: Math.round(performance.now()) };
  });
  const { metrics } = await client.send("Performance.getMetrics");
  const work = metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  await page.close();
  return { ...times, work: Math.round(1000 * work) };
}

/**
 * What the page takes of a core, minute by minute, in processor time: its main thread, and its process with all its threads.
 * And what it holds, behind a collection of garbage.
 */
async function cost() {
  // High enough that no panel is out of sight.
  const page = await browser.newPage({ viewport: { width: 1280, height: 2400 } });
  await page.goto(url);
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  const whole = await browser.newBrowserCDPSession();
  const read = async () => {
    await client.send("HeapProfiler.collectGarbage");
    const { metrics } = await client.send("Performance.getMetrics");
    const { processInfo } = await whole.send("SystemInfo.getProcessInfo");
    const value = (name) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
    const renderers = processInfo.filter(({ type }) => type === "renderer");
    return {
      at: performance.now() / 1000,
      main: value("TaskDuration"),
      script: value("ScriptDuration"),
      // The pages of the openings are closed: what is left is this one's, and a spare one that does nothing.
      process: renderers.reduce((sum, { cpuTime }) => sum + cpuTime, 0),
      heap: value("JSHeapUsedSize"),
      nodes: value("Nodes"),
    };
  };
  await page.waitForTimeout(20_000);
  let before = await read();
  for (let minute = 1; minute <= Number(minutes); minute += 1) {
    await page.waitForTimeout(60_000);
    const now = await read();
    const share = (part) => `${((100 * (now[part] - before[part])) / (now.at - before.at)).toFixed(2)} %`;
    const shares = `main thread ${share("main")}, of it script ${share("script")}, whole process ${share("process")}`;
    console.log(`minute ${minute}: ${shares}, heap ${(now.heap / 2 ** 20).toFixed(2)} MiB, ${now.nodes} nodes`);
    before = now;
  }
}

for (let i = 0; i < 5; i += 1) console.log("opening", JSON.stringify(await opening()));
if (Number(minutes) > 0) await cost();
await browser.close();
