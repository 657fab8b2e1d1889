/** The page: its parts, and what one tells the other. */

import type { State } from "@promcast/client";
import { type Address, PANELS_MAX, type Panel, read, write } from "./address";
import { age } from "./age";
import type { QuantityName } from "./catalogue";
import { Link } from "./link";
import { live, wantsToken } from "./live";
import { Page } from "./page";
import type { Topic } from "./topic";
import { Bar } from "./view/bar";
import { Composer } from "./view/composer";
import { h, say } from "./view/dom";
import { Door, kept } from "./view/door";
import { Filters } from "./view/filters";
import { Gpus } from "./view/gpus";
import { Heat } from "./view/heat";
import { Lines } from "./view/lines";
import { Own } from "./view/own";
import { type Drawable, Painter } from "./view/painter";
import { States } from "./view/states";
import { Stats } from "./view/stats";
import { Themes } from "./view/theme";

const LINES: readonly QuantityName[] = [
  ...(["utilisation", "memory", "temperature", "power", "clock", "tensor"] as const),
  ...(["bandwidth", "memoryTemperature", "memoryClock"] as const),
];

/** So many of them come before heatmap and timeline. */
const FIRST = 6;

/** Which topics the parts show that have more than one. */
const STATS: readonly QuantityName[] = ["utilisation", "memory", "capacity", "temperature", "power", "xid"];
const TABLE: readonly QuantityName[] = [...STATS, "clock", "reasons"];

/** How often a panel whose data are stale says how old they are. */
const STALE_SECONDS = 5;

