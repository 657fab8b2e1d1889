/** What the badge says: how the connection and the data are. Pure. */

import type { Problem, State } from "@promcast/client";
import { duration } from "./units";

export interface Live {
  readonly kind: "live" | "late" | "off" | "paused";
  readonly text: string;
  /** How old the data are. */
  readonly age: string;
  /** What is the matter, for those who want to know. */
  readonly detail: string;
}

export interface Signs {
  readonly state: State | undefined;
  /** That of the query whose data are the oldest, milliseconds; none before anything came. */
  readonly age: number | undefined;
  /** Whether a topic's data are stale. */
  readonly stale: boolean;
}

export function live({ state, age, stale }: Signs): Live {
  const told = age === undefined ? "" : `data up to ${duration(age)} old`;
  const detail = state?.problem?.message ?? "";
  switch (state?.phase) {
    case "live":
      if (age === undefined) return { kind: "late", text: "Waiting", age: told, detail };
      return stale
        ? { kind: "late", text: "Stale", age: told, detail }
        : { kind: "live", text: "Live", age: told, detail };
    case "paused":
      return { kind: "paused", text: "Paused", age: told, detail: "nobody looks at the page" };
    case "reconnecting":
      return { kind: "late", text: "Reconnecting", age: told, detail };
    case "failed":
    case "closed":
      return { kind: "off", text: "Not connected", age: told, detail };
    case "connecting":
    case "idle":
    case undefined:
      return { kind: "late", text: "Connecting", age: told, detail };
  }
}

/** Whether a token is what is missing, and not anything that one panel could tell. */
export function wantsToken(problem: Problem | undefined): boolean {
  return problem?.status === 401 || problem?.type === "token_expired";
}
