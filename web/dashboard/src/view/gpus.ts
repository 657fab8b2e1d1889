/** The table of GPUs and who works on them. */

import { quantity } from "../catalogue";
import type { Page } from "../page";
import { type Column, next, type Row, rowsOf, type Sorting, sorted } from "../rows";
import { path } from "../sparkline";
import { level } from "../thresholds";
import { format } from "../units";
import { h, on, s, say } from "./dom";
import type { Drawable } from "./painter";
import { scrolling } from "./summaries";

const COLUMNS: readonly (readonly [column: Column, title: string])[] = [
  ["title", "GPU"],
  ["workload", "Pod or job"],
  ["utilisation", "Utilisation"],
  ["memory", "Memory"],
  ["temperature", "Temperature"],
  ["power", "Power"],
  ["clock", "SM clock"],
  ["xid", "Last XID"],
];

const [WIDTH, HEIGHT] = [110, 22];

export class Gpus implements Drawable {
  readonly patience = 1500;
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #heads = new Map<Column, HTMLElement>();
  readonly #body = h("tbody");
  readonly #lines = new Map<string, Line>();
  #sorting: Sorting = { column: "title", descending: false };

  constructor(page: Page) {
    this.#page = page;
    const heads = COLUMNS.map(([column, title]) => {
      const button = h("button", { type: "button", class: "sort" }, title);
      on(button, { click: () => this.#sort(column) });
      const head = h("th", { scope: "col", class: column }, button);
      this.#heads.set(column, head);
      return head;
    });
    const table = h("table", { class: "gpus" }, h("thead", {}, h("tr", {}, ...heads)), this.#body);
    this.element = h("section", { class: "panel wide", "aria-labelledby": "gpus" });
    this.element.append(h("header", {}, h("h3", { id: "gpus" }, "GPUs and pods")), scrolling("GPUs and pods", table));
    this.#mark();
  }

  draw(): void {
    const { topics, shown } = this.#page;
    const latest = (name: keyof typeof topics) => topics[name].columns.latest();
    const rows = rowsOf(shown, {
      ...{ utilisation: latest("utilisation"), memory: latest("memory"), capacity: latest("capacity") },
      ...{ temperature: latest("temperature"), power: latest("power"), clock: latest("clock") },
      ...{ reasons: latest("reasons"), xid: latest("xid") },
    });
    this.#body.dataset.stale = String(this.#page.stale(["utilisation", "temperature", "power", "memory"]));
    const view = topics.utilisation.columns.view();
    const box = { width: WIDTH, height: HEIGHT, from: this.#page.newest - this.#page.spanMs, to: this.#page.newest };
    const elements = sorted(rows, this.#sorting).map((row) => {
      const line = this.#lines.get(row.key) ?? new Line();
      this.#lines.set(row.key, line);
      line.draw(row, path(view.times, view.columns.get(row.key) ?? [], { ...box, low: 0, high: 100 }));
      return line.element;
    });
    for (const key of this.#lines.keys()) if (!rows.some((row) => row.key === key)) this.#lines.delete(key);
    // Rows that stay where they are are left alone: whoever reads one is not thrown out.
    const same =
      elements.length === this.#body.children.length && elements.every((row, i) => this.#body.children[i] === row);
    if (!same) this.#body.replaceChildren(...elements);
  }

  #sort(column: Column): void {
    this.#sorting = next(this.#sorting, column);
    this.#mark();
    this.draw();
  }

  #mark(): void {
    const { column: chosen, descending } = this.#sorting;
    for (const [column, head] of this.#heads) {
      if (column === chosen) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }
}

class Line {
  readonly element = h("tr");
  readonly #title = h("th", { scope: "row", class: "title" });
  readonly #workload = h("td", { class: "workload" });
  readonly #spark = s("path", { class: "line" });
  readonly #utilisation = new Meter();
  readonly #memory = new Meter();
  readonly #temperature = h("td", { class: "number" });
  readonly #power = h("td", { class: "number" });
  readonly #clock = h("td", { class: "number" });
  readonly #xid = h("td", { class: "number" });

  constructor() {
    const box = { viewBox: `0 -1 ${WIDTH} ${HEIGHT + 2}`, class: "spark", "aria-hidden": "true" };
    const picture: Node = s("svg", box, this.#spark);
    const utilisation = h("td", {}, h("span", { class: "course" }, this.#utilisation.element, picture));
    const memory = h("td", { class: "memory" }, this.#memory.element);
    this.element.append(this.#title, this.#workload, utilisation, memory);
    this.element.append(this.#temperature, this.#power, this.#clock, this.#xid);
  }

  draw(row: Row, spark: string): void {
    say(this.#title, row.title);
    this.#title.title = row.model;
    say(this.#workload, row.workload || "–");
    this.#spark.setAttribute("d", spark);
    this.#utilisation.draw(row.utilisation, format(row.utilisation, "percent"));
    this.#memory.draw(row.memoryShare, format(row.memory, "bytes"));
    const hot = level(row.temperature, quantity("temperature").bounds);
    say(this.#temperature, format(row.temperature, "celsius") + (hot === "high" ? " ▲▲" : hot === "warn" ? " ▲" : ""));
    this.#temperature.dataset.level = hot ?? "none";
    say(this.#power, format(row.power, "watt"));
    say(this.#clock, format(row.clock, "hertz"));
    this.#clock.title = row.limited;
    say(this.#xid, row.xid === undefined ? "–" : row.xid === 0 ? "none" : String(row.xid));
    this.#xid.dataset.level = row.xid !== undefined && row.xid > 0 ? "high" : "none";
  }
}

/** A number with a bar below it. */
class Meter {
  readonly element: HTMLElement;
  readonly #text = h("span");
  readonly #bar = h("i", { class: "fill" });

  constructor() {
    this.element = h(
      "span",
      { class: "meter" },
      this.#text,
      h("i", { class: "track", "aria-hidden": "true" }, this.#bar),
    );
  }

  draw(share: number | undefined, text: string): void {
    say(this.#text, text);
    this.#bar.style.width = `${Math.min(100, Math.max(0, share ?? 0)).toFixed(0)}%`;
    this.element.dataset.level = level(share, quantity("utilisation").bounds) ?? "none";
  }
}
