/** A browser, and what a test asks of the page in it. */

import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { until } from "./process";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

export function launch(): Promise<Browser> {
  const paths = (process.env.PATH ?? "").split(":").flatMap((folder) => NAMES.map((name) => `${folder}/${name}`));
  const executablePath = process.env.CHROMIUM ?? paths.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error("there is no Chromium: `make tools` installs it");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** Opens a page; what it complains of is in `faults`. */
export async function open(browser: Browser, url: string, options: Parameters<Browser["newPage"]>[0] = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
  });
  await page.goto(url);
  return { page, faults };
}

/** The badge, once it says this. */
export async function badge(page: Page, text: string, seconds = 30): Promise<void> {
  await until(
    `the badge says ${text}`,
    seconds,
    () => page.locator(".badge").innerText(),
    (told) => told === text,
  );
}

export interface Line {
  readonly ticks: number;
  readonly newest: number;
  readonly missing: number;
}

/** What the chart with this title has. */
export async function line(page: Page, title: string): Promise<Line> {
  const panel = page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });
  const data = await panel.evaluate((element) => ({ ...(element as HTMLElement).dataset }));
  return { ticks: Number(data.ticks ?? 0), newest: Number(data.newest ?? 0), missing: Number(data.missing ?? 0) };
}
