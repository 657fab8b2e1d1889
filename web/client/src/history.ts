/** What a subscription has seen lately, for those who join it later. Pure. */

import type { Backfill, Gap, Update } from "./protocol.js";

export type Seen =
  | { readonly kind: "update"; readonly event: Update }
  | { readonly kind: "backfill"; readonly event: Backfill }
  | { readonly kind: "gap"; readonly event: Gap };

/** Keeps as much as a backfill would bring; with no backfill, the newest update. */
export class History {
  readonly #spanMs: number;
  #seen: Seen[] = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  add(seen: Seen): void {
    if (this.#spanMs === 0) {
      if (seen.kind === "update") this.#seen = [seen];
      return;
    }
    this.#seen.push(seen);
    this.#seen.sort((one, other) => end(one) - end(other));
    const oldest = end(this.#seen.at(-1) ?? seen) - this.#spanMs;
    const kept = this.#seen.findIndex((candidate) => end(candidate) > oldest);
    if (kept > 0) this.#seen.splice(0, kept);
  }

  /** In the order of time. */
  all(): readonly Seen[] {
    return this.#seen;
  }
}

function end(seen: Seen): number {
  return seen.kind === "update" ? seen.event.tick : seen.event.to;
}
