/** A client, a gateway by script, and time that stands. */

import { afterEach } from "vitest";
import { Client, type ClientOptions } from "../../src/client.js";
import type { Handlers } from "../../src/feed.js";
import { Problem } from "../../src/problem.js";
import type { Backfill, Failure, Gap, Update } from "../../src/protocol.js";
import type { Question } from "../../src/question.js";
import { samples } from "../../src/samples.js";
import type { Status } from "../../src/status.js";
import { FakeGateway } from "./server.js";
import { Time } from "./time.js";

/** What a subscriber was told. */
export class Told implements Handlers {
  readonly updates: Update[] = [];
  readonly backfills: Backfill[] = [];
  readonly gaps: Gap[] = [];
  readonly failures: Failure[] = [];
  readonly problems: Problem[] = [];
  readonly statuses: Status[] = [];
  readonly update = (update: Update) => void this.updates.push(update);
  readonly backfill = (backfill: Backfill) => void this.backfills.push(backfill);
  readonly gap = (gap: Gap) => void this.gaps.push(gap);
  readonly status = (status: Status) => void this.statuses.push(status);
  readonly error = (fault: Failure | Problem) => {
    if (fault instanceof Problem) this.problems.push(fault);
    else this.failures.push(fault);
  };

  get ticks(): number[] {
    return this.updates.map((update) => update.tick);
  }

  /** All points, of backfills and updates. */
  get times(): number[] {
    return [...this.backfills, ...this.updates].flatMap((event) =>
      samples(event).flatMap(({ points }) => points.map(([time]) => time)),
    );
  }

  get phase(): string | undefined {
    return this.statuses.at(-1)?.phase;
  }
}

export class World {
  readonly time = new Time();
  hidden = false;
  random = 0.5;
  readonly #looks = new Set<() => void>();
  readonly #clients: Client[] = [];

  private constructor(readonly gateway: FakeGateway) {}

  static async start(): Promise<World> {
    return new World(await FakeGateway.start());
  }

  get environment() {
    const { now, setTimer, clearTimer } = this.time;
    const watch = (changed: () => void) => {
      this.#looks.add(changed);
      return () => void this.#looks.delete(changed);
    };
    const visibility = { hidden: () => this.hidden, watch };
    return { now, setTimer, clearTimer, random: () => this.random, visibility };
  }

  client(options: ClientOptions = {}): Client {
    const client = new Client({ url: this.gateway.url, environment: this.environment, ...options });
    this.#clients.push(client);
    return client;
  }

  subscribe(client: Client, question: Question) {
    const told = new Told();
    return { told, ...client.subscribe(question, told) };
  }

  look(hidden: boolean): void {
    this.hidden = hidden;
    for (const changed of [...this.#looks]) changed();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.gateway.stop();
  }
}

const worlds: World[] = [];

/** A world that is gone after the test. */
export async function world(): Promise<World> {
  const made = await World.start();
  worlds.push(made);
  return made;
}

afterEach(async () => {
  for (const made of worlds.splice(0)) await made.stop();
});
