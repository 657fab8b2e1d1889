import { expect, test } from "vitest";
import { until } from "./support/time.js";
import { world } from "./support/world.js";

const queries = (asks: readonly { query: string }[]) => asks.map(({ query }) => query);

test("many subscriptions of one turn are one request, and each subscriber is told of its own query", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" }).told;
  const b = w.subscribe(client, { query: "b" }).told;
  const post = await w.gateway.request();
  expect(queries(post.body.subscriptions)).toEqual(["a", "b"]);
  post.connect().update("a", 5_000).update("b", 6_000).update("a", 20_000);
  await until(() => a.ticks.length === 2);
  expect([a.ticks, b.ticks]).toEqual([[5_000, 20_000], [6_000]]);
  expect(w.gateway.seen).toBe(1);
});

test("what changes on a live connection is one PATCH for each turn, one at a time", async () => {
  const w = await world();
  const client = w.client({ token: "secret" });
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => a.told.ticks.length === 1);
  a.close();
  const b = w.subscribe(client, { query: "b" });
  const c = w.subscribe(client, { query: "c" });
  const patch = await w.gateway.request();
  expect([patch.method, patch.path]).toEqual(["PATCH", "/api/v1/metrics/stream/c1"]);
  expect(patch.headers.authorization).toBe("Bearer secret");
  expect(patch.body).toEqual({
    add: [
      { id: "s1", query: "b", interval: 15 },
      { id: "s2", query: "c", interval: 15 },
    ],
    remove: ["s0"],
  });
  b.close();
  const d = w.subscribe(client, { query: "d" });
  await new Promise(setImmediate);
  expect(w.gateway.seen).toBe(2);
  patch.amend(stream);
  const next = await w.gateway.request();
  expect([queries(next.body.add), next.body.remove]).toEqual([["d"], ["s1"]]);
  next.amend(stream);
  stream.update("c", 7_000).update("d", 8_000);
  await until(() => d.told.ticks.length === 1 && c.told.ticks.length === 1);
  expect(b.told.ticks).toEqual([]);
});

test("what comes and goes in one turn is no request", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect();
  await until(() => a.told.phase === "connecting");
  w.subscribe(client, { query: "b" }).close();
  stream.update("a", 5_000);
  await until(() => a.told.ticks.length === 1);
  expect(w.gateway.seen).toBe(1);
});

test("a PATCH that finds no connection opens a stream with the new set, each resumed where it was", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => a.told.ticks.length === 1);
  w.subscribe(client, { query: "b" });
  (await w.gateway.request()).problem(404, "not-found");
  const post = await w.gateway.request();
  await stream.closed;
  expect(post.method).toBe("POST");
  expect(post.body.subscriptions).toEqual([
    { id: "s0", query: "a", interval: 15, after: 5_000 },
    { id: "s1", query: "b", interval: 15 },
  ]);
});

test("a PATCH that cannot be done now is sent again, and the stream goes on meanwhile", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect();
  await until(() => a.told.phase === "connecting");
  const b = w.subscribe(client, { query: "b" });
  (await w.gateway.request()).problem(503, "unavailable", { "retry-after": "2" });
  await until(() => w.time.waits[0] === 2_500);
  stream.update("a", 5_000);
  await until(() => a.told.ticks.length === 1);
  w.time.advance(2_500);
  const again = await w.gateway.request();
  expect(again.body.add).toEqual([{ id: "s1", query: "b", interval: 15 }]);
  again.amend(stream);
  stream.update("b", 6_000);
  await until(() => b.told.ticks.length === 1);
});

test("a PATCH whose answer is lost is no harm: the stream says what became of it", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect();
  await until(() => a.told.phase === "connecting");
  const b = w.subscribe(client, { query: "b" });
  const patch = await w.gateway.request();
  const [added] = patch.body.add;
  const entry = { ...added, topic: "topic:b", datasource: "default", resume: { outcome: "live" } };
  stream.send("subscriptions", { added: [entry], removed: [] });
  stream.update("b", 6_000);
  await until(() => b.told.ticks.length === 1);
  patch.cut();
  await until(() => w.time.waits[0] === 500);
  w.time.advance(500);
  stream.update("b", 21_000);
  await until(() => b.told.ticks.length === 2);
  w.subscribe(client, { query: "c" });
  const next = await w.gateway.request();
  expect([queries(next.body.add), next.body.remove]).toEqual([["c"], []]);
});

