/** One stream that is kept up for up to 32 feeds: opened, watched, amended, opened again. */

import { amend, ask } from "./amend.js";
import { afterAnswer, type Bounds, fullJitter } from "./backoff.js";
import { batched, type Wire } from "./batch.js";
import type { Environment } from "./environment.js";
import type { Feed } from "./feed.js";
import { Unfoldable } from "./fold.js";
import { Live } from "./live.js";
import { type End, ended, failed, next, problemOf } from "./policy.js";
import { local, Problem } from "./problem.js";
import { Session } from "./session.js";
import { type Phase, staleFrom } from "./status.js";
import { type Amendment, abortable, type Endpoint, type Listener, type Opening, read, request } from "./stream.js";
import type { Token } from "./token.js";

/** What all connections of a client have in common. */
export interface Settings {
  readonly endpoint: Endpoint;
  readonly token: Token;
  readonly bounds: Bounds;
  readonly opening: Omit<Opening, "subscriptions">;
  /** How long a stream may bring nothing; by default 1.5 of its heartbeats. */
  readonly silenceMs: number | undefined;
  /** A name that this client has not used yet. */
  readonly newId: () => string;
  /** A feed that the gateway refuses. */
  readonly refused: (feed: Feed, problem: Problem) => void;
  /** The phase may have changed. */
  readonly changed: () => void;
}

/** How many feeds a connection takes: the gateway's own bound. */
export const FEEDS_MAX = 32;

/** How long a PATCH may take, and a POST up to its first bytes. */
const OPENING_MS = 10_000;

/** A stream that stood so long is no failed attempt. */
const PROVEN_MS = 5_000;

export class Connection {
  readonly #settings: Settings;
  readonly #edge: Environment;
  readonly #wires = new Map<Feed, Wire>();
  #phase: Phase = "idle";
  #problem: Problem | undefined;
  #paused = false;
  #running = false;
  #amending = false;
  #live: Live | undefined;
  #attempt = 0;
  #retryMs: number | undefined;
  #renewed = false;
  #tokenUsed: string | null = null;
  /** How many feeds the next stream is opened with; the others are added when it stands. */
  #most = FEEDS_MAX;
  #format: string;
  #wake: (() => void) | undefined;
  #staleness: unknown;
  /** The gateway's clock less this one, as it was last known, milliseconds. */
  #skew = 0;

  constructor(settings: Settings, edge: Environment) {
    this.#settings = settings;
    this.#edge = edge;
    this.#format = settings.opening.format;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get problem(): Problem | undefined {
    return this.#problem;
  }

  get size(): number {
    return this.#wires.size;
  }

  has(feed: Feed): boolean {
    return this.#wires.has(feed);
  }

