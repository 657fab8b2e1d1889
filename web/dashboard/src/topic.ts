/** What is known of one query: its points in the window, and how it is doing. No I/O. */

import {
  type Backfill,
  type Failure,
  type Gap,
  type Labels,
  type Problem,
  type Status,
  samples,
  type Update,
} from "@promcast/client";
import type { Arrival } from "./age";
import { Columns } from "./columns";
import { wantsToken } from "./live";

/** Gaps that are told; older ones are only counted as long as the window has them. */
const GAPS_MAX = 50;

/** Ticks in a row that failed. */
export interface Outage {
  readonly from: number;
  readonly to: number;
  readonly failed: number;
  /** Of the last of them. */
  readonly failure: Failure;
}

export class Topic {
  readonly query: string;
  readonly interval: number;
  readonly spanMs: number;
  readonly columns: Columns<string>;
  readonly #keyOf: (labels: Labels) => string;
  readonly #labels = new Map<string, Labels>();
  readonly #gaps: Gap[] = [];
  readonly #outages: Outage[] = [];
  #status: Status | undefined;
  #fault: Failure | Problem | undefined;
  #historyFault: Failure | undefined;
  #arrival: Arrival | undefined;

  /** `interval` in seconds. Series with equal keys are one. */
  constructor(query: string, interval: number, spanMs: number, keyOf: (labels: Labels) => string) {
    [this.query, this.interval, this.spanMs, this.#keyOf] = [query, interval, spanMs, keyOf];
    this.columns = new Columns(spanMs, Math.ceil(spanMs / (interval * 1000)));
  }

  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  get outages(): readonly Outage[] {
    return this.#outages;
  }

  get status(): Status | undefined {
    return this.#status;
  }

  get fault(): Failure | Problem | undefined {
    return this.#fault;
  }

  get historyFault(): Failure | undefined {
    return this.#historyFault;
  }

  /** When the newest result came. */
  get arrival(): Arrival | undefined {
    return this.#arrival;
  }

  /** The label sets of the newest result, by key. */
  get labels(): ReadonlyMap<string, Labels> {
    return this.#labels;
  }

  /** Takes a result that came at `now`. */
  result(event: Update | Backfill, now: number): void {
    const tick = "tick" in event ? event.tick : event.to;
    const series = samples(event);
    const known = new Map<string, Labels>();
    for (const { metric, points } of series) {
      const key = this.#keyOf(metric);
      known.set(key, metric);
      for (const [time, value] of points) this.columns.put(key, time, value);
    }
    if ("tick" in event && series.length === 0) this.columns.blank(tick);
    this.columns.trim(tick);
    this.#forgetGaps(tick);
    if (this.#arrival !== undefined && tick < this.#arrival.tick) return;
    if ("tick" in event)
      [this.#fault, this.#arrival] = [undefined, { tick, at: now, intervalMs: this.interval * 1000 }];
    this.#labels.clear();
    for (const [key, metric] of known) this.#labels.set(key, metric);
  }

  gap(gap: Gap): void {
    this.#gaps.push(gap);
    if (this.#gaps.length > GAPS_MAX) this.#gaps.shift();
    this.columns.lost(gap.from);
  }

  error(fault: Failure | Problem): void {
    if ("during" in fault && fault.during === "backfill") {
      this.#historyFault = fault;
      return;
    }
    if ("title" in fault && wantsToken(fault)) return;
    this.#fault = fault;
    if ("tick" in fault && fault.tick !== undefined) this.#failed(fault, fault.tick);
  }

  #failed(failure: Failure, tick: number): void {
    this.columns.lost(tick);
    const last = this.#outages.at(-1);
    if (last !== undefined && last.to >= (this.#arrival?.tick ?? 0)) {
      this.#outages[this.#outages.length - 1] = { ...last, to: tick, failed: last.failed + 1, failure };
    } else this.#outages.push({ from: tick, to: tick, failed: 1, failure });
    if (this.#outages.length > GAPS_MAX) this.#outages.shift();
  }

  watch(status: Status): void {
    this.#status = status;
    if (status.phase !== "failed" && this.#fault !== undefined && "title" in this.#fault) this.#fault = undefined;
  }

  #forgetGaps(now: number): void {
    for (const list of [this.#gaps, this.#outages]) {
      while (list[0] !== undefined && list[0].to < now - this.spanMs) list.shift();
    }
    if (this.#historyFault !== undefined && (this.#historyFault.to ?? 0) < now - this.spanMs)
      this.#historyFault = undefined;
  }
}

/** The times of which nothing is known. */
export function unknown({ gaps, outages }: Topic): readonly { readonly from: number; readonly to: number }[] {
  return [...gaps, ...outages];
}
