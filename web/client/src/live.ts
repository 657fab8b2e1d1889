/** A stream that is open or being opened: how it is ended, and the watch over its silence. */

import type { Environment } from "./environment.js";
import type { End } from "./policy.js";
import { local } from "./problem.js";
import type { Session } from "./session.js";

export class Live {
  readonly session: Session;
  readonly #edge: Environment;
  readonly #controller = new AbortController();
  /** When the `connected` event came, Unix milliseconds. */
  connectedAt = Number.POSITIVE_INFINITY;
  #over: End | undefined;
  #timer: unknown;
  #limitMs = 0;
  #lifeAt = 0;

  constructor(session: Session, edge: Environment) {
    this.session = session;
    this.#edge = edge;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How it ended. */
  get over(): End | undefined {
    return this.#over;
  }

  /** Ends it. The first reason counts. */
  end(end: End): void {
    if (this.#over !== undefined) return;
    this.#over = end;
    this.#edge.clearTimer(this.#timer);
    this.#controller.abort();
  }

  life(): void {
    this.#lifeAt = this.#edge.now();
  }

  /** From now on it may bring nothing for so long. */
  limit(ms: number): void {
    this.#limitMs = ms;
    this.life();
    this.#watch(ms);
  }

  #watch(ms: number): void {
    this.#edge.clearTimer(this.#timer);
    this.#timer = this.#edge.setTimer(() => {
      const left = this.#lifeAt + this.#limitMs - this.#edge.now();
      if (left > 0) this.#watch(left);
      else this.end({ kind: "cut", problem: local("silent", "the gateway has gone silent") });
    }, ms);
  }
}
