import { MessageChannel, type MessagePort } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import type { ClientOptions } from "../src/client.js";
import { Problem } from "../src/problem.js";
import { Host } from "../src/worker/host.js";
import type { Port } from "../src/worker/messages.js";
import { TabClient } from "../src/worker/tab.js";
import { until } from "./support/time.js";
import { Told, type World, world } from "./support/world.js";

const UP = { query: "up", interval: 5 };
const open: TabClient[] = [];
const ports: MessagePort[] = [];

/** A page of its own, with its own visibility. */
function tab(w: World, host: Host, options: ClientOptions = {}) {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  host.attach(port1 as unknown as Port);
  const page = { hidden: false, looked: () => {} };
  const watch = (changed: () => void) => {
    page.looked = changed;
    return () => {};
  };
  const environment = { visibility: { hidden: () => page.hidden, watch } };
  const client = new TabClient(port2 as unknown as Port, { url: w.gateway.url, ...options, environment });
  open.push(client);
  const subscribe = (query: string) => {
    const told = new Told();
    return { told, ...client.subscribe({ query, interval: 5 }, told) };
  };
  const look = (hidden: boolean) => {
    page.hidden = hidden;
    page.looked();
  };
  const joined = new Promise<void>((resolve) => {
    let calls = 0;
    client.watch(() => (calls++ > 0 ? resolve() : undefined));
  });
  return { client, subscribe, look, joined, crash: () => port2.close() };
}

afterEach(() => {
  for (const client of open.splice(0)) client.close();
  for (const port of ports.splice(0)) port.close();
});

const hostOf = (w: World) => new Host({ ...w.environment, visibility: { hidden: () => false, watch: () => () => {} } });

test("tabs with the same options share one connection, and each is told of its own queries", async () => {
  const w = await world();
  const host = hostOf(w);
  const [one, other] = [tab(w, host), tab(w, host)];
  const a = one.subscribe("a").told;
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => a.ticks.length === 1);
  const late = other.subscribe("a").told;
  const b = other.subscribe("b").told;
  const patch = await w.gateway.request();
  expect(patch.body.add.map(({ query }) => query)).toEqual(["b"]);
  patch.amend(stream);
  stream.update("b", 6_000);
  await until(() => late.ticks.length === 1 && b.ticks.length === 1);
  expect(a.ticks).toEqual([5_000]);
  await until(() => other.client.state.phase === "live");
  expect(w.gateway.seen).toBe(2);
});

test("tabs with other options have a connection of their own", async () => {
  const w = await world();
  const host = hostOf(w);
  tab(w, host).subscribe("a");
  tab(w, host, { namespaces: ["team"] }).subscribe("a");
  const bodies = [(await w.gateway.request()).body, (await w.gateway.request()).body];
  expect(bodies.map((body) => body.namespaces)).toEqual([undefined, ["team"]]);
});

test("the stream ends with the last tab, whether it says goodbye or is gone without", async () => {
  const w = await world();
  const host = hostOf(w);
  const [one, other] = [tab(w, host), tab(w, host)];
  one.subscribe("a");
  const stream = (await w.gateway.request()).connect();
  other.subscribe("b");
  (await w.gateway.request()).amend(stream);
  one.client.close();
  const patch = await w.gateway.request();
  expect(patch.body.remove).toEqual(["s0"]);
  patch.amend(stream);
  expect(stream.isClosed).toBe(false);
  other.crash();
  await stream.closed;
});

test("what a tab no longer wants is not told to it", async () => {
  const w = await world();
  const host = hostOf(w);
  const page = tab(w, host);
  const [a, b] = [page.subscribe("a"), page.subscribe("b")];
  const stream = (await w.gateway.request()).connect();
  a.close();
  stream.update("a", 5_000).update("b", 6_000);
  await until(() => b.told.ticks.length === 1);
  expect(a.told.ticks).toEqual([]);
});

test("a tab that is looked at is asked for its token first, and another one where it has none to give", async () => {
  const w = await world();
  const host = hostOf(w);
  const asked: string[] = [];
  const page = (name: string, token: () => Promise<string>) =>
    tab(w, host, {
      token: () => {
        asked.push(name);
        return token();
      },
    });
  const hidden = page("hidden", async () => "its token");
  hidden.look(true);
  await hidden.joined;
  const seen = page("seen", () => Promise.reject(new Error("signed out")));
  seen.subscribe("a");
  expect((await w.gateway.request()).headers.authorization).toBe("Bearer its token");
  expect(asked).toEqual(["seen", "hidden"]);
});

test("a tab that does not answer is passed over after half a minute", async () => {
  const w = await world();
  const host = hostOf(w);
  const other = tab(w, host, { token: "second" });
  other.look(true);
  await other.joined;
  let asked = false;
  const token = () => {
    asked = true;
    return new Promise<string>(() => {});
  };
  tab(w, host, { token }).subscribe("a");
  await until(() => asked);
  w.time.advance(30_000);
  expect((await w.gateway.request()).headers.authorization).toBe("Bearer second");
});

test("streams are paused when all tabs are hidden, and only then", async () => {
  const w = await world();
  const host = hostOf(w);
  const [one, other] = [tab(w, host), tab(w, host)];
  const { told } = one.subscribe("a");
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => told.ticks.length === 1);
  await other.joined;
  one.look(true);
  // What one tab says arrives in order: where the state has come back, the worker knows of the look as well.
  const marker = one.subscribe("b");
  (await w.gateway.request()).amend(stream);
  w.time.advance(31_000);
  expect(stream.isClosed).toBe(false);
  stream.raw(":\n\n").update("b", 6_000);
  await until(() => marker.told.ticks.length === 1);
  other.look(true);
  await until(() => w.time.waits.includes(30_000));
  w.time.advance(30_000);
  await stream.closed;
  await until(() => told.phase === "paused");
  one.look(false);
  expect((await w.gateway.request()).body.subscriptions[0]?.after).toBe(5_000);
});

test("problems are problems on the other side too", async () => {
  const w = await world();
  const page = tab(w, hostOf(w));
  const { told } = page.subscribe("bad(");
  (await w.gateway.request()).problem(400, "invalid-query");
  await until(() => told.problems.length === 1);
  expect(told.problems[0]).toBeInstanceOf(Problem);
  expect(told.problems[0]).toMatchObject({ type: "invalid-query", status: 400, detail: "about invalid-query" });
  expect(() => page.client.subscribe({ ...UP, interval: 1 }, {})).toThrow(RangeError);
});
