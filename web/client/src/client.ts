/** The client: queries in, events out, over as few connections as will do. */

import { Connection, FEEDS_MAX, type Settings } from "./connection.js";
import { parseDuration } from "./duration.js";
import { type Environment, environment } from "./environment.js";
import { call, Feed, type Handlers, type Member } from "./feed.js";
import type { Problem } from "./problem.js";
import { checked, type Question } from "./question.js";
import type { Phase } from "./status.js";
import { Token, type TokenCallback } from "./token.js";

/** A query that is being streamed to one subscriber. */
export interface Subscription {
  /** Ends it: no handler is called after this. */
  readonly close: () => void;
}

/** How a client's connections are doing: the worst of them. */
export interface State {
  readonly phase: Phase | "closed";
  readonly connections: number;
  readonly problem?: Problem;
}

/** What a `Client` and a tab on a shared worker have in common. */
export interface Streams {
  readonly subscribe: (question: Question, handlers: Handlers) => Subscription;
  /** Calls back with the state, now and at each change, until the returned function is called. */
  readonly watch: (changed: (state: State) => void) => () => void;
  /** Opens all connections anew, also after a failure: with a new token, for example. */
  readonly reconnect: () => void;
  readonly close: () => void;
}

/** Options that can be handed to a shared worker. */
export interface SharedOptions {
  /** The gateway's address, such as `https://gateway.example.com`; the page's own origin by default. */
  readonly url?: string;
  /** Shows these namespaces only. Never more than one may see. */
  readonly namespaces?: readonly string[];
  /** How much history each subscription begins with, such as `15m`, and what is to be had again after an outage. */
  readonly backfill?: string;
  /** `compact` (the default) sends values without their labels; what handlers are given is the same in both. */
  readonly format?: "compact" | "prometheus";
  /** Whether cookies go with requests; `same-origin` by default. */
  readonly credentials?: RequestCredentials;
  /** How long a page is hidden before its streams are paused; 30 s by default, `false` for never. */
  readonly pauseAfterMs?: number | false;
  /** How long a stream may bring nothing before it is opened anew; 1.5 heartbeats (45 s) by default. */
  readonly silenceMs?: number;
  /** The window of the first reconnect, where the gateway named none; 1 s by default. Doubles with each attempt. */
  readonly retryBaseMs?: number;
  /** The widest window; 30 s by default. */
  readonly retryMaxMs?: number;
}

export interface ClientOptions extends SharedOptions {
  /** The bearer token, or what gives one: called at first, and anew when the gateway no longer takes the last. */
  readonly token?: string | TokenCallback;
  /** For tests and unusual surroundings: another `fetch`, clock, timers, chance, visibility. */
  readonly environment?: Partial<Environment>;
}

const STREAM_PATH = "/api/v1/metrics/stream";
const PAUSE_AFTER_MS = 30_000;

/** The worst first. */
const PHASES: readonly Phase[] = ["failed", "reconnecting", "connecting", "paused", "live", "idle"];

export class Client implements Streams {
  readonly #edge: Environment;
  readonly #settings: Settings;
  readonly #historyMs: number;
  readonly #pauseAfterMs: number | false;
  readonly #feeds = new Map<string, Feed>();
  readonly #watchers = new Set<(state: State) => void>();
  readonly #unwatch: () => void;
  #connections: readonly Connection[] = [];
  #told: State | undefined;
  #ids = 0;
  #hiddenTimer: unknown;
  #paused = false;
  #closed = false;

