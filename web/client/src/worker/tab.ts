/** The page's side of a shared worker: looks like a client, and hands everything on. */

import { batched } from "../batch.js";
import type { ClientOptions, State, Streams, Subscription } from "../client.js";
import { type Environment, environment } from "../environment.js";
import { call, type Handlers } from "../feed.js";
import { Problem } from "../problem.js";
import { checked, type Question } from "../question.js";
import type { Status } from "../status.js";
import type { TokenCallback } from "../token.js";
import type { FromHost, FromTab, Port, Travelling } from "./messages.js";

export class TabClient implements Streams {
  readonly #port: Port;
  readonly #edge: Environment;
  readonly #token: TokenCallback | undefined;
  readonly #handlers = new Map<number, Handlers>();
  readonly #watchers = new Set<(state: State) => void>();
  readonly #unwatch: () => void;
  #state: State = { phase: "idle", connections: 0 };
  #release: () => void = () => {};
  readonly #unsaid: FromTab[] = [];
  #refs = 0;

  constructor(port: Port, { token, environment: own, ...options }: ClientOptions) {
    this.#port = port;
    this.#edge = environment(own);
    this.#token = typeof token === "string" ? () => token : token;
    port.addEventListener("message", ({ data }) => this.#take(data as FromHost));
    port.start?.();
    const { visibility } = this.#edge;
    // The worker's own address may be another one, of a content delivery network for example.
    const url = options.url ?? (typeof location === "undefined" ? undefined : location.origin);
    const shared = url === undefined ? options : { ...options, url };
    this.#say({ op: "hello", options: shared, hasToken: token !== undefined, hidden: visibility.hidden() });
    this.#unwatch = visibility.watch(() => this.#say({ op: "hidden", hidden: visibility.hidden() }));
    this.#hold();
  }

  readonly subscribe = (question: Question, handlers: Handlers): Subscription => {
    if (this.#state.phase === "closed") throw new Error("the client is closed");
    checked(question);
    const ref = this.#refs++;
    this.#handlers.set(ref, handlers);
    this.#say({ op: "subscribe", ref, question });
    const close = () => {
      if (this.#handlers.delete(ref)) this.#say({ op: "unsubscribe", ref });
    };
    return { close };
  };

  readonly watch = (changed: (state: State) => void): (() => void) => {
    this.#watchers.add(changed);
    call(changed, this.#state);
    return () => void this.#watchers.delete(changed);
  };

  readonly reconnect = (): void => this.#say({ op: "reconnect" });

  /** Leaves the worker. Its streams end with the last tab. */
  readonly close = (): void => {
    if (this.#state.phase === "closed") return;
    this.#unwatch();
    this.#release();
    this.#handlers.clear();
    this.#say({ op: "bye" });
    this.#become({ phase: "closed", connections: 0 });
  };

  get state(): State {
    return this.#state;
  }

  /** Holds a lock for as long as the page lives: a page that crashes says no goodbye. */
  #hold(): void {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return;
    const name = `promcast-tab-${crypto.randomUUID()}`;
    void locks.request(name, () => {
      this.#say({ op: "lock", name });
      return new Promise<void>((release) => {
        this.#release = release;
      });
    });
  }

  #take(message: FromHost): void {
    if (this.#state.phase === "closed") return;
    if (message.op === "state") return this.#become(arrived<State>(message.state));
    if (message.op === "token?") return void this.#answer(message.call, message.reason);
    const handlers = this.#handlers.get(message.ref);
    switch (message.op) {
      case "update":
        return call(handlers?.update, message.event);
      case "backfill":
        return call(handlers?.backfill, message.event);
      case "gap":
        return call(handlers?.gap, message.event);
      case "failure":
        return call(handlers?.error, message.event);
      case "problem":
        return call(handlers?.error, new Problem(message.problem));
      case "status":
        return call(handlers?.status, arrived<Status>(message.status));
    }
  }

  async #answer(id: number, reason: "first" | "refused"): Promise<void> {
    try {
      this.#say({ op: "token", call: id, token: (await this.#token?.(reason)) ?? null });
    } catch (fault) {
      this.#say({ op: "token-failed", call: id, message: String(fault) });
    }
  }

  #become(state: State): void {
    this.#state = state;
    for (const watcher of [...this.#watchers]) call(watcher, state);
  }

  /** What is said in one turn arrives in one, so that the worker can make one request of it. */
  #say(message: FromTab): void {
    this.#unsaid.push(message);
    this.#speak();
  }

  readonly #speak = batched(() => this.#port.postMessage(this.#unsaid.splice(0)));
}

function arrived<Told extends { readonly problem?: Problem }>(told: Travelling<Told>): Told {
  const { problem, ...rest } = told;
  return (problem === undefined ? rest : { ...rest, problem: new Problem(problem) }) as Told;
}
