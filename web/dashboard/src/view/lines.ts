/** A panel of lines: one for each GPU. */

import { type QuantityName, quantity } from "../catalogue";
import { extent } from "../heatmap";
import type { Page } from "../page";
import { missing } from "../series";
import { unknown } from "../topic";
import { format } from "../units";
import { Chart } from "./chart";
import type { Drawable } from "./painter";
import { Panel } from "./panel";
import { summaries } from "./summaries";
import type { Ink } from "./theme";

export class Lines implements Drawable {
  readonly name: QuantityName;
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #panel: Panel;
  readonly #chart: Chart;
  readonly #announce: (text: string) => void;

  constructor(name: QuantityName, page: Page, ink: () => Ink, announce: (text: string) => void) {
    const { title, about, unit, bounds, top } = { top: undefined, bounds: undefined, ...quantity(name) };
    [this.name, this.#page, this.#announce] = [name, page, announce];
    const high = () => top ?? this.#highest();
    this.#chart = new Chart({ unit, bounds, low: unit === "celsius" ? 20 : 0, high, ink });
    const table = () => summaries(title, page.series, page.topics[name].columns.view(), unit);
    this.#panel = new Panel(this.#chart.element, { title, about, table, toggled: () => this.draw() });
    this.element = this.#panel.element;
  }

  draw(seen = true): void {
    const { topics, series, newest, spanMs } = this.#page;
    const topic = topics[this.name];
    const error = this.#panel.conditions(this.#page.conditions(topic, Date.now()));
    if (error !== undefined) this.#announce(error);
    const view = topic.columns.view();
    const { title, unit } = quantity(this.name);
    const latest = topic.columns.latest();
    const values = series.flatMap(({ key }) => latest.get(key) ?? []);
    if (values.length > 0) {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      this.#panel.value(low === high ? format(high, unit) : `${format(low, unit)} – ${format(high, unit)}`);
      this.#panel.describe(`${title} of ${values.length} GPUs, now ${format(low, unit)} to ${format(high, unit)}`);
    } else {
      this.#panel.value("");
      this.#panel.describe(`${title}: no data`);
    }
    this.#panel.refresh();
    // For whoever looks at the page from outside: tests, and people who wonder.
    const { dataset } = this.element;
    dataset.ticks = String(view.times.length);
    dataset.newest = String(topic.columns.newest ?? "");
    dataset.missing = String(missing(view.times, topic.interval * 1000));
    if (seen && !this.#panel.tabular)
      this.#chart.draw({ view, series, from: newest - spanMs, to: newest, gaps: unknown(topic) });
  }

  /** The scale reaches to the capacity of the memory, or to where the bounds are seen. */
  #highest(): number | undefined {
    if (this.name === "memory") {
      const capacity = this.#page.topics.capacity.columns.view();
      return capacity.columns.size === 0 ? undefined : extent(capacity.columns.values())[1];
    }
    return this.name === "temperature" ? 92 : undefined;
  }
}
