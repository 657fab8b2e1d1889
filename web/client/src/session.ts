/** One stream: from its events to the subscriptions that they concern. No I/O. */

import type { Wire } from "./batch.js";
import type { Feed } from "./feed.js";
import { fold } from "./fold.js";
import type { Connected, Events, Schema, Shutdown, Subscribed } from "./protocol.js";

export class Session {
  /** What the gateway streams, as far as is known, by id. */
  readonly wires = new Map<string, Wire>();
  /** What it was asked for, by id: of a request whose answer was lost, the stream says what became of it. */
  readonly #asked = new Map<string, Wire>();
  readonly #wiresOfTopic = new Map<string, Map<string, Wire>>();
  readonly #schemas = new Map<string, Schema>();
  #connected: Connected | undefined;
  #shutdown: Shutdown | undefined;
  /** The gateway's clock less this one, milliseconds. */
  #skew = 0;

  constructor(asked: Iterable<Wire>) {
    for (const wire of asked) {
      this.ask(wire);
      this.wires.set(wire.id, wire);
    }
  }

  /** Is to be called before a subscription is asked for. */
  ask(wire: Wire): void {
    this.#asked.set(wire.id, wire);
  }

  /** The first event, once it came. */
  get connected(): Connected | undefined {
    return this.#connected;
  }

  /** The last event, once it came. */
  get shutdown(): Shutdown | undefined {
    return this.#shutdown;
  }

  serverNow(now: number): number {
    return now + this.#skew;
  }

  /** Takes an event as it came; throws where it cannot be understood. Events of an unknown name are passed over. */
  take(name: string, text: string, now: number): void {
    const act = this.#acts[name as keyof Events] as ((event: unknown, now: number) => void) | undefined;
    if (act !== undefined && Object.hasOwn(this.#acts, name)) act(JSON.parse(text), now);
  }

  readonly #acts: { readonly [Name in keyof Events]: (event: Events[Name], now: number) => void } = {
    connected: (event, now) => {
      this.#connected = event;
      this.#skew = event.server_time - now;
      for (const subscribed of event.subscriptions) this.#bind(subscribed);
    },
    subscriptions: ({ added, removed }) => {
      for (const id of removed) this.#unbind(id);
      for (const subscribed of added) this.#bind(subscribed);
    },
    schema: (event) => void this.#schemas.set(event.topic, event),
    "metric-update": (event) => {
      const update = fold(event, this.#schemas.get(event.topic));
      for (const feed of this.#feeds(event.topic)) feed.update(update);
    },
    backfill: (event) => {
      for (const feed of this.#feeds(event.topic)) feed.backfill(event);
    },
    error: (event) => {
      for (const feed of this.#feeds(event.topic)) feed.failure(event);
    },
    gap: (event) => {
      for (const feed of this.#feeds(event.topic)) feed.gap(event);
    },
    heartbeat: ({ server_time }, now) => {
      this.#skew = server_time - now;
    },
    shutdown: (event) => {
      this.#shutdown = event;
    },
  };

  #bind({ id, topic }: Subscribed): void {
    const wire = this.#asked.get(id);
    if (wire === undefined) return;
    this.wires.set(id, wire);
    const wires = this.#wiresOfTopic.get(topic) ?? new Map<string, Wire>();
    this.#wiresOfTopic.set(topic, wires.set(id, wire));
  }

  #unbind(id: string): void {
    this.wires.delete(id);
    for (const [topic, wires] of this.#wiresOfTopic) {
      // Its schema stays: the gateway may not send it again when the topic comes back.
      if (wires.delete(id) && wires.size === 0) this.#wiresOfTopic.delete(topic);
    }
  }

  /** Two queries may be one topic, and one query may be there twice while its interval changes. */
  #feeds(topic: string): Set<Feed> {
    return new Set([...(this.#wiresOfTopic.get(topic)?.values() ?? [])].map((wire) => wire.feed));
  }
}
