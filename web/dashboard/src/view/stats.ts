/** The row of numbers on top: the fleet, and how it came there. */

import { quantity } from "../catalogue";
import type { View } from "../columns";
import { errors, hottest, mean, most, now, ofBoards, ofParts, ofSlices, overTime, sum } from "../fleet";
import { title } from "../gpu";
import type { Page } from "../page";
import { severalNodes } from "../roster";
import { area, path } from "../sparkline";
import { level } from "../thresholds";
import { faults } from "../timeline";
import { parts, type Unit } from "../units";
import { h, s, say } from "./dom";
import type { Drawable } from "./painter";

interface Reading {
  readonly value: number | undefined;
  readonly unit: Unit;
  readonly about: string;
  readonly level?: string | undefined;
  readonly line?: { readonly times: Float64Array; readonly values: Float64Array; readonly top?: number };
}

const NOTHING: Reading = { value: undefined, unit: "none", about: "" };

const [WIDTH, HEIGHT] = [200, 40];

/** From this utilisation on a GPU is at work, percent: less is a monitoring program. */
const AT_WORK = 5;

export class Stats implements Drawable {
  readonly patience = 600;
  readonly element = h("section", { class: "stats", "aria-label": "The fleet" });
  readonly #page: Page;
  readonly #tiles: readonly { readonly tile: Tile; readonly read: () => Reading }[];

  constructor(page: Page) {
    this.#page = page;
    this.#tiles = [
      { tile: new Tile("GPUs"), read: () => this.#gpus() },
      { tile: new Tile("Mean utilisation"), read: () => this.#utilisation() },
      { tile: new Tile("Hottest GPU"), read: () => this.#hottest() },
      { tile: new Tile("Power"), read: () => this.#power() },
      { tile: new Tile("Memory used"), read: () => this.#memory() },
      { tile: new Tile("XID errors"), read: () => this.#xid() },
    ];
    this.element.append(...this.#tiles.map(({ tile }) => tile.element));
  }

  draw(): void {
    const [to, from] = [this.#page.newest, this.#page.newest - this.#page.spanMs];
    this.element.dataset.stale = String(this.#page.stale(["utilisation", "temperature", "power", "memory"]));
    for (const { tile, read } of this.#tiles) tile.draw(read(), from, to);
  }

  #gpus(): Reading {
    const { shown, topics } = this.#page;
    const latest = topics.utilisation.columns.latest();
    const busy = shown.filter(({ gpu }) => (latest.get(gpu.key) ?? 0) >= AT_WORK).length;
    const nodes = new Set(shown.map(({ gpu }) => gpu.node)).size;
    const boards = new Set(shown.map(({ gpu }) => gpu.board)).size;
    const told = boards === shown.length ? `${busy}` : `${busy} of ${shown.length} instances`;
    const where = `on ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
    const about = latest.size === 0 ? where : `${told} at work ${where}`;
    return shown.length === 0 ? NOTHING : { value: boards, unit: "none", about };
  }

  #utilisation(): Reading {
    const { topics, shown } = this.#page;
    const view = topics.utilisation.columns.view();
    const value = now(topics.utilisation.columns.latest(), shown, ofSlices, mean);
    const high = now(topics.utilisation.columns.latest(), shown, ofParts, most);
    return {
      ...{ value, unit: "percent", level: level(value, quantity("utilisation").bounds) },
      about: high === undefined ? "" : `highest ${parts(high, "percent")[0]} %`,
      line: { ...this.#line(view, ofSlices, mean), top: 100 },
    };
  }

  #hottest(): Reading {
    const { topics, shown } = this.#page;
    const found = hottest(topics.temperature.columns.latest(), shown);
    return {
      ...{ value: found?.value, unit: "celsius", level: level(found?.value, quantity("temperature").bounds) },
      about: found === undefined ? "" : title(found.member.gpu, severalNodes(shown)),
      line: this.#line(topics.temperature.columns.view(), ofBoards, most),
    };
  }

  #power(): Reading {
    const { topics, shown } = this.#page;
    const value = now(topics.power.columns.latest(), shown, ofBoards, sum);
    const each = now(topics.power.columns.latest(), shown, ofBoards, mean);
    const about = each === undefined ? "" : `${parts(each, "watt").join(" ")} a GPU`;
    return { value, unit: "watt", about, line: this.#line(topics.power.columns.view(), ofBoards, sum) };
  }

  #memory(): Reading {
    const { topics, shown } = this.#page;
    const value = now(topics.memory.columns.latest(), shown, ofParts, sum);
    const all = now(topics.capacity.columns.latest(), shown, ofParts, sum);
    const line = this.#line(topics.memory.columns.view(), ofParts, sum);
    const share = value === undefined || !all ? undefined : (100 * value) / all;
    const about = share === undefined ? "" : `${parts(share, "percent")[0]} % of ${parts(all, "bytes").join(" ")}`;
    return { value, unit: "bytes", about, line: all === undefined ? line : { ...line, top: all } };
  }

  #xid(): Reading {
    const { topics, shown, address } = this.#page;
    const { columns } = topics.xid;
    const [view, latest] = [columns.view(), columns.latest()];
    const lately = errors(shown, (key) => faults(view.times, view.columns.get(key) ?? []));
    const marked = shown.flatMap(({ gpu }) => latest.get(gpu.key) ?? []).filter((code) => code > 0);
    const codes = [...new Set(marked)].sort((one, other) => one - other);
    const last = codes.length === 0 ? "no GPU has one" : `last codes: ${codes.slice(0, 4).join(", ")}`;
    if (latest.size === 0) return NOTHING;
    return {
      value: lately,
      unit: "none",
      about: `in ${address.window} min; ${last}`,
      level: lately > 0 ? "high" : undefined,
    };
  }

  #line(view: View<string>, take: typeof ofBoards, fold: typeof mean) {
    return { times: view.times, values: overTime(view, this.#page.shown, take, fold) };
  }
}

class Tile {
  readonly element: HTMLElement;
  readonly #digits = h("span", { class: "digits" }, "–");
  readonly #unit = h("span", { class: "unit" });
  readonly #about = h("span", { class: "about" });
  readonly #line = s("path", { class: "line" });
  readonly #fill = s("path", { class: "fill" });

  constructor(name: string) {
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const svg = s("svg", box, this.#fill, this.#line);
    this.element = h("div", { class: "tile" }, h("h2", {}, name));
    this.element.append(h("p", { class: "big" }, this.#digits, this.#unit), this.#about, svg);
  }

  draw({ value, unit, about, level: grade, line }: Reading, from: number, to: number): void {
    const [digits, name] = parts(value, unit);
    say(this.#digits, digits);
    say(this.#unit, name);
    say(this.#about, about);
    this.element.dataset.level = grade ?? "none";
    if (line === undefined) return;
    const top = line.top ?? Math.max(1, ...line.values.filter((point) => !Number.isNaN(point))) * 1.15;
    const drawn = path(line.times, line.values, { width: WIDTH, height: HEIGHT, from, to, low: 0, high: top });
    this.#line.setAttribute("d", drawn);
    this.#fill.setAttribute("d", area(drawn, HEIGHT));
  }
}
