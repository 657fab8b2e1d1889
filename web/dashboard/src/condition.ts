/** What a panel says about its data besides showing them: that they are late, lost, wrong, or not there. Pure. */

import type { Failure, Gap, Problem, Status } from "@promcast/client";
import type { Outage } from "./topic";
import { clock, duration } from "./units";

export interface Circumstances {
  readonly status: Status | undefined;
  /** The last tick that failed, or the end of the subscription; none once a tick came. */
  readonly fault: Failure | Problem | undefined;
  readonly historyFault: Failure | undefined;
  readonly gaps: readonly Gap[];
  readonly outages: readonly Outage[];
  /** Whether anything came yet, be it an empty result. */
  readonly heard: boolean;
  readonly empty: boolean;
  readonly age: number | undefined;
}

export interface Condition {
  readonly kind: "error" | "stale" | "gap" | "empty" | "waiting";
  readonly text: string;
}

const GAP_REASONS: Readonly<Record<string, string>> = {
  history_expired: "older than what can be had again",
  slow_consumer: "this page was too slow to read them",
  upstream_slow: "the query runs longer than its interval",
  repair_budget: "an outage was too long to fetch all of it again",
};

const NO_METRIC = "No GPU has this metric";

/** The worst first. `missing` is what is said where there is no series. */
export function conditions(now: Circumstances, missing = NO_METRIC): Condition[] {
  const { status, fault, historyFault, gaps, outages, heard, empty, age } = now;
  const found: Condition[] = [];
  if (fault !== undefined) found.push({ kind: "error", text: told(fault) });
  if (status?.stale === true) {
    found.push({
      kind: "stale",
      text: `Stale${age === undefined ? "" : `: the newest data are ${duration(age)} old`}`,
    });
  }
  if (historyFault !== undefined) {
    found.push({ kind: "gap", text: `No history: ${historyFault.message}` });
  }
  const last = gaps.at(-1);
  if (last !== undefined) found.push({ kind: "gap", text: gapTold(last, gaps.length) });
  const outage = outages.at(-1);
  // As long as it lasts the fault itself is told.
  if (outage !== undefined && fault === undefined)
    found.push({ kind: "gap", text: outageTold(outage, outages.length) });
  if (found.length > 0) return found;
  if (!heard) return [{ kind: "waiting", text: "Waiting for data" }];
  return empty ? [{ kind: "empty", text: missing }] : [];
}

/** Other queries than the catalogue's have no GPUs. */
export const NO_SERIES = "The query has no result";

function told(fault: Failure | Problem): string {
  if ("title" in fault) return fault.message;
  return `${sentence(fault.message)} (${fault.code}${fault.retryable ? ", is tried again" : ""})`;
}

function outageTold({ from, to, failed, failure }: Outage, count: number): string {
  const what = `${failed} ${failed === 1 ? "tick" : "ticks"} failed ${during(from, to)}: ${failure.code}`;
  return count === 1 ? what : `${what}. ${count} times in all`;
}

function during(from: number, to: number): string {
  return from === to ? `at ${clock(from)}` : `from ${clock(from)} to ${clock(to)}`;
}

function gapTold({ from, to, missed, reason }: Gap, count: number): string {
  const what = `${missed} ${missed === 1 ? "tick is" : "ticks are"} missing ${during(from, to)}`;
  const why = GAP_REASONS[reason] ?? reason;
  return count === 1 ? `${what}: ${why}` : `${what}: ${why}. ${count} gaps in all`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
