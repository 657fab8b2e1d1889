/** How long to wait before the next attempt: full jitter, so that many clients who lost one gateway do not come back
 * together. Pure. */

export interface Bounds {
  /** The window of the first attempt, where the gateway named none with `retry:`. */
  readonly baseMs: number;
  /** The widest window. */
  readonly maxMs: number;
}

/** A gateway that asks for more than this is not believed. */
const LONGEST_MS = 600_000;

/** What is added to a `Retry-After` at most: it counts whole seconds, which many clients may have been told. */
const SPREAD_MS = 1_000;

/** A wait in a window that doubles with each failed attempt; `random` is in [0, 1). */
export function fullJitter(attempt: number, baseMs: number, maxMs: number, random: number): number {
  return random * Math.min(maxMs, Math.max(1, baseMs) * 2 ** Math.min(attempt, 30));
}

/** A wait that is no shorter than what an answer asked for. */
export function afterAnswer(askedMs: number, jitterMs: number, random: number): number {
  return Math.max(Math.min(askedMs, LONGEST_MS) + random * SPREAD_MS, jitterMs);
}

/** The wait that `retry:` asks for, within reason. */
export function bounded(retryMs: number): number {
  return Math.min(Math.max(0, retryMs), LONGEST_MS);
}