  add(feed: Feed): void {
    this.#wires.set(feed, { id: this.#settings.newId(), feed, interval: feed.interval });
    if (this.#phase === "failed" && this.#problem !== undefined) feed.end(this.#problem);
    this.touch();
  }

  remove(feed: Feed): void {
    this.#wires.delete(feed);
    this.touch();
  }

  /** Something about the feeds has changed. */
  readonly touch: () => void = batched(() => this.#sync());

  /** Ends the stream; what was seen is kept, to go on after it. */
  pause(): void {
    this.#paused = true;
    this.#leave();
    if (this.#phase !== "failed") this.#become("paused", undefined);
  }

  /** Goes on at once. What has failed stays so. */
  resume(): void {
    this.#paused = false;
    if (this.#phase === "paused") this.#become("idle", undefined);
    this.#sync();
  }

  /** Opens the stream anew, also after a failure and instead of waiting on. */
  reconnect(): void {
    this.#attempt = 0;
    this.#leave();
    if (this.#phase === "failed") this.#become("idle", undefined);
    this.#sync();
  }

  close(): void {
    this.#wires.clear();
    this.#leave();
    this.#edge.clearTimer(this.#staleness);
  }

  #leave(): void {
    this.#live?.end({ kind: "left" });
    this.#wake?.();
  }

  /** The feeds as the gateway is to know them: with a new name where the interval has changed. */
  #wanted(): Wire[] {
    for (const [feed, { interval }] of this.#wires) {
      if (!feed.empty && feed.interval !== interval) {
        this.#wires.set(feed, { id: this.#settings.newId(), feed, interval: feed.interval });
      }
    }
    return [...this.#wires.values()];
  }

  #startable(): boolean {
    return this.#wires.size > 0 && !this.#paused && this.#phase !== "failed";
  }

  #sync(): void {
    this.#observe();
    if (this.#wires.size === 0) this.#leave();
    else if (this.#live !== undefined) void this.#amend(this.#live);
    else if (!this.#running && this.#startable()) void this.#run();
  }

  /** Stream after stream, until there is nothing to stream. */
  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#startable()) {
        this.#become(this.#problem === undefined ? "connecting" : "reconnecting", this.#problem);
        const end = await this.#stream();
        if (this.#startable()) await this.#follow(end);
      }
    } finally {
      this.#running = false;
      if (this.#phase !== "paused" && this.#phase !== "failed") this.#become("idle", undefined);
    }
  }

  /** Does what is next after a stream, and waits for as long as that says. */
  async #follow(end: End): Promise<void> {
    if (end.kind === "left") return;
    const { bounds, token } = this.#settings;
    const circumstances = {
      ...{ attempt: this.#attempt, retryMs: this.#retryMs, renewed: this.#renewed },
      ...{ renewable: token.renewable, bounds, random: this.#edge.random() },
    };
    const decision = next(end, circumstances);
    if (end.kind !== "gone") this.#attempt += 1;
    switch (decision.act) {
      case "stop":
        return this.#fail(decision.problem);
      case "narrow":
        return this.#narrow(end);
      case "renew":
        await token.renew(this.#tokenUsed);
        this.#renewed = true;
        break;
      case "open":
        break;
    }
    this.#become("reconnecting", problemOf(end) ?? this.#problem);
    if (decision.afterMs > 0) await this.#sleep(decision.afterMs);
  }

  #fail(problem: Problem): void {
    this.#become("failed", problem);
    for (const feed of this.#wires.keys()) feed.end(problem);
  }

  /** Tries with half of the feeds; where there is one only, it is the one that is refused. */
  #narrow(end: End): void {
    if (end.kind !== "refused") return;
    const opened = this.#wanted().slice(0, this.#most);
    this.#most = Math.max(1, Math.ceil(opened.length / 2));
    this.#attempt = 0;
    const [only] = opened;
    if (opened.length === 1 && only !== undefined) this.#refuse(only.feed, end.problem);
  }

  #refuse(feed: Feed, problem: Problem): void {
    this.#wires.delete(feed);
    this.#settings.refused(feed, problem);
  }

  /** One stream, from its request to its end. */
  async #stream(): Promise<End> {
    const asked = this.#wanted().slice(0, this.#most);
    const live = new Live(new Session(asked), this.#edge);
    this.#live = live;
    const body: Opening = { ...this.#settings.opening, format: this.#format, subscriptions: asked.map(ask) };
    try {
      const token = await this.#token(live);
      // A token may take its time: somebody may have to sign in.
      live.limit(OPENING_MS);
      const response = await request(this.#edge, this.#settings.endpoint, token, {
        ...{ method: "POST", body, accept: "text/event-stream", signal: live.signal },
      });
      const listener: Listener = {
        event: (name, data) => this.#event(live, name, data),
        retry: (ms) => (this.#retryMs = ms),
        life: () => live.life(),
      };
      await read(response, listener, live.signal);
      live.end(ended(live.session.shutdown));
    } catch (fault) {
      live.end(fault instanceof Problem ? failed(fault) : ended(live.session.shutdown, fault));
    } finally {
      this.#live = undefined;
      if (this.#edge.now() - live.connectedAt >= PROVEN_MS) this.#attempt = 0;
    }
    return live.over ?? { kind: "left" };
  }

  async #token(live: Live): Promise<string | null> {
    const token = await abortable(live.signal, this.#settings.token.current());
    this.#tokenUsed = token;
    return token;
  }

  #event(live: Live, name: string, data: string): void {
    // What was under way when the client ended the stream.
    if (live.over !== undefined) return;
    try {
      live.session.take(name, data, this.#edge.now());
    } catch (fault) {
      // What cannot be folded is asked for again, complete.
      if (fault instanceof Unfoldable) this.#format = "prometheus";
      throw local("malformed", "the stream brought what is not of the contract", fault);
    }
    if (name === "connected") this.#connected(live);
    else if (name === "subscriptions") this.touch();
    else if (name === "shutdown") live.end(ended(live.session.shutdown));
    this.#observe();
  }

  #connected(live: Live): void {
    live.connectedAt = this.#edge.now();
    this.#renewed = false;
    this.#most = FEEDS_MAX;
    live.limit(this.#settings.silenceMs ?? (live.session.connected?.heartbeat_seconds ?? 30) * 1500);
    this.#become("live", undefined);
    this.touch();
  }

  async #amend(live: Live): Promise<void> {
    const id = live.session.connected?.connection_id;
    // What changes while it is at work it sees by itself.
    if (id === undefined || this.#amending) return;
    this.#amending = true;
    const problem = await amend(live.session, {
      standing: () => live.over === undefined && this.#wires.size > 0,
      wanted: () => this.#wanted(),
      patch: (amendment) => this.#patch(live, id, amendment),
      refuse: (feed, refusal) => this.#refuse(feed, refusal),
      pause: (passing, attempt) => this.#pauseOf(live, passing, attempt),
    });
    this.#amending = false;
    if (problem?.status === 401) live.end({ kind: "refused", problem });
    else if (problem !== undefined) live.end({ kind: "gone" });
  }

  async #patch(live: Live, id: string, body: Amendment): Promise<void> {
    const limit = new AbortController();
    const stop = () => limit.abort();
    const timer = this.#edge.setTimer(stop, OPENING_MS);
    live.signal.addEventListener("abort", stop);
    try {
      const token = await this.#token(live);
      const response = await request(this.#edge, this.#settings.endpoint, token, {
        ...{ method: "PATCH", path: `/${encodeURIComponent(id)}`, body, accept: "application/json" },
        signal: limit.signal,
      });
      await abortable(limit.signal, response.text());
    } catch (fault) {
      throw fault instanceof Problem ? fault : local("unreachable", "the gateway cannot be reached", fault);
    } finally {
      this.#edge.clearTimer(timer);
      live.signal.removeEventListener("abort", stop);
    }
  }

  #pauseOf(live: Live, { retryAfterMs }: Problem, attempt: number): Promise<void> {
    const { baseMs, maxMs } = this.#settings.bounds;
    const random = this.#edge.random();
    const jitterMs = fullJitter(attempt, baseMs, maxMs, random);
    const ms = retryAfterMs === undefined ? jitterMs : afterAnswer(retryAfterMs, jitterMs, random);
    return new Promise((resolve) => {
      const timer = this.#edge.setTimer(resolve, ms);
      live.signal.addEventListener("abort", () => {
        this.#edge.clearTimer(timer);
        resolve();
      });
    });
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#edge.clearTimer(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = this.#edge.setTimer(done, ms);
      this.#wake = done;
    });
  }

  #become(phase: Phase, problem: Problem | undefined): void {
    if (this.#phase === phase && this.#problem === problem) return;
    [this.#phase, this.#problem] = [phase, problem];
    this.#observe();
    this.#settings.changed();
  }

  /** Tells the feeds how they are doing, and again when the next of them becomes stale. */
  #observe(): void {
    const now = this.#edge.now();
    const serverNow = this.#live?.session.serverNow(now) ?? now + this.#skew;
    this.#skew = serverNow - now;
    let soonest = Number.POSITIVE_INFINITY;
    for (const feed of this.#wires.keys()) {
      feed.observe({ phase: this.#phase, problem: this.#problem, serverNow });
      if (feed.newest === undefined || feed.empty) continue;
      const stale = staleFrom(feed.newest, feed.interval);
      if (stale > serverNow) soonest = Math.min(soonest, stale);
    }
    this.#edge.clearTimer(this.#staleness);
    if (soonest < Number.POSITIVE_INFINITY) {
      this.#staleness = this.#edge.setTimer(() => this.#observe(), soonest - serverNow);
    }
  }
}
