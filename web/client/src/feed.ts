/** One query of a client, shared by all who subscribed to it: what comes is told to each of them once. */

import { History, type Seen } from "./history.js";
import type { Problem } from "./problem.js";
import { Progress } from "./progress.js";
import type { Backfill, Failure, Gap, Update } from "./protocol.js";
import { differs, type Facts, type Status, statusOf } from "./status.js";

/** What a subscriber wants to be told. Each is called with events of its own query only. */
export interface Handlers {
  /** The result at a tick: each tick once, in order. */
  readonly update?: (update: Update) => void;
  /** What was before, where the client has `backfill`: no tick that was told already. */
  readonly backfill?: (backfill: Backfill) => void;
  /** Ticks that will not be seen. */
  readonly gap?: (gap: Gap) => void;
  /** A tick that failed (the event), or the end of this subscription (a `Problem`). */
  readonly error?: (fault: Failure | Problem) => void;
  /** The connection, and the age of the data. */
  readonly status?: (status: Status) => void;
}

/** One who subscribed. */
export interface Member {
  readonly interval: number;
  readonly handlers: Handlers;
}

export class Feed {
  readonly query: string;
  readonly datasource: string | undefined;
  readonly #members = new Set<Member>();
  /** Those who have been told what was before they came. */
  readonly #active = new Set<Member>();
  readonly #progress = new Progress();
  readonly #history: History;
  #newest: number | undefined;
  #status: Status | undefined;
  #ended: Problem | undefined;

  constructor(query: string, datasource: string | undefined, historyMs: number) {
    this.query = query;
    this.datasource = datasource;
    this.#history = new History(historyMs);
  }

  /** Seconds: the shortest that a member asked for. */
  get interval(): number {
    return Math.min(...[...this.#members].map((member) => member.interval));
  }

  get empty(): boolean {
    return this.#members.size === 0;
  }

  /** The last tick that came, for `after`. */
  get last(): number | undefined {
    return this.#progress.last;
  }

  /** The last tick that came with data. */
  get newest(): number | undefined {
    return this.#newest;
  }

  /** Takes a member. In a microtask it is told what was seen lately, and from then on what comes. */
  join(member: Member): void {
    this.#members.add(member);
    queueMicrotask(() => {
      if (!this.#members.has(member)) return;
      for (const seen of this.#history.all()) tell(member, seen);
      if (this.#status !== undefined) call(member.handlers.status, this.#status);
      if (this.#ended !== undefined) call(member.handlers.error, this.#ended);
      this.#active.add(member);
    });
  }

  leave(member: Member): void {
    this.#members.delete(member);
    this.#active.delete(member);
  }

  /** Forgets all members. */
  clear(): void {
    this.#members.clear();
    this.#active.clear();
  }

  update(event: Update): void {
    if (!this.#progress.take(event.tick)) return;
    this.#newest = event.tick;
    this.#tell({ kind: "update", event });
  }

  backfill(event: Backfill): void {
    const fresh = this.#progress.fill(event);
    if (fresh === undefined) return;
    this.#newest = Math.max(this.#newest ?? fresh.to, fresh.to);
    this.#tell({ kind: "backfill", event: fresh });
  }

  gap(event: Gap): void {
    if (this.#progress.skip(event.from, event.to)) this.#tell({ kind: "gap", event });
  }

  failure(event: Failure): void {
    if (event.tick !== undefined && !this.#progress.take(event.tick)) return;
    for (const member of [...this.#active]) call(member.handlers.error, event);
  }

  /** Tells that nothing will come any more, unless the connection is opened anew. */
  end(problem: Problem): void {
    this.#ended = problem;
    for (const member of [...this.#active]) call(member.handlers.error, problem);
  }

  /** Tells how it is doing, where that has changed. */
  observe(facts: Omit<Facts, "tick" | "interval">): void {
    if (this.empty) return;
    if (facts.phase !== "failed") this.#ended = undefined;
    const status = statusOf({ ...facts, tick: this.#newest, interval: this.interval });
    const changed = differs(this.#status, status);
    this.#status = status;
    if (!changed) return;
    for (const member of [...this.#active]) call(member.handlers.status, status);
  }

  #tell(seen: Seen): void {
    this.#history.add(seen);
    for (const member of [...this.#active]) tell(member, seen);
  }
}

function tell({ handlers }: Member, seen: Seen): void {
  if (seen.kind === "update") call(handlers.update, seen.event);
  else if (seen.kind === "backfill") call(handlers.backfill, seen.event);
  else call(handlers.gap, seen.event);
}

/** A fault of a subscriber is its own: it is reported where uncaught errors go, and the others are told all the same. */
export function call<Argument>(handler: ((argument: Argument) => void) | undefined, argument: Argument): void {
  try {
    handler?.(argument);
  } catch (fault) {
    queueMicrotask(() => {
      throw fault;
    });
  }
}
