/** The panel with the heatmap: GPU by time, of one of several quantities. */

import { type QuantityName, quantity } from "../catalogue";
import { binCount, binned, extent } from "../heatmap";
import type { Page } from "../page";
import { format } from "../units";
import { choice, h } from "./dom";
import type { Drawable } from "./painter";
import { Panel } from "./panel";
import { type Area, Strip } from "./strip";
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
    const [low, high] = top === undefined ? [least, most] : [0, top];
    const bins = binCount(this.#strip.element.clientWidth, NARROWEST, spanMs, this.#topic.interval * 1000);
    const cells = series.map(({ key }) => binned(view.times, view.columns.get(key) ?? [], { from, to: newest, bins }));
    const { ramp, grid } = this.#ink();
    this.#strip.draw({
      rows: series.map(({ title }) => title),
      ...{ from, to: newest, ink: this.#ink() },
      paint: (ctx, row, area) =>
        paint(ctx, cells[row], area, (value) => shade(ramp, (value - low) / (high - low || 1)), grid),
      tell: (row, time) => format(cells[row]?.[Math.floor(((time - from) / spanMs) * bins)], unit),
    });
    this.#scale.replaceChildren(format(low, unit), gradient(ramp), format(high, unit));
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

function paint(
  ctx: CanvasRenderingContext2D,
  cells: Float64Array | undefined,
  { left, top, width, height }: Area,
  color: (value: number) => string,
  nothing: string,
): void {
  if (cells === undefined) return;
  const wide = width / cells.length;
  cells.forEach((value, bin) => {
    ctx.fillStyle = Number.isNaN(value) ? nothing : color(value);
    ctx.fillRect(left + bin * wide, top, Math.max(1, wide - (wide > 4 ? 1 : 0)), height);
  });
}

/** The colour at a share from 0 to 1, between those of the ramp. */
function shade(ramp: readonly string[], share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const [low, part] = [Math.floor(place), place % 1];
  return `color-mix(in oklab, ${ramp[low]}, ${ramp[Math.min(ramp.length - 1, low + 1)]} ${Math.round(part * 100)}%)`;
}

function gradient(ramp: readonly string[]): HTMLElement {
  const bar = h("i", { class: "ramp", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg in oklab, ${ramp.join(", ")})`;
  return bar;
}