  constructor(options: ClientOptions = {}) {
    this.#edge = environment(options.environment);
    this.#historyMs = options.backfill === undefined ? 0 : parseDuration(options.backfill);
    this.#pauseAfterMs = options.pauseAfterMs ?? PAUSE_AFTER_MS;
    this.#settings = {
      endpoint: { url: address(options.url) + STREAM_PATH, credentials: options.credentials ?? "same-origin" },
      token: new Token(options.token),
      bounds: { baseMs: options.retryBaseMs ?? 1_000, maxMs: options.retryMaxMs ?? 30_000 },
      opening: {
        format: options.format ?? "compact",
        ...(options.namespaces === undefined ? {} : { namespaces: options.namespaces }),
        ...(options.backfill === undefined ? {} : { backfill: options.backfill }),
      },
      silenceMs: options.silenceMs,
      newId: () => `s${this.#ids++}`,
      refused: (feed, problem) => this.#refused(feed, problem),
      changed: () => this.#changed(),
    };
    this.#unwatch = this.#edge.visibility.watch(() => this.#looked());
    this.#looked();
  }

  /** Streams a query. Throws a `RangeError` where the question can be no question. */
  readonly subscribe = (question: Question, handlers: Handlers): Subscription => {
    if (this.#closed) throw new Error("the client is closed");
    const { query, datasource, interval } = checked(question);
    const member: Member = { interval, handlers };
    const key = JSON.stringify([query, datasource ?? "default"]);
    const feed = this.#feeds.get(key) ?? new Feed(query, datasource, this.#historyMs);
    feed.join(member);
    if (this.#feeds.has(key)) this.#home(feed)?.touch();
    else this.#place(key, feed);
    return { close: () => this.#leave(key, feed, member) };
  };

  readonly watch = (changed: (state: State) => void): (() => void) => {
    this.#watchers.add(changed);
    call(changed, this.state);
    return () => void this.#watchers.delete(changed);
  };

  readonly reconnect = (): void => {
    for (const connection of this.#connections) connection.reconnect();
  };

  /** Ends all streams, for good. */
  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    this.#edge.clearTimer(this.#hiddenTimer);
    for (const connection of this.#connections) connection.close();
    for (const feed of this.#feeds.values()) feed.clear();
    this.#feeds.clear();
    this.#connections = [];
    this.#changed();
  };

  get state(): State {
    const used = this.#connections.filter((connection) => connection.size > 0);
    if (this.#closed) return { phase: "closed", connections: 0 };
    const worst = PHASES.map((phase) => used.find((connection) => connection.phase === phase)).find(Boolean);
    const problem = worst?.problem;
    return {
      phase: worst?.phase ?? "idle",
      connections: used.length,
      ...(problem === undefined ? {} : { problem }),
    };
  }

  #home(feed: Feed): Connection | undefined {
    return this.#connections.find((connection) => connection.has(feed));
  }

  /** Puts a feed on the first connection with room. */
  #place(key: string, feed: Feed): void {
    this.#feeds.set(key, feed);
    let home = this.#connections.find((connection) => connection.size < FEEDS_MAX);
    if (home === undefined) {
      home = new Connection(this.#settings, this.#edge);
      if (this.#paused) home.pause();
      this.#connections = [...this.#connections, home];
    }
    home.add(feed);
  }

  #leave(key: string, feed: Feed, member: Member): void {
    feed.leave(member);
    const home = this.#home(feed);
    if (!feed.empty) {
      home?.touch();
      return;
    }
    if (this.#feeds.get(key) === feed) this.#feeds.delete(key);
    home?.remove(feed);
    // The first one stays, for what comes next; the others are gone with their last feed.
    if (home !== undefined && home.size === 0 && home !== this.#connections[0]) {
      home.close();
      this.#connections = this.#connections.filter((connection) => connection !== home);
      this.#changed();
    }
  }

  #refused(feed: Feed, problem: Problem): void {
    for (const [key, candidate] of this.#feeds) {
      if (candidate === feed) this.#feeds.delete(key);
    }
    feed.observe({ phase: "failed", problem, serverNow: this.#edge.now() });
    feed.end(problem);
  }

  /** Somebody looks at the page, or nobody does any more. */
  #looked(): void {
    this.#edge.clearTimer(this.#hiddenTimer);
    if (!this.#edge.visibility.hidden()) {
      if (!this.#paused) return;
      this.#paused = false;
      for (const connection of this.#connections) connection.resume();
    } else if (this.#pauseAfterMs !== false) {
      this.#hiddenTimer = this.#edge.setTimer(() => this.#pause(), this.#pauseAfterMs);
    }
  }

  #pause(): void {
    this.#paused = true;
    for (const connection of this.#connections) connection.pause();
  }

  #changed(): void {
    const [before, state] = [this.#told, this.state];
    const same = before?.phase === state.phase && before.connections === state.connections;
    if (same && before.problem === state.problem) return;
    this.#told = state;
    for (const watcher of [...this.#watchers]) call(watcher, state);
  }
}

function address(url: string | undefined): string {
  const base = url ?? (typeof location === "undefined" ? undefined : location.origin);
  if (base === undefined) throw new TypeError("outside of a browser the gateway's `url` must be given");
  return base.replace(/\/+$/, "");
}
