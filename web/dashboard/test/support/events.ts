/** Events as the client hands them on, in few words. */

import type { Backfill, Failure, Gap, Labels, Status, Update } from "@promcast/client";

export function update(tick: number, ...values: readonly (readonly [Labels, string])[]): Update {
  const result = values.map(([metric, value]) => ({ metric, value: [tick / 1000, value] as const }));
  return { topic: "t", tick, took_ms: 1, data: { resultType: "vector", result } };
}

export function backfill(ticks: readonly number[], metric: Labels, value: (tick: number) => number): Backfill {
  const values = ticks.map((tick) => [tick / 1000, String(value(tick))] as const);
  const [from, to] = [ticks[0] ?? 0, ticks.at(-1) ?? 0];
  return { topic: "t", interval: 5, from, to, data: { resultType: "matrix", result: [{ metric, values }] } };
}

export function gap(from: number, to: number): Gap {
  return { topic: "t", interval: 5, from, to, missed: (to - from) / 5000 + 1, reason: "repair_budget" };
}

export function failure(fields: Partial<Failure> = {}): Failure {
  return { topic: "t", code: "upstream_unreachable", message: "nobody answers", retryable: true, ...fields };
}

export const LIVE: Status = { phase: "live", stale: false, tick: null, interval: 5 };
