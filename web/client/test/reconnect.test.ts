import { expect, test } from "vitest";
import { until } from "./support/time.js";
import { world } from "./support/world.js";

const UP = { query: "up", interval: 5 };

test("a stream is opened with a POST that says all that is wanted", async () => {
  const w = await world();
  const client = w.client({ token: "secret", namespaces: ["a"], backfill: "15m" });
  w.subscribe(client, { ...UP, datasource: "other" });
  const post = await w.gateway.request();
  expect([post.method, post.path]).toEqual(["POST", "/api/v1/metrics/stream"]);
  expect(post.headers.authorization).toBe("Bearer secret");
  expect(post.headers["content-type"]).toBe("application/json");
  expect(post.body).toEqual({
    subscriptions: [{ id: "s0", query: "up", interval: 5, datasource: "other" }],
    namespaces: ["a"],
    backfill: "15m",
    format: "compact",
  });
});

test("a stream that is cut goes on after the last tick, after a wait with full jitter", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const first = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  w.time.advance(6_000);
  first.cut();
  await until(() => told.phase === "reconnecting");
  // Half of the first window, which is 1 s.
  expect(w.time.waits).toContain(500);
  w.time.advance(499);
  expect(w.gateway.seen).toBe(1);
  w.time.advance(1);
  const second = await w.gateway.request();
  expect(second.body.subscriptions[0]?.after).toBe(5_000);
  second.connect().update("up", 5_000).update("up", 10_000);
  await until(() => told.ticks.length === 2);
  expect(told.ticks).toEqual([5_000, 10_000]);
  expect(told.phase).toBe("live");
});

test("each failed attempt doubles the window, up to its bound", async () => {
  const w = await world();
  w.random = 0.999;
  const { told } = w.subscribe(w.client({ retryMaxMs: 4_000 }), UP);
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    (await w.gateway.request()).cut();
    const before = told.statuses.length;
    await until(() => told.statuses.length > before || w.time.waits.some((ms) => ms < 10_000));
    waits.push(w.time.waits[0] ?? 0);
    w.time.advance(waits[i] ?? 0);
  }
  expect(waits).toEqual([999, 1_998, 3_996, 3_996, 3_996]);
});

test("only a stream that stood for a while makes the next window the first again", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const waitAfter = async (ms: number) => {
    const stream = (await w.gateway.request()).connect();
    await until(() => told.phase === "connecting");
    w.time.advance(ms);
    stream.cut();
    await until(() => told.phase === "reconnecting");
    const [wait = 0] = w.time.waits;
    w.time.advance(wait);
    return wait;
  };
  expect([await waitAfter(0), await waitAfter(4_999), await waitAfter(0)]).toEqual([500, 1_000, 2_000]);
  expect([await waitAfter(5_000), await waitAfter(0)]).toEqual([500, 1_000]);
});

test("the gateway's retry is the window of the first attempt", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().raw("retry: 3000\n\n").update("up", 5_000);
  await until(() => told.ticks.length === 1);
  stream.end();
  await until(() => told.phase === "reconnecting");
  expect(w.time.waits[0]).toBe(1_500);
});

test("a stream that the gateway shuts down comes back after exactly the retry that it was given", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect();
  stream.send("shutdown", { code: "draining", reconnect: true, message: "going" }, "retry: 1234\n");
  await until(() => told.phase === "reconnecting");
  expect(told.statuses.at(-1)?.problem?.type).toBe("draining");
  expect(w.time.waits[0]).toBe(1_234);
  w.time.advance(1_234);
  (await w.gateway.request()).connect();
});

test.each(["closed_by_request", "access_revoked", "token_expired"])("%s is the end, and is told", async (code) => {
  const w = await world();
  const client = w.client();
  const { told } = w.subscribe(client, UP);
  (await w.gateway.request()).connect().send("shutdown", { code, reconnect: false, message: "no more" });
  await until(() => told.problems.length > 0);
  expect(told.problems[0]).toMatchObject({ type: code, status: 0 });
  expect(told.phase).toBe("failed");
  expect(client.state).toMatchObject({ phase: "failed", problem: { type: code } });
  expect(w.time.waits).toEqual([]);
});

