/** The edges: the network, time, chance, and whether anybody looks. Tests and workers put their own in place. */

import { ALWAYS_VISIBLE, ofDocument, type Visibility } from "./visibility.js";

export interface Environment {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly setTimer: (action: () => void, ms: number) => unknown;
  readonly clearTimer: (timer: unknown) => void;
  /** In [0, 1). */
  readonly random: () => number;
  readonly visibility: Visibility;
}

/** The browser's or Node's own. */
export function environment(own: Partial<Environment> = {}): Environment {
  return {
    fetch: (url, init) => fetch(url, init),
    now: Date.now,
    setTimer: (action, ms) => setTimeout(action, ms),
    clearTimer: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    random: Math.random,
    visibility: typeof document === "undefined" ? ALWAYS_VISIBLE : ofDocument(document),
    ...own,
  };
}
