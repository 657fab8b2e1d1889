/** How far a subscription has come: what to resume after, and what came before. Pure. */

import type { Backfill, MatrixItem } from "./protocol.js";

/** The ticks that were seen, as one range: a stream has no hole that is not told as a gap. */
export class Progress {
  #first: number | undefined;
  #last: number | undefined;

  /** The newest tick, for `after`. */
  get last(): number | undefined {
    return this.#last;
  }

  /** Takes a tick, or says that it came before. */
  take(tick: number): boolean {
    if (this.#last !== undefined && tick <= this.#last) return false;
    this.#first ??= tick;
    this.#last = tick;
    return true;
  }

  /** Takes ticks that are lost, or says that all of them came before. */
  skip(from: number, to: number): boolean {
    if (this.#last !== undefined && to <= this.#last) return false;
    this.#first ??= from;
    this.#last = to;
    return true;
  }

  /** Takes the part of a backfill that is new: what lies before the first tick or behind the last. */
  fill(backfill: Backfill): Backfill | undefined {
    const { from, to } = backfill;
    const [first, last] = [this.#first, this.#last];
    if (first === undefined || last === undefined) {
      [this.#first, this.#last] = [from, to];
      return backfill;
    }
    if (from >= first && to <= last) return undefined;
    [this.#first, this.#last] = [Math.min(first, from), Math.max(last, to)];
    if (to < first || from > last) return backfill;
    return without(backfill, first, last);
  }
}

/** A backfill without its points from `first` to `last`, Unix milliseconds. */
function without(backfill: Backfill, first: number, last: number): Backfill {
  const fresh = ([seconds]: readonly [number, unknown]) => {
    const tick = Math.round(seconds * 1000);
    return tick < first || tick > last;
  };
  const result = backfill.data.result.map(
    (item): MatrixItem => ({
      metric: item.metric,
      ...(item.values && { values: item.values.filter(fresh) }),
      ...(item.histograms && { histograms: item.histograms.filter(fresh) }),
    }),
  );
  const from = backfill.from < first ? backfill.from : last + 1;
  const to = backfill.to > last ? backfill.to : first - 1;
  return { ...backfill, from, to, data: { resultType: "matrix", result } };
}