test("a shutdown counts that comes together with the end of the response", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  stream.send("shutdown", { code: "draining", reconnect: true, message: "going" }, "retry: 1234\n").end();
  await until(() => told.phase === "reconnecting");
  expect(w.time.waits[0]).toBe(1_234);
});

test("nothing counts that comes behind a shutdown", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  const shutdown = JSON.stringify({ code: "draining", reconnect: true, message: "going" });
  const data = { resultType: "vector", result: [] };
  const update = JSON.stringify({ topic: "topic:up", tick: 10_000, took_ms: 1, data });
  stream.raw(`event: shutdown\ndata: ${shutdown}\n\nevent: metric-update\ndata: ${update}\n\n`);
  await until(() => told.phase === "reconnecting");
  expect(told.ticks).toEqual([5_000]);
});

test("a reconnect that was asked for is no failure", async () => {
  const w = await world();
  const client = w.client();
  const { told } = w.subscribe(client, UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  client.reconnect();
  await stream.closed;
  const again = await w.gateway.request();
  expect(again.body.subscriptions[0]?.after).toBe(5_000);
  again.connect().update("up", 10_000);
  await until(() => told.ticks.length === 2);
  expect(told.statuses.map(({ phase }) => phase)).not.toContain("reconnecting");
});

test("Retry-After is waited for, and some more, so that not all come back in the same second", async () => {
  const w = await world();
  w.subscribe(w.client(), UP);
  (await w.gateway.request()).problem(503, "at-capacity", { "retry-after": "7" });
  await until(() => w.time.waits[0] === 7_500);
  w.time.advance(7_500);
  (await w.gateway.request()).connect();
});

test.each([
  [401, "unauthenticated"],
  [404, "not-found"],
  [405, "method-not-allowed"],
  [406, "not-acceptable"],
])("%i is not tried again", async (status, type) => {
  const w = await world();
  const client = w.client();
  const { told } = w.subscribe(client, UP);
  (await w.gateway.request()).problem(status, type);
  await until(() => told.problems.length > 0);
  expect(told.problems[0]).toMatchObject({ type, status, detail: `about ${type}` });
  expect(w.time.waits).toEqual([]);
  client.reconnect();
  (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
});

test("who subscribes to a client that has failed is told so", async () => {
  const w = await world();
  const client = w.client();
  const { told } = w.subscribe(client, UP);
  (await w.gateway.request()).problem(404, "not-found");
  await until(() => told.problems.length > 0);
  const late = w.subscribe(client, { query: "late" }).told;
  const same = w.subscribe(client, UP).told;
  await until(() => late.problems.length > 0 && same.problems.length > 0);
  expect(late.problems).toHaveLength(1);
  expect(w.gateway.seen).toBe(1);
});

test("a query that is refused is told to its subscriber, and the others are streamed", async () => {
  const w = await world();
  const client = w.client();
  const good = w.subscribe(client, { query: "good" }).told;
  const bad = w.subscribe(client, { query: "bad(" }).told;
  const more = w.subscribe(client, { query: "more" }).told;
  (await w.gateway.request()).problem(400, "invalid-query");
  const half = await w.gateway.request();
  expect(half.body.subscriptions.map(({ query }) => query)).toEqual(["good", "bad("]);
  half.problem(400, "invalid-query");
  const stream = (await w.gateway.request()).connect();
  const both = await w.gateway.request();
  expect([both.method, both.body.add.map(({ query }) => query)]).toEqual(["PATCH", ["bad(", "more"]]);
  both.problem(400, "invalid-query");
  const one = await w.gateway.request();
  expect(one.body.add.map(({ query }) => query)).toEqual(["bad("]);
  one.problem(400, "invalid-query");
  (await w.gateway.request()).amend(stream);
  await until(() => bad.problems.length > 0);
  expect(bad.problems[0]).toMatchObject({ type: "invalid-query", status: 400 });
  stream.update("good", 5_000).update("more", 6_000);
  await until(() => good.ticks.length === 1 && more.ticks.length === 1);
  expect([good.problems, more.problems]).toEqual([[], []]);
  // The next stream is opened with all that is left.
  stream.end();
  await until(() => good.phase === "reconnecting");
  w.time.advance(w.time.waits[0] ?? 0);
  const again = await w.gateway.request();
  expect(again.body.subscriptions.map(({ query }) => query)).toEqual(["good", "more"]);
});

test("a token that is refused is asked for anew once, and the new one is used", async () => {
  const w = await world();
  const reasons: string[] = [];
  const token = async (reason: string) => {
    reasons.push(reason);
    return `token-${reasons.length}`;
  };
  const { told } = w.subscribe(w.client({ token }), UP);
  (await w.gateway.request()).problem(401, "unauthenticated");
  const second = await w.gateway.request();
  expect(second.headers.authorization).toBe("Bearer token-2");
  second.problem(401, "unauthenticated");
  await until(() => told.problems.length > 0);
  expect(reasons).toEqual(["first", "refused"]);
  expect(told.problems[0]?.status).toBe(401);
});

test("a token that expired is asked for anew, and the stream goes on at once", async () => {
  const w = await world();
  let calls = 0;
  const { told } = w.subscribe(w.client({ token: () => `token-${++calls}` }), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  stream.send("shutdown", { code: "token_expired", reconnect: false, message: "expired" });
  const second = await w.gateway.request();
  expect(second.headers.authorization).toBe("Bearer token-2");
  expect(second.body.subscriptions[0]?.after).toBe(5_000);
});

test("a token callback that fails is called again later", async () => {
  const w = await world();
  let calls = 0;
  const token = () => {
    calls += 1;
    if (calls === 1) throw new Error("no network");
    return "late";
  };
  const client = w.client({ token });
  w.subscribe(client, UP);
  await until(() => client.state.problem?.type === "token-callback");
  w.time.advance(500);
  expect((await w.gateway.request()).headers.authorization).toBe("Bearer late");
});

test("an event that is cut in the middle is not told, and comes whole after the reconnect", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  stream.raw('event: metric-update\ndata: {"topic":"topic:up","tick":10000,"took_ms":1,"da');
  stream.end();
  await until(() => told.phase === "reconnecting");
  w.time.advance(500);
  const second = await w.gateway.request();
  expect(second.body.subscriptions[0]?.after).toBe(5_000);
  second.connect().update("up", 10_000);
  await until(() => told.ticks.length === 2);
});

test("events in pieces of any size are whole", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect();
  const data = { resultType: "vector", result: [{ metric: { pod: "größe-✓" }, value: [5, "1"] }] };
  const text = `event: metric-update\ndata: ${JSON.stringify({ topic: "topic:up", tick: 5_000, took_ms: 1, data })}\n\n`;
  for (const byte of Buffer.from(text)) {
    stream.raw(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  await until(() => told.ticks.length === 1);
  expect(told.updates[0]?.data).toEqual(data);
});

test("a page in place of a stream is a reason to try again later", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  (await w.gateway.request()).answer(200, "<html>", { "content-type": "text/html" });
  await until(() => told.phase === "reconnecting");
  expect(told.statuses.at(-1)?.problem?.type).toBe("not-a-gateway");
  w.time.advance(500);
  (await w.gateway.request()).connect();
});

test("a connection that brings nothing is opened anew, and comments are signs of life", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  w.time.advance(44_000);
  stream.raw(":\n\n");
  stream.update("up", 10_000);
  await until(() => told.ticks.length === 2);
  w.time.advance(44_000);
  stream.update("up", 15_000);
  await until(() => told.ticks.length === 3);
  w.time.advance(44_000);
  stream.raw(":\n\n").update("up", 20_000);
  await until(() => told.ticks.length === 4);
  w.time.advance(45_000);
  await stream.closed;
  await until(() => told.phase === "reconnecting");
  expect(told.statuses.at(-1)?.problem?.type).toBe("silent");
  w.time.advance(500);
  expect((await w.gateway.request()).body.subscriptions[0]?.after).toBe(20_000);
});

test("a gateway that takes the request and says nothing is left after ten seconds", async () => {
  const w = await world();
  w.subscribe(w.client(), UP);
  const stream = await w.gateway.request();
  w.time.advance(10_000);
  await stream.closed;
  await until(() => w.time.waits[0] === 500);
});
