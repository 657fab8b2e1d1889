/** How old the data are. Pure. */

export interface Arrival {
  /** The newest tick, Unix milliseconds of the gateway. */
  readonly tick: number;
  /** When it came, Unix milliseconds of this machine. */
  readonly at: number;
  readonly intervalMs: number;
}

/**
 * The time since the tick. What passed before it came is between two machines' clocks, which may differ: it counts as no
 * less than nothing, and no more than an interval, since it was the newest when it came.
 */
export function age({ tick, at, intervalMs }: Arrival, now: number): number {
  return Math.max(0, now - at) + Math.min(Math.max(0, at - tick), intervalMs);
}
