/** The panel with the heatmap: GPU by time, of one of several quantities. */

import { type QuantityName, quantity } from "../catalogue";
import { binCount, binned, extent } from "../heatmap";
import type { Page } from "../page";
import { format } from "../units";
import { cells, tellScale } from "./cells";
import { choice, h } from "./dom";
import type { Drawable } from "./painter";
import { Panel } from "./panel";
import { Strip } from "./strip";
import { summaries } from "./summaries";
import type { Ink } from "./theme";

const OFFERED: readonly QuantityName[] = ["utilisation", "temperature", "power", "tensor", "bandwidth", "clock"];
const NARROWEST = 6;

export class Heat implements Drawable {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #ink: () => Ink;
  readonly #panel: Panel;
  readonly #strip = new Strip();
  readonly #scale = h("p", { class: "scale" });
  #name: QuantityName = "utilisation";

  constructor(page: Page, ink: () => Ink) {
    [this.#page, this.#ink] = [page, ink];
    const options = OFFERED.map((name) => [name, quantity(name).title] as const);
    const picker = choice("Quantity", options, this.#name, (name) => this.#pick(name as QuantityName));
    const table = () => summaries(this.#title, page.series, this.#topic.columns.view(), quantity(this.#name).unit);
    this.#panel = new Panel(h("div", {}, this.#strip.element, this.#scale), {
      title: "Heatmap",
      about: "One row for each GPU, time from left to right",
      class: "half",
      tools: [picker.element],
      table,
      toggled: () => this.draw(),
    });
    this.element = this.#panel.element;
  }

  /** The quantity that it shows. */
  get name(): QuantityName {
    return this.#name;
  }

  draw(seen = true): void {
    const { series, newest, spanMs } = this.#page;
    this.#panel.conditions(this.#page.conditions(this.#topic, Date.now()));
    this.#panel.describe(`Heatmap of ${this.#title} over ${series.length} GPUs; its table has the numbers`);
    this.#panel.refresh();
    if (this.#panel.tabular || !seen) return;
    const { unit, top } = { top: undefined, ...quantity(this.#name) };
    const [from, view] = [newest - spanMs, this.#topic.columns.view()];
    const [least, most] = extent(view.columns.values());
    const { ramp } = this.#ink();
    const scale = { ramp, low: top === undefined ? least : 0, high: top ?? most };
    const bins = binCount(this.#strip.element.clientWidth, NARROWEST, spanMs, this.#topic.interval * 1000);
    const rows = series.map(({ key }) => binned(view.times, view.columns.get(key) ?? [], { from, to: newest, bins }));
    this.#strip.draw({
      rows: series.map(({ title }) => title),
      ...{ from, to: newest, ink: this.#ink() },
      paint: (ctx, row, area) => cells(ctx, rows[row] ?? [], area, scale),
      tell: (row, time) => format(rows[row]?.[Math.floor(((time - from) / spanMs) * bins)], unit),
    });
    tellScale(this.#scale, scale, unit);
  }

  get #topic() {
    return this.#page.topics[this.#name];
  }

  get #title(): string {
    return quantity(this.#name).title;
  }

  #pick(name: QuantityName): void {
    this.#name = name;
    this.draw();
  }
}
