/** Brings a live connection to what is wanted, by PATCH: one request at a time, each with all that changed meanwhile. */

import { difference, type Wire } from "./batch.js";
import type { Feed } from "./feed.js";
import { concernsSubscriptions, isPassing } from "./policy.js";
import type { Problem } from "./problem.js";
import type { Ask } from "./protocol.js";
import type { Session } from "./session.js";
import type { Amendment } from "./stream.js";

export interface Hands {
  /** What is to be streamed. */
  readonly wanted: () => readonly Wire[];
  /** Sends a PATCH; what it rejects with is a `Problem`. */
  readonly patch: (amendment: Amendment) => Promise<unknown>;
  /** Waits before another attempt. */
  readonly pause: (problem: Problem, attempt: number) => Promise<void>;
  /** Whether the stream still stands. */
  readonly standing: () => boolean;
  /** A subscription that the gateway refuses. */
  readonly refuse: (feed: Feed, problem: Problem) => void;
}

/** Returns when nothing is left to change or the stream no longer stands; with a problem where it must be opened anew. */
export async function amend(session: Session, hands: Hands): Promise<Problem | undefined> {
  let most = Number.POSITIVE_INFINITY;
  let attempt = 0;
  while (hands.standing()) {
    const change = difference(hands.wanted(), session.wires, most);
    if (change === undefined) return undefined;
    const { add, remove } = change;
    for (const wire of add) session.ask(wire);
    try {
      await hands.patch({ add: add.map(ask), remove });
      for (const wire of add) session.wires.set(wire.id, wire);
      for (const id of remove) session.wires.delete(id);
      [most, attempt] = [most * 2, 0];
    } catch (fault) {
      const problem = fault as Problem;
      if (!hands.standing()) return undefined;
      if (isPassing(problem.status)) {
        await hands.pause(problem, attempt++);
      } else if (concernsSubscriptions(problem.status) && add.length > 0) {
        // All or nothing: with less at once the one that is refused is found, and the others are not held up.
        if (add.length === 1 && add[0] !== undefined) hands.refuse(add[0].feed, problem);
        most = Math.ceil(add.length / 2);
      } else {
        return problem;
      }
    }
  }
  return undefined;
}

/** A subscription as it stands in a request. */
export function ask({ id, feed, interval }: Wire): Ask {
  const { query, datasource, last } = feed;
  return {
    ...{ id, query, interval },
    ...(datasource === undefined ? {} : { datasource }),
    ...(last === undefined ? {} : { after: last }),
  };
}
