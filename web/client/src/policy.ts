/** What to do when a stream has ended, or could not be opened. Pure. */

import { afterAnswer, type Bounds, bounded, fullJitter } from "./backoff.js";
import { local, Problem } from "./problem.js";
import type { Shutdown } from "./protocol.js";

/** How a stream ended. */
export type End =
  /** The client ended it: nothing to stream, paused, closed, or to begin anew. */
  | { readonly kind: "left" }
  /** The gateway does not know the connection any more, though nobody told its stream. */
  | { readonly kind: "gone" }
  | { readonly kind: "cut"; readonly problem: Problem }
  | { readonly kind: "refused"; readonly problem: Problem }
  | { readonly kind: "shutdown"; readonly event: Shutdown };

/** What is next. */
export type Next =
  | { readonly act: "open"; readonly afterMs: number }
  /** Ask for a new token, then open. */
  | { readonly act: "renew"; readonly afterMs: number }
  /** Something that was asked for was refused: ask for less at once, to find out what. */
  | { readonly act: "narrow" }
  | { readonly act: "stop"; readonly problem: Problem };

export interface Circumstances {
  /** How many streams in a row failed before this one. */
  readonly attempt: number;
  /** The last `retry:` of a gateway. */
  readonly retryMs: number | undefined;
  /** Whether a token can be asked for. */
  readonly renewable: boolean;
  /** Whether one was, since a stream was last opened. */
  readonly renewed: boolean;
  readonly bounds: Bounds;
  /** In [0, 1). */
  readonly random: number;
}

/** Decides. */
export function next(end: End, now: Circumstances): Next {
  const { attempt, retryMs, bounds, random } = now;
  const jitterMs = fullJitter(attempt, retryMs === undefined ? bounds.baseMs : bounded(retryMs), bounds.maxMs, random);
  switch (end.kind) {
    case "left":
    case "gone":
      return { act: "open", afterMs: 0 };
    case "cut":
      return { act: "open", afterMs: jitterMs };
    case "shutdown":
      return afterShutdown(end.event, now, jitterMs);
    case "refused":
      return afterRefusal(end.problem, now, jitterMs);
  }
}

function afterShutdown(event: Shutdown, now: Circumstances, jitterMs: number): Next {
  if (event.code === "token_expired" && now.renewable) {
    return { act: "renew", afterMs: now.attempt === 0 ? 0 : jitterMs };
  }
  if (event.reconnect) {
    // The gateway gave each of its clients another `retry:`; it is taken as it is.
    const afterMs = now.retryMs === undefined ? jitterMs : bounded(now.retryMs);
    return { act: "open", afterMs: now.attempt === 0 ? afterMs : Math.max(afterMs, jitterMs) };
  }
  return { act: "stop", problem: told(event) };
}

function afterRefusal(problem: Problem, now: Circumstances, jitterMs: number): Next {
  const { status, retryAfterMs } = problem;
  if (status === 401 && now.renewable && !now.renewed) return { act: "renew", afterMs: 0 };
  if (isPassing(status)) {
    const afterMs = retryAfterMs === undefined ? jitterMs : afterAnswer(retryAfterMs, jitterMs, now.random);
    return { act: "open", afterMs };
  }
  return concernsSubscriptions(status) ? { act: "narrow" } : { act: "stop", problem };
}

/** Whether the same request may succeed later. */
export function isPassing(status: number): boolean {
  return status === 0 || status === 408 || status === 425 || status === 429 || status >= 500;
}

/** Whether one of several subscriptions may be what is refused: it is not valid, too large, or not the caller's to see. */
export function concernsSubscriptions(status: number): boolean {
  return status === 400 || status === 403 || status === 413 || status === 422;
}

/** The end of a stream that stood: with a `shutdown` event, or without. */
export function ended(shutdown: Shutdown | undefined, cause?: unknown): End {
  if (shutdown !== undefined) return { kind: "shutdown", event: shutdown };
  return { kind: "cut", problem: local("interrupted", "the stream was interrupted", cause) };
}

/** The end of a stream that did not come to stand. */
export function failed(problem: Problem): End {
  // A page that somebody put in front of the gateway, with the status of success.
  const cut = problem.status === 0 || problem.status === 200;
  return cut ? { kind: "cut", problem } : { kind: "refused", problem };
}

/** Why a stream ended, where that was not the client's wish. */
export function problemOf(end: End): Problem | undefined {
  switch (end.kind) {
    case "cut":
    case "refused":
      return end.problem;
    case "shutdown":
      return told(end.event);
    case "left":
    case "gone":
      return undefined;
  }
}

function told({ code, message }: Shutdown): Problem {
  return new Problem({ type: code, status: 0, title: message, detail: "" });
}
