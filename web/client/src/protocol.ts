/** What a gateway sends: the events of a stream, the problem documents before one, and their closed lists of codes. */

/** A code of a known list, or one that a newer gateway has: branch on those you know, and have a branch for the rest. */
export type Open<Known extends string> = Known | (string & Record<never, never>);

/** Why an evaluation failed; the `code` of an `error` event. */
export const ERROR_CODES = [
  "upstream_bad_data",
  "upstream_execution",
  "upstream_timeout",
  "upstream_canceled",
  "upstream_internal",
  "upstream_unreachable",
  "upstream_unauthorized",
  "upstream_overloaded",
  "upstream_malformed",
  "result_too_large",
  "result_too_many_series",
  "poller_unanswered",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Why updates are missing; the `reason` of a `gap` event. */
export const GAP_REASONS = ["history_expired", "slow_consumer", "upstream_slow", "repair_budget"] as const;
export type GapReason = (typeof GAP_REASONS)[number];

/** Why the gateway ends a stream; the `code` of a `shutdown` event. */
export const SHUTDOWN_CODES = [
  "draining",
  "closed_by_request",
  "token_expired",
  "access_revoked",
  "access_unconfirmed",
  "max_lifetime",
  "write_stalled",
] as const;
export type ShutdownCode = (typeof SHUTDOWN_CODES)[number];

/** The kinds of problem document (RFC 9457): the end of `type`, behind `urn:promcast:problem:`. */
export const PROBLEM_TYPES = [
  "invalid-query",
  "invalid-parameter",
  "invalid-cursor",
  "unknown-datasource",
  "forbidden",
  "unauthenticated",
  "not-found",
  "method-not-allowed",
  "not-acceptable",
  "uri-too-long",
  "headers-too-large",
  "body-too-large",
  "unsupported-media-type",
  "rate-limited",
  "user-limit",
  "at-capacity",
  "draining",
  "unavailable",
  "internal",
] as const;
export type ProblemType = (typeof PROBLEM_TYPES)[number];

/** The label set of a series. */
export type Labels = Readonly<Record<string, string>>;

/** Unix seconds, and the value as Prometheus prints it: `"1.5"`, `"NaN"`, `"+Inf"`. */
export type Sample = readonly [time: number, value: string];

/** A native histogram as Prometheus prints it; a bucket is `[boundary rule, lower, upper, count]`. */
export interface Histogram {
  readonly count: string;
  readonly sum: string;
  readonly buckets?: readonly (readonly [rule: number, lower: string, upper: string, count: string])[];
}

/** A series in an instant vector. */
export type VectorItem =
  | { readonly metric: Labels; readonly value: Sample }
  | { readonly metric: Labels; readonly histogram: readonly [time: number, histogram: Histogram] };

/** A series in a matrix. */
export interface MatrixItem {
  readonly metric: Labels;
  readonly values?: readonly Sample[];
  readonly histograms?: readonly (readonly [time: number, histogram: Histogram])[];
}

export interface Vector {
  readonly resultType: "vector";
  readonly result: readonly VectorItem[];
}

export interface Matrix {
  readonly resultType: "matrix";
  readonly result: readonly MatrixItem[];
}

/** A result as Prometheus answers it to `/api/v1/query`. */
export type Data = Vector | Matrix | { readonly resultType: "scalar" | "string"; readonly result: Sample };

/** What Prometheus remarked on a query. */
export interface Remarks {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/** Where a subscription goes on: with the current tick, after the one that was named, or likewise with ticks out of reach,
 * from `from` to `to` (Unix milliseconds): a backfill or a gap follows. */
export type Resume =
  | { readonly outcome: "live" | "resumed" }
  | { readonly outcome: "gap"; readonly from: number; readonly to: number };

/** A subscription as the gateway took it. */
export interface Subscribed {
  readonly id: string;
  readonly topic: string;
  readonly query: string;
  readonly datasource: string;
  /** Seconds. */
  readonly interval: number;
  readonly resume: Resume;
}

/** `connected`: the first event of a stream. */
export interface Connected {
  readonly connection_id: string;
  readonly replica: string;
  /** Unix milliseconds. */
  readonly server_time: number;
  readonly heartbeat_seconds: number;
  readonly format?: string;
  readonly subscriptions: readonly Subscribed[];
}

/** `subscriptions`: what a PATCH changed. */
export interface SubscriptionsChanged {
  readonly added: readonly Subscribed[];
  readonly removed: readonly string[];
}

/** `metric-update`: the result of a topic at a tick (Unix milliseconds), complete. */
export interface Update extends Remarks {
  readonly topic: string;
  readonly tick: number;
  /** How long Prometheus took. */
  readonly took_ms: number;
  readonly data: Data;
}

/** `schema`: the series that compact updates of a topic are about. */
export interface Schema {
  readonly topic: string;
  readonly schema: string;
  readonly series: readonly Labels[];
}

/** `metric-update` in the format `compact`: values only, in the order of the schema. */
export interface CompactUpdate extends Remarks {
  readonly topic: string;
  readonly tick: number;
  readonly took_ms: number;
  readonly schema: string;
  readonly time: number;
  readonly values: readonly (string | Histogram)[];
  /** Where given, value `i` is of the series `order[i]` of the schema. */
  readonly order?: readonly number[];
}

/** `backfill`: all ticks of a subscription from `from` to `to` (Unix milliseconds, both included). */
export interface Backfill extends Remarks {
  readonly topic: string;
  /** Seconds. */
  readonly interval: number;
  readonly from: number;
  readonly to: number;
  readonly data: Matrix;
}

/** `error`: a tick that failed, or with `during` a backfill that did. The stream goes on. */
export interface Failure {
  readonly topic: string;
  readonly tick?: number;
  readonly code: Open<ErrorCode>;
  readonly message: string;
  /** Whether the next tick may succeed with nobody changing anything. */
  readonly retryable: boolean;
  readonly during?: "backfill";
  readonly from?: number;
  readonly to?: number;
}

/** `gap`: ticks that this stream will not see. */
export interface Gap {
  readonly topic: string;
  /** Seconds. */
  readonly interval: number;
  readonly from: number;
  readonly to: number;
  readonly missed: number;
  readonly reason: Open<GapReason>;
}

/** `heartbeat`. */
export interface Heartbeat {
  readonly server_time: number;
}

/** `shutdown`: the last event of a stream that the gateway ends. */
export interface Shutdown {
  readonly code: Open<ShutdownCode>;
  readonly reconnect: boolean;
  readonly message: string;
}

/** Every event of a stream by its name. */
export interface Events {
  readonly connected: Connected;
  readonly subscriptions: SubscriptionsChanged;
  readonly schema: Schema;
  readonly "metric-update": Update | CompactUpdate;
  readonly backfill: Backfill;
  readonly error: Failure;
  readonly gap: Gap;
  readonly heartbeat: Heartbeat;
  readonly shutdown: Shutdown;
}

/** A subscription as it is asked for, in the body of a POST and in `add` of a PATCH. */
export interface Ask {
  readonly id: string;
  readonly query: string;
  readonly interval: number;
  readonly datasource?: string;
  /** The last tick seen. */
  readonly after?: number;
}
