/** A panel of the reader's own: any query, as lines, a number, a heatmap or a table. */

import type { Panel as Described } from "../address";
import { conditions, NO_SERIES } from "../condition";
import { binCount, binned, extent } from "../heatmap";
import { keyOf, names } from "../naming";
import { circumstances } from "../page";
import type { Series } from "../series";
import { Topic, unknown } from "../topic";
import { format } from "../units";
import { cells, tellScale } from "./cells";
import { Chart } from "./chart";
import { h, on } from "./dom";
import { legend } from "./legend";
import type { Drawable } from "./painter";
import { Panel } from "./panel";
import { Strip } from "./strip";
import { summaries } from "./summaries";
import type { Ink } from "./theme";

/** More are not told apart by anybody. */
const SERIES_MAX = 64;

export class Own implements Drawable {
  readonly described: Described;
  readonly topic: Topic;
  readonly element: HTMLElement;
  readonly #spanMs: number;
  readonly #ink: () => Ink;
  readonly #panel: Panel;
  readonly #body = h("div", { class: "own" });
  readonly #chart: Chart;
  readonly #strip = new Strip();
  /** What the lines or the colours mean. */
  readonly #key = h("p", { class: "scale" });
  #series: readonly Series[] = [];

  constructor(described: Described, spanMs: number, ink: () => Ink, remove: () => void) {
    [this.described, this.#spanMs, this.#ink] = [described, spanMs, ink];
    this.topic = new Topic(described.query, described.interval, spanMs, keyOf);
    this.#chart = new Chart({ unit: "none", bounds: undefined, low: undefined, high: () => undefined, ink });
    const close = h("button", { type: "button", class: "tool", "aria-label": `Remove ${described.query}` }, "Remove");
    this.#panel = new Panel(this.#body, {
      title: described.query,
      about: `${described.query}, every ${described.interval} s`,
      mono: true,
      tools: [on(close, { click: remove })],
      table: () => this.#table(),
      toggled: () => this.draw(),
    });
    this.element = this.#panel.element;
    if (described.picture === "line") this.#body.append(this.#chart.element, this.#key);
    if (described.picture === "heatmap") this.#body.append(this.#strip.element, this.#key);
  }

  draw(seen = true): void {
    this.#name();
    this.#panel.conditions(conditions(circumstances(this.topic, Date.now()), NO_SERIES));
    this.#panel.refresh();
    if (this.#panel.tabular) return;
    const view = this.topic.columns.view();
    const to = view.times.at(-1) ?? Date.now();
    const from = to - this.#spanMs;
    switch (this.described.picture) {
      case "line":
        this.#panel.describe(`${this.described.query}: ${this.#series.length} series over time`);
        this.#key.replaceChildren(...legend(this.#series, this.topic.columns.latest(), this.#ink()));
        if (seen) this.#chart.draw({ view, series: this.#series, from, to, gaps: unknown(this.topic) });
        break;
      case "number":
        this.#body.replaceChildren(...this.#numbers());
        break;
      case "heatmap":
        this.#panel.describe(`Heatmap of ${this.described.query}: ${this.#series.length} series`);
        if (seen) this.#heatmap(from, to);
        break;
      case "table":
        this.#body.replaceChildren(this.#table());
        break;
    }
  }

  #name(): void {
    const labels =
      this.topic.labels.size > 0
        ? this.topic.labels
        : new Map([...this.topic.columns.view().columns.keys()].map((key) => [key, {}]));
    const named = [...names(labels)].slice(0, SERIES_MAX);
    named.sort(([, one], [, other]) => one.localeCompare(other, "en", { numeric: true }));
    this.#series = named.map(([key, title], hue) => ({ key, title, hue }));
  }

  #table(): HTMLElement {
    return summaries(this.described.query, this.#series, this.topic.columns.view(), "none");
  }

  #numbers(): HTMLElement[] {
    const latest = this.topic.columns.latest();
    return this.#series.slice(0, 12).map(({ key, title }) => {
      const name = this.#series.length === 1 ? "" : title;
      return h("p", { class: "number" }, h("b", {}, format(latest.get(key), "none")), h("span", {}, name));
    });
  }

  #heatmap(from: number, to: number): void {
    const view = this.topic.columns.view();
    const [low, high] = extent(view.columns.values());
    const bins = binCount(this.#strip.element.clientWidth, 6, this.#spanMs, this.topic.interval * 1000);
    const rows = this.#series.map(({ key }) => binned(view.times, view.columns.get(key) ?? [], { from, to, bins }));
    const scale = { low, high, ramp: this.#ink().ramp };
    this.#strip.draw({
      rows: this.#series.map(({ title }) => title),
      ...{ from, to, ink: this.#ink() },
      paint: (ctx, row, area) => cells(ctx, rows[row] ?? [], area, scale),
      tell: (row, time) => format(rows[row]?.[Math.floor(((time - from) / this.#spanMs) * bins)], "none"),
    });
    tellScale(this.#key, scale, "none");
  }
}
