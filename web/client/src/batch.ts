/** Many changes of one turn of the event loop become one request. */

import type { Feed } from "./feed.js";

/** A subscription as the gateway knows it. */
export interface Wire {
  readonly id: string;
  readonly feed: Feed;
  /** Seconds. */
  readonly interval: number;
}

/** Runs an action once in a microtask, however often it was asked for before that. */
export function batched(action: () => void): () => void {
  let pending = false;
  return () => {
    if (pending) return;
    pending = true;
    queueMicrotask(() => {
      pending = false;
      action();
    });
  };
}

export interface Difference {
  readonly add: readonly Wire[];
  readonly remove: readonly string[];
}

/** What to change so that a connection streams what is wanted; nothing where it does. At most `most` are added. */
export function difference(
  wanted: Iterable<Wire>,
  known: ReadonlyMap<string, Wire>,
  most = Number.POSITIVE_INFINITY,
): Difference | undefined {
  const missing: Wire[] = [];
  const surplus = new Set(known.keys());
  for (const wire of wanted) {
    if (!surplus.delete(wire.id)) missing.push(wire);
  }
  if (missing.length === 0 && surplus.size === 0) return undefined;
  return { add: missing.slice(0, most), remove: [...surplus] };
}