export class App {
  readonly #painter = new Painter();
  readonly #themes = new Themes(() => this.#recoloured());
  readonly #page: Page;
  readonly #link = new Link(
    (topic) => this.#heard(topic),
    (state) => this.#watched(state),
  );
  readonly #head: Drawable;
  readonly #filters: Filters;
  readonly #door = new Door((token) => this.#open(token));
  readonly #announcer = h("p", { class: "hidden", role: "status", "aria-live": "polite" });
  readonly #shows = new Map<Topic, Drawable[]>();
  readonly #grid = h("div", { class: "grid" });
  readonly #owns: Own[] = [];
  readonly #heat: Heat;
  #state: State | undefined;
  #seconds = 0;
  #token: string | undefined;

  constructor(address: Address) {
    const ink = () => this.#themes.ink;
    const page = new Page(address);
    this.#page = page;
    const bar = new Bar(
      address,
      this.#themes,
      (change) => this.#reload(change),
      () => this.#link.retry(),
    );
    this.#head = { element: bar.element, draw: () => bar.draw(live(this.#signs())) };
    this.#filters = new Filters(page, ink, (filter) => this.#go({ ...this.#page.address, filter }));
    this.#heat = new Heat(page, ink);
    const lines = LINES.map((name) => new Lines(name, page, ink, (text) => this.#announce(text)));
    const [stats, states, gpus] = [new Stats(page), new States(page, ink), new Gpus(page)];
    const composer = new Composer((panel) => this.#add(panel));
    this.#filters.draw();
    const [first, rest] = [lines.slice(0, FIRST), lines.slice(FIRST)];
    const parts = [...first, this.#heat, states, ...rest, gpus, composer];
    this.#grid.append(...parts.map(({ element }) => element));
    const main = h("main", { id: "main", tabindex: "-1" }, this.#filters.element, stats.element, this.#grid);
    const skip = h("a", { class: "skip", href: "#main" }, "Skip to the panels");
    skip.addEventListener("click", (event) => {
      // The fragment is the page's state: it stays.
      event.preventDefault();
      main.focus();
    });
    document.body.append(skip, bar.element, this.#announcer, main);

    for (const line of lines) this.#show(line, [line.name, ...(line.name === "memory" ? (["capacity"] as const) : [])]);
    this.#show(stats, STATS);
    this.#show(states, ["reasons", "xid"]);
    this.#show(gpus, TABLE);
    this.#painter.add(this.#heat);
    this.#painter.add(this.#head);
  }

  start(): void {
    const { address, topics } = this.#page;
    for (const topic of Object.values(topics)) this.#link.add(topic);
    for (const panel of address.panels) this.#mount(panel);
    this.#open(kept());
    setInterval(() => this.#second(), 1000);
    addEventListener("hashchange", () => this.#moved());
  }

  #open(token: string | undefined): void {
    this.#token = token;
    this.#link.open({ minutes: this.#page.address.window, token });
  }

  #show(drawable: Drawable, names: readonly QuantityName[]): void {
    for (const name of names) {
      const topic = this.#page.topics[name];
      this.#shows.set(topic, [...(this.#shows.get(topic) ?? []), drawable]);
    }
    this.#painter.add(drawable);
  }

  #heard(topic: Topic): void {
    if (this.#page.census(topic)) {
      this.#filters.draw();
      this.#painter.markAll();
    }
    for (const drawable of this.#shows.get(topic) ?? []) this.#painter.mark(drawable);
    if (topic === this.#page.topics[this.#heat.name]) this.#painter.mark(this.#heat);
    this.#tick();
  }

  #watched(state: State): void {
    const before = this.#state?.phase;
    this.#state = state;
    const { problem, phase } = state;
    if (phase === "failed" && wantsToken(problem))
      this.#door.ask(this.#token === undefined ? "" : (problem?.message ?? ""));
    if (before !== undefined && before !== phase && phase !== "paused") this.#announce(live(this.#signs()).text);
    this.#tick();
  }

  #signs() {
    const topics = [...this.#shows.keys()];
    const arrivals = topics.flatMap(({ arrival }) => arrival ?? []);
    const now = Date.now();
    return {
      state: this.#state,
      age: arrivals.length === 0 ? undefined : Math.max(...arrivals.map((arrival) => age(arrival, now))),
      stale: topics.some(({ status }) => status?.stale === true),
    };
  }

  /** What changes with time alone. */
  #tick(): void {
    const told = live(this.#signs());
    const title = told.kind === "live" ? "Promcast" : `${told.text} · Promcast`;
    if (document.title !== title) document.title = title;
    this.#painter.mark(this.#head);
  }

  #second(): void {
    this.#tick();
    this.#seconds += 1;
    if (this.#seconds % STALE_SECONDS !== 0) return;
    for (const [topic, drawables] of this.#shows) {
      if (topic.status?.stale === true) for (const drawable of drawables) this.#painter.mark(drawable);
    }
  }

  #announce(text: string): void {
    say(this.#announcer, text);
  }

  #recoloured(): void {
    this.#filters.draw();
    this.#painter.markAll();
  }

  /** Other filters: the page goes on with what it has. */
  #go(address: Address): void {
    this.#page.go(address);
    history.replaceState(null, "", `#${write(address)}`);
    this.#filters.draw();
    this.#painter.markAll();
  }

  /** Another window or interval: all queries begin anew. */
  #reload(change: Partial<Address>): void {
    history.replaceState(null, "", `#${write({ ...this.#page.address, ...change })}`);
    location.reload();
  }

  /** Somebody wrote another address. */
  #moved(): void {
    if (write(read(location.hash)) !== write(this.#page.address)) location.reload();
  }

  #add(panel: Panel): boolean {
    const { address } = this.#page;
    if (address.panels.length >= PANELS_MAX) return false;
    this.#go({ ...address, panels: [...address.panels, panel] });
    this.#mount(panel);
    return true;
  }

  #mount(panel: Panel): void {
    const own = new Own(
      panel,
      this.#page.spanMs,
      () => this.#themes.ink,
      () => this.#remove(own),
    );
    this.#owns.push(own);
    this.#grid.append(own.element);
    this.#shows.set(own.topic, [own]);
    this.#painter.add(own);
    this.#link.add(own.topic);
  }

  #remove(own: Own): void {
    this.#link.remove(own.topic);
    this.#shows.delete(own.topic);
    this.#painter.remove(own);
    own.element.remove();
    this.#owns.splice(this.#owns.indexOf(own), 1);
    this.#go({ ...this.#page.address, panels: this.#owns.map(({ described }) => described) });
  }
}
