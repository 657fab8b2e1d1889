/** The one connection of the page: topics, subscribed on a client that is made anew when its options change. */

import { Client, type State, type Subscription } from "@promcast/client";
import type { Topic } from "./topic";

export interface Options {
  /** Minutes of history that each topic begins with. */
  readonly minutes: number;
  readonly token: string | undefined;
}

export class Link {
  readonly #topics = new Map<Topic, Subscription | undefined>();
  readonly #changed: (topic: Topic) => void;
  readonly #watched: (state: State) => void;
  #client: Client | undefined;
  #unwatch: (() => void) | undefined;

  /** Calls back when a topic, or the connection, has changed. */
  constructor(changed: (topic: Topic) => void, watched: (state: State) => void) {
    [this.#changed, this.#watched] = [changed, watched];
  }

  /** Opens the connection, in place of another one. Topics keep what they have. */
  open({ minutes, token }: Options): void {
    this.#unwatch?.();
    this.#client?.close();
    const client = new Client({ backfill: `${minutes}m`, ...(token === undefined ? {} : { token }) });
    this.#client = client;
    for (const topic of this.#topics.keys()) this.#topics.set(topic, this.#subscribe(client, topic));
    this.#unwatch = client.watch(this.#watched);
  }

  /** Tries again now. */
  retry(): void {
    this.#client?.reconnect();
  }

  add(topic: Topic): void {
    this.#topics.set(topic, this.#client === undefined ? undefined : this.#subscribe(this.#client, topic));
  }

  remove(topic: Topic): void {
    this.#topics.get(topic)?.close();
    this.#topics.delete(topic);
  }

  #subscribe(client: Client, topic: Topic): Subscription {
    const after =
      <Event>(act: (event: Event) => void) =>
      (event: Event) => {
        act(event);
        this.#changed(topic);
      };
    return client.subscribe(
      { query: topic.query, interval: topic.interval },
      {
        update: after((event) => topic.result(event, Date.now())),
        backfill: after((event) => topic.result(event, Date.now())),
        gap: after((event) => topic.gap(event)),
        error: after((fault) => topic.error(fault)),
        status: after((status) => topic.watch(status)),
      },
    );
  }
}
