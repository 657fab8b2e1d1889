/** What all parts of the page share: the topics, who is shown, and when. */

import { type Address, HOME } from "./address";
import { age } from "./age";
import { QUANTITIES, type QuantityName, quantity, query } from "./catalogue";
import { type Circumstances, type Condition, conditions } from "./condition";
import { shown } from "./filter";
import { gpuOf, title } from "./gpu";
import { type Member, Roster, severalNodes } from "./roster";
import type { Series } from "./series";
import { Topic } from "./topic";

/** How long a GPU that has no data stays on the page. */
const FORGET_MS = 300_000;

/** The quantity that every GPU has: what is there is read from it. */
const CENSUS: QuantityName = "temperature";

export class Page {
  readonly topics: Readonly<Record<QuantityName, Topic>>;
  readonly spanMs: number;
  readonly #roster = new Roster();
  #address: Address;
  #series: readonly Series[] = [];
  #shown: readonly Member[] = [];

  constructor(address: Address = HOME) {
    this.#address = address;
    this.spanMs = address.window * 60_000;
    const topic = (name: QuantityName) =>
      new Topic(query(name), address.interval, this.spanMs, (set) => gpuOf(set).key);
    const names = Object.keys(QUANTITIES) as QuantityName[];
    this.topics = Object.fromEntries(names.map((name) => [name, topic(name)])) as Record<QuantityName, Topic>;
  }

  get address(): Address {
    return this.#address;
  }

  get members(): readonly Member[] {
    return this.#roster.members;
  }

  /** Those that the filter leaves. */
  get shown(): readonly Member[] {
    return this.#shown;
  }

  /** The same as series, each with the colour that it has in every picture. */
  get series(): readonly Series[] {
    return this.#series;
  }

  /** The newest tick of all. */
  get newest(): number {
    const ticks = Object.values(this.topics).map(({ columns }) => columns.newest ?? 0);
    return Math.max(...ticks);
  }

  /** Takes other filters and panels. */
  go(address: Address): void {
    this.#address = address;
    this.#choose();
  }

  /** Looks at who is there; says whether that changed. */
  census(topic: Topic): boolean {
    if (topic !== this.topics[CENSUS] || topic.arrival === undefined) return false;
    if (!this.#roster.take([...topic.labels.values()], topic.arrival.tick, FORGET_MS)) return false;
    this.#choose();
    return true;
  }

  /** Whether any of these is older than it should be. */
  stale(names: readonly QuantityName[]): boolean {
    return names.some((name) => this.topics[name].status?.stale === true);
  }

  conditions(topic: Topic, now: number): Condition[] {
    const name = (Object.keys(this.topics) as QuantityName[]).find((candidate) => this.topics[candidate] === topic);
    const missing = name === undefined ? undefined : quantity(name).missing;
    return conditions(circumstances(topic, now), missing);
  }

  #choose(): void {
    const { members } = this.#roster;
    const several = severalNodes(members);
    this.#shown = shown(members, this.#address.filter);
    const hues = new Map(members.map(({ gpu }, hue) => [gpu.key, hue]));
    this.#series = this.#shown.map(({ gpu }) => ({
      key: gpu.key,
      title: title(gpu, several),
      hue: hues.get(gpu.key) ?? 0,
    }));
  }
}

export function circumstances(topic: Topic, now: number): Circumstances {
  const { status, fault, historyFault, gaps, outages, arrival, columns } = topic;
  return {
    ...{ status, fault, historyFault, gaps, outages },
    heard: columns.newest !== undefined || arrival !== undefined,
    empty: topic.labels.size === 0,
    age: arrival === undefined ? undefined : age(arrival, now),
  };
}
