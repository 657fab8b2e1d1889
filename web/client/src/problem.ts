/** Why there is no stream: a gateway's problem document (RFC 9457), or what went wrong on the way to one. */

import type { Open, ProblemType, ShutdownCode } from "./protocol.js";

/** Problems that no gateway told, because none could. */
export const LOCAL_PROBLEMS = [
  /** The request got no answer. */
  "unreachable",
  /** The stream ended with no `shutdown` event. */
  "interrupted",
  /** The stream brought nothing for too long. */
  "silent",
  /** The stream brought something that is not of the contract. */
  "malformed",
  /** Something else than a gateway answered. */
  "not-a-gateway",
  /** The token callback failed. */
  "token-callback",
] as const;
export type LocalProblem = (typeof LOCAL_PROBLEMS)[number];

/** How a problem travels between a page and a shared worker. */
export interface ProblemFields {
  readonly type: Open<ProblemType | LocalProblem | ShutdownCode>;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly position?: number;
  readonly retryAfterMs?: number;
}

/** Why there is no stream. Branch on `type`; `message` is for people. */
export class Problem extends Error implements ProblemFields {
  override readonly name = "Problem";
  /** The short name of a gateway's problem, of a shutdown code, or one of `LOCAL_PROBLEMS`. */
  readonly type: Open<ProblemType | LocalProblem | ShutdownCode>;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly title: string;
  /** What to change. */
  readonly detail: string;
  /** Where in the query, as a character counted from 1. */
  readonly position?: number;
  /** The `Retry-After` of the answer. */
  readonly retryAfterMs?: number;

  constructor(fields: ProblemFields, cause?: unknown) {
    super(fields.detail === "" ? fields.title : `${fields.title}: ${fields.detail}`, { cause });
    this.type = fields.type;
    this.status = fields.status;
    this.title = fields.title;
    this.detail = fields.detail;
    if (fields.position !== undefined) this.position = fields.position;
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs;
  }

  /** The members that can be cloned. */
  fields(): ProblemFields {
    const { type, status, title, detail, position, retryAfterMs } = this;
    return {
      ...{ type, status, title, detail },
      ...(position === undefined ? {} : { position }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }
}

/** A problem that no gateway told. */
export function local(type: LocalProblem, title: string, cause?: unknown): Problem {
  const detail = cause instanceof Error ? cause.message : "";
  return new Problem({ type, status: 0, title, detail }, cause);
}

const PREFIX = "urn:promcast:problem:";

/** Reads an answer that is no stream. `now` is Unix milliseconds, for a `Retry-After` that is a date. */
export async function fromResponse(response: Response, now: number): Promise<Problem> {
  const wait = retryAfter(response.headers.get("retry-after"), now);
  const rest = { status: response.status, ...(wait === undefined ? {} : { retryAfterMs: wait }) };
  const { type, title, detail, position } = await json(response);
  if (typeof type !== "string" || !type.startsWith(PREFIX)) {
    const what = `the server answered ${response.status}, and not as a gateway does`;
    return new Problem({ type: "not-a-gateway", title: what, detail: "", ...rest });
  }
  return new Problem({
    type: type.slice(PREFIX.length),
    title: String(title ?? ""),
    detail: String(detail ?? ""),
    ...(typeof position === "number" ? { position } : {}),
    ...rest,
  });
}

/** A problem document as it may be: whoever answered, its members are looked at one by one. */
interface Document {
  readonly type?: unknown;
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly position?: unknown;
}

async function json(response: Response): Promise<Document> {
  try {
    const value: unknown = JSON.parse(await response.text());
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Milliseconds of a `Retry-After` (RFC 9110, 10.2.3), which is in seconds or a date. */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