test("what changes at any moment around the answer to a PATCH is not forgotten", async () => {
  for (let hops = 0; hops < 12; hops++) {
    const w = await world();
    let answered = () => {};
    const client = w.client({
      environment: {
        ...w.environment,
        fetch: async (url, init) => {
          const response = await fetch(url, init);
          if (init.method !== "PATCH") return response;
          const text = await response.text();
          const told = async () => {
            answered();
            return text;
          };
          return Object.assign(response, { text: told });
        },
      },
    });
    const a = w.subscribe(client, { query: "a" });
    const stream = (await w.gateway.request()).connect();
    await until(() => a.told.phase === "connecting");
    w.subscribe(client, { query: "b" });
    const patch = await w.gateway.request();
    answered = async () => {
      answered = () => {};
      for (let hop = 0; hop < hops; hop++) await null;
      w.subscribe(client, { query: "c" });
    };
    patch.amend(stream);
    expect(queries((await w.gateway.request()).body.add)).toEqual(["c"]);
  }
});

test("a PATCH that is answered 401 opens the stream anew with a new token", async () => {
  const w = await world();
  let calls = 0;
  const client = w.client({ token: () => `token-${++calls}` });
  const a = w.subscribe(client, { query: "a" });
  (await w.gateway.request()).connect();
  await until(() => a.told.phase === "connecting");
  w.subscribe(client, { query: "b" });
  (await w.gateway.request()).problem(401, "unauthenticated");
  const post = await w.gateway.request();
  expect([post.method, post.headers.authorization]).toEqual(["POST", "Bearer token-2"]);
  expect(queries(post.body.subscriptions)).toEqual(["a", "b"]);
});

test("subscribers of one query share it, and the shortest interval wins", async () => {
  const w = await world();
  const client = w.client();
  const slow = w.subscribe(client, { query: "a", interval: 60 });
  const stream = (await w.gateway.request()).connect().update("a", 60_000);
  await until(() => slow.told.ticks.length === 1);
  const same = w.subscribe(client, { query: "a", interval: 60, datasource: "default" });
  await until(() => same.told.ticks.length === 1);
  expect(w.gateway.seen).toBe(1);
  const quick = w.subscribe(client, { query: "a", interval: 5 });
  const shorter = await w.gateway.request();
  expect(shorter.body).toEqual({ add: [{ id: "s1", query: "a", interval: 5, after: 60_000 }], remove: ["s0"] });
  shorter.amend(stream);
  stream.update("a", 65_000);
  await until(() => quick.told.ticks.length === 2);
  expect(slow.told.ticks).toEqual([60_000, 65_000]);
  expect(slow.told.statuses.at(-1)?.interval).toBe(5);
  quick.close();
  const longer = await w.gateway.request();
  expect(longer.body).toEqual({ add: [{ id: "s2", query: "a", interval: 60, after: 65_000 }], remove: ["s1"] });
});

test("two queries that are one topic are both told", async () => {
  const w = await world();
  const client = w.client();
  const one = w.subscribe(client, { query: "sum(a)" }).told;
  const other = w.subscribe(client, { query: "sum (a)" }).told;
  const post = await w.gateway.request();
  const topic = "topic:sum(a)";
  const subscriptions = post.body.subscriptions.map((ask) => ({
    ...ask,
    topic,
    datasource: "default",
    resume: { outcome: "live" },
  }));
  post.connect({ subscriptions }).update("sum(a)", 5_000);
  await until(() => one.ticks.length === 1 && other.ticks.length === 1);
});

