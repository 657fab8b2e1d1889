/** The worker's side: one client for all tabs that have the same options. */

import { Client, type State, type Subscription } from "../client.js";
import { type Environment, environment } from "../environment.js";
import { Problem } from "../problem.js";
import type { Question } from "../question.js";
import type { FromHost, FromTab, Port, Travelling } from "./messages.js";

/** How long a tab has to give a token, before another is asked: it may be frozen. */
const TOKEN_MS = 30_000;

export class Host {
  readonly #edge: Environment;
  readonly #shared = new Map<string, Shared>();

  constructor(own: Partial<Environment> = {}) {
    this.#edge = environment(own);
  }

  /** Takes a page, at the other end of the port. */
  attach(port: Port): void {
    let tab: Tab | undefined;
    port.addEventListener("message", ({ data }) => {
      for (const message of data as readonly FromTab[]) {
        if (message.op === "hello") tab ??= this.#admit(port, message);
        else tab?.take(message);
      }
    });
    port.addEventListener("close", () => tab?.detach());
    port.start?.();
  }

  #admit(port: Port, hello: Hello): Tab {
    const key = JSON.stringify([hello.options, hello.hasToken]);
    const shared = this.#shared.get(key) ?? new Shared(hello, this.#edge, () => this.#shared.delete(key));
    this.#shared.set(key, shared);
    return new Tab(port, shared, hello.hidden);
  }
}

type Hello = Extract<FromTab, { op: "hello" }>;

/** A client, and the tabs that share it. */
class Shared {
  readonly client: Client;
  readonly #edge: Environment;
  readonly #unused: () => void;
  readonly #tabs = new Set<Tab>();
  readonly #watchers = new Set<() => void>();

  constructor(hello: Hello, edge: Environment, unused: () => void) {
    this.#edge = edge;
    this.#unused = unused;
    const watch = (changed: () => void) => {
      this.#watchers.add(changed);
      return () => void this.#watchers.delete(changed);
    };
    this.client = new Client({
      ...hello.options,
      ...(hello.hasToken ? { token: (reason) => this.#token(reason) } : {}),
      environment: { ...edge, visibility: { hidden: () => this.#hidden(), watch } },
    });
  }

  join(tab: Tab): void {
    this.#tabs.add(tab);
    this.looked();
  }

  leave(tab: Tab): void {
    this.#tabs.delete(tab);
    if (this.#tabs.size > 0) return this.looked();
    this.client.close();
    this.#unused();
  }

  /** A tab is looked at, or no longer. */
  looked(): void {
    for (const changed of [...this.#watchers]) changed();
  }

  #hidden(): boolean {
    return this.#tabs.size > 0 && [...this.#tabs].every((tab) => tab.hidden);
  }

  /** Asks one tab after the other: those first that somebody looks at. */
  async #token(reason: "first" | "refused"): Promise<string | null> {
    const tabs = [...this.#tabs].sort((one, other) => Number(one.hidden) - Number(other.hidden));
    let fault: unknown = new Error("no tab is left to ask for a token");
    for (const tab of tabs) {
      try {
        return await tab.token(reason, this.#edge);
      } catch (cause) {
        fault = cause;
      }
    }
    throw fault;
  }
}

/** One page. */
class Tab {
  hidden: boolean;
  readonly #port: Port;
  readonly #shared: Shared;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #calls = new Map<number, (answer: Promise<string | null>) => void>();
  readonly #unwatch: () => void;
  #nextCall = 0;
  #gone = false;

  constructor(port: Port, shared: Shared, hidden: boolean) {
    this.#port = port;
    this.#shared = shared;
    this.hidden = hidden;
    shared.join(this);
    this.#unwatch = shared.client.watch((state) => this.#say({ op: "state", state: travelling<State>(state) }));
  }

  take(message: Exclude<FromTab, Hello>): void {
    switch (message.op) {
      case "subscribe":
        this.#subscribe(message.ref, message.question);
        break;
      case "unsubscribe":
        this.#subscriptions.get(message.ref)?.close();
        this.#subscriptions.delete(message.ref);
        break;
      case "hidden":
        this.hidden = message.hidden;
        this.#shared.looked();
        break;
      case "token":
        this.#answer(message.call, Promise.resolve(message.token));
        break;
      case "token-failed":
        this.#answer(message.call, Promise.reject(new Error(message.message)));
        break;
      case "lock":
        // It is had when the page is gone, however it went.
        void globalThis.navigator?.locks?.request(message.name, () => this.detach());
        break;
      case "reconnect":
        this.#shared.client.reconnect();
        break;
      case "bye":
        this.detach();
        break;
    }
  }

  detach(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#unwatch();
    for (const subscription of this.#subscriptions.values()) subscription.close();
    for (const call of [...this.#calls.keys()]) this.#answer(call, Promise.reject(new Error("the tab is gone")));
    this.#shared.leave(this);
    this.#port.close();
  }

  /** Asks the page for a token. */
  token(reason: "first" | "refused", edge: Environment): Promise<string | null> {
    const call = this.#nextCall++;
    return new Promise((resolve) => {
      const late = () => this.#answer(call, Promise.reject(new Error("the tab gave no token in time")));
      const timer = edge.setTimer(late, TOKEN_MS);
      this.#calls.set(call, (answer) => {
        edge.clearTimer(timer);
        resolve(answer);
      });
      this.#say({ op: "token?", call, reason });
    });
  }

  #answer(call: number, answer: Promise<string | null>): void {
    const take = this.#calls.get(call);
    this.#calls.delete(call);
    if (take === undefined) answer.catch(() => {});
    else take(answer);
  }

  #subscribe(ref: number, question: Question): void {
    const subscription = this.#shared.client.subscribe(question, {
      update: (event) => this.#say({ op: "update", ref, event }),
      backfill: (event) => this.#say({ op: "backfill", ref, event }),
      gap: (event) => this.#say({ op: "gap", ref, event }),
      error: (fault) => {
        if (fault instanceof Problem) this.#say({ op: "problem", ref, problem: fault.fields() });
        else this.#say({ op: "failure", ref, event: fault });
      },
      status: (status) => this.#say({ op: "status", ref, status: travelling(status) }),
    });
    this.#subscriptions.set(ref, subscription);
  }

  #say(message: FromHost): void {
    if (!this.#gone) this.#port.postMessage(message);
  }
}

function travelling<Told extends { readonly problem?: Problem }>(told: Told): Travelling<Told> {
  const { problem, ...rest } = told;
  return problem === undefined ? rest : { ...rest, problem: problem.fields() };
}
