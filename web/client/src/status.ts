/** How a subscription is doing: whether its connection stands, and how old its newest update is. Pure. */

import type { Problem } from "./problem.js";

/** How a connection is doing. */
export type Phase = "idle" | "connecting" | "live" | "reconnecting" | "paused" | "failed";

export interface Status {
  /** The connection's phase; `connecting` also until the first update. */
  readonly phase: Phase;
  /** The newest update is older than it should be; also while the connection is down. */
  readonly stale: boolean;
  /** The newest update's tick, Unix milliseconds. */
  readonly tick: number | null;
  /** Seconds between updates: the shortest that anybody on this client asked for. */
  readonly interval: number;
  /** Why the connection is not live. */
  readonly problem?: Problem;
}

/** Added to two intervals: an evaluation and its way to the client take time. */
const GRACE_MS = 5_000;

/** From when on, in the gateway's time, an update is stale. */
export function staleFrom(tick: number, interval: number): number {
  return tick + 2 * interval * 1000 + GRACE_MS;
}

export interface Facts {
  readonly phase: Phase;
  readonly problem: Problem | undefined;
  readonly tick: number | undefined;
  readonly interval: number;
  /** The gateway's time, Unix milliseconds. */
  readonly serverNow: number;
}

export function statusOf({ phase, problem, tick, interval, serverNow }: Facts): Status {
  return {
    phase: phase === "live" && tick === undefined ? "connecting" : phase,
    stale: tick !== undefined && serverNow >= staleFrom(tick, interval),
    tick: tick ?? null,
    interval,
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Whether it is worth telling. A newer tick alone is not: the update itself tells it. */
export function differs(one: Status | undefined, other: Status): boolean {
  return (
    one === undefined ||
    one.phase !== other.phase ||
    one.stale !== other.stale ||
    one.interval !== other.interval ||
    one.problem !== other.problem
  );
}