test("the 33rd subscription opens a second connection, which ends with its last one", async () => {
  const w = await world();
  const client = w.client();
  const all = Array.from({ length: 33 }, (_, i) => w.subscribe(client, { query: `q${i}` }));
  const posts = [await w.gateway.request(), await w.gateway.request()];
  expect(posts.map((post) => post.body.subscriptions.length)).toEqual([32, 1]);
  const [big, small] = posts.map((post) => post.connect());
  small?.update("q32", 5_000);
  await until(() => all[32]?.told.ticks.length === 1);
  expect(client.state).toMatchObject({ connections: 2 });
  all[32]?.close();
  await small?.closed;
  expect(client.state).toMatchObject({ phase: "live", connections: 1 });
  expect(big?.isClosed).toBe(false);
  all[0]?.close();
  expect((await w.gateway.request()).body.remove).toEqual(["s0"]);
  w.subscribe(client, { query: "again" });
});

test("with the last subscription the stream ends, and with the next it is opened", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => a.told.ticks.length === 1);
  a.close();
  await stream.closed;
  await until(() => client.state.phase === "idle");
  expect(w.time.waits).toEqual([]);
  w.subscribe(client, { query: "a" });
  expect((await w.gateway.request()).body.subscriptions[0]?.after).toBeUndefined();
});

test("a gap, a failure and the newest update are told to those whom they concern", async () => {
  const w = await world();
  const client = w.client();
  const a = w.subscribe(client, { query: "a", interval: 5 }).told;
  const b = w.subscribe(client, { query: "b", interval: 5 }).told;
  const stream = (await w.gateway.request()).connect();
  const gap = { topic: "topic:a", interval: 5, from: 10_000, to: 15_000, missed: 2, reason: "slow_consumer" };
  const failure = { topic: "topic:b", tick: 5_000, code: "upstream_timeout", message: "too slow", retryable: true };
  stream.update("a", 5_000).send("gap", gap).send("gap", gap).send("error", failure).send("error", failure);
  stream.update("b", 10_000);
  await until(() => b.ticks.length === 1);
  expect([a.gaps, a.failures]).toEqual([[gap], []]);
  expect([b.gaps, b.failures]).toEqual([[], [failure]]);
  stream.end();
  await until(() => a.phase === "reconnecting");
  w.time.advance(500);
  const { subscriptions } = (await w.gateway.request()).body;
  expect(subscriptions.map(({ after }) => after)).toEqual([15_000, 10_000]);
});

test("a handler that throws harms nobody else", async () => {
  const w = await world();
  const client = w.client();
  const faults: unknown[] = [];
  const caught = (fault: unknown) => faults.push(fault);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", caught);
  const update = () => {
    throw new Error("mine");
  };
  client.subscribe({ query: "a" }, { update });
  const { told } = w.subscribe(client, { query: "a" });
  (await w.gateway.request()).connect().update("a", 5_000).update("a", 20_000);
  await until(() => told.ticks.length === 2 && faults.length === 2);
  process.removeListener("uncaughtException", caught);
  for (const listener of others) process.on("uncaughtException", listener);
});

test("what can be no question is refused at once", async () => {
  const w = await world();
  const client = w.client();
  expect(() => client.subscribe({ query: "" }, {})).toThrow(RangeError);
  expect(() => client.subscribe({ query: "up", interval: 1 }, {})).toThrow(/whole seconds from 5 to 300/);
  expect(() => w.client({ backfill: "a while" })).toThrow(/not a duration/);
});

test("a closed client tells nothing and keeps no timer", async () => {
  const w = await world();
  const client = w.client();
  const states: string[] = [];
  client.watch(({ phase }) => states.push(phase));
  const { told } = w.subscribe(client, { query: "a" });
  const stream = (await w.gateway.request()).connect().update("a", 5_000);
  await until(() => told.ticks.length === 1);
  client.close();
  await stream.closed;
  await new Promise(setImmediate);
  expect(w.time.waits).toEqual([]);
  expect(states).toEqual(["idle", "connecting", "live", "closed"]);
  expect(() => client.subscribe({ query: "a" }, {})).toThrow("closed");
});
