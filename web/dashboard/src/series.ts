/** A series as pictures draw it, and what is said of its values. Pure. */

export interface Series {
  readonly key: string;
  readonly title: string;
  /** Its place among all that there are, also those that are not shown: it keeps its colour. */
  readonly hue: number;
}

export interface Summary {
  readonly now: number | undefined;
  readonly low: number | undefined;
  readonly mean: number | undefined;
  readonly high: number | undefined;
}

const NOTHING: Summary = { now: undefined, low: undefined, mean: undefined, high: undefined };

/** `now` is the value at the newest tick, if there is one. */
export function summary(values: ArrayLike<number> | undefined): Summary {
  if (values === undefined) return NOTHING;
  let [low, high, total, count] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    [low, high, total, count] = [Math.min(low, value), Math.max(high, value), total + value, count + 1];
  }
  if (count === 0) return NOTHING;
  const last = values[values.length - 1] ?? Number.NaN;
  return { now: Number.isNaN(last) ? undefined : last, low, mean: total / count, high };
}

/** Numbers for a chart: it breaks its lines at null. */
export function drawable(values: ArrayLike<number> | undefined, length: number): (number | null)[] {
  return Array.from({ length }, (_, i) => {
    const value = values?.[i];
    return value === undefined || !Number.isFinite(value) ? null : value;
  });
}

/** How many ticks are missing between those that are there. */
export function missing(times: ArrayLike<number>, intervalMs: number): number {
  let count = 0;
  for (let i = 1; i < times.length; i += 1) {
    count += Math.max(0, Math.round(((times[i] ?? 0) - (times[i - 1] ?? 0)) / intervalMs) - 1);
  }
  return count;
}
