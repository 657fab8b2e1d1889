import { expect, test } from "vitest";
import { until } from "./support/time.js";
import { world } from "./support/world.js";

const UP = { query: "up", interval: 5 };
const topic = "topic:up";
const series = [{ gpu: "0" }, { gpu: "1" }];
const compact = (tick: number, schema = "x", extra: object = {}) => ({
  ...{ topic, tick, took_ms: 1, schema, time: tick / 1000, values: ["1.5", "NaN"], ...extra },
});
const span = (from: number, to: number) => ({
  ...{ topic, interval: 5, from, to },
  data: {
    resultType: "matrix",
    result: [{ metric: {}, values: [from, ...(to > from ? [to] : [])].map((time) => [time / 1000, "1"]) }],
  },
});

test("compact updates arrive complete, and labels are the same objects each time", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect();
  stream.send("schema", { topic, schema: "x", series });
  stream.send("metric-update", compact(5_000, "x", { warnings: ["odd"] })).send("metric-update", compact(10_000));
  await until(() => told.ticks.length === 2);
  const result = [
    { metric: { gpu: "0" }, value: [5, "1.5"] },
    { metric: { gpu: "1" }, value: [5, "NaN"] },
  ];
  const data = { resultType: "vector", result };
  expect(told.updates[0]).toEqual({ topic, tick: 5_000, took_ms: 1, warnings: ["odd"], data });
  const labels = told.updates.map(({ data }) => data.resultType === "vector" && data.result[0]?.metric);
  expect(labels[0]).toBe(labels[1]);
});

test("an update whose schema did not come is had again after a reconnect, complete", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  stream.send("metric-update", compact(10_000)).send("schema", { topic, schema: "x", series });
  await until(() => told.phase === "reconnecting");
  expect(told.statuses.at(-1)?.problem?.type).toBe("malformed");
  w.time.advance(500);
  const again = await w.gateway.request();
  expect(again.body.format).toBe("prometheus");
  expect(again.body.subscriptions[0]?.after).toBe(5_000);
  again.connect().update("up", 10_000);
  await until(() => told.ticks.length === 2);
});

test("a schema of an earlier stream does not count in the next", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect();
  stream.send("schema", { topic, schema: "x", series }).send("metric-update", compact(5_000));
  await until(() => told.ticks.length === 1);
  stream.end();
  await until(() => w.time.waits[0] === 500);
  w.time.advance(500);
  (await w.gateway.request()).connect().send("metric-update", compact(10_000));
  await until(() => told.statuses.at(-1)?.problem?.type === "malformed");
  expect(told.ticks).toEqual([5_000]);
});

test("events that this client does not know are passed over", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect();
  stream.send("constructor", {}).send("news", { anything: true }).update("up", 5_000);
  await until(() => told.ticks.length === 1);
});

test("what is no JSON ends the stream, which goes on after the last tick", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  (await w.gateway.request()).connect().raw("event: metric-update\ndata: {\n\n");
  await until(() => told.statuses.at(-1)?.problem?.type === "malformed");
  w.time.advance(500);
  (await w.gateway.request()).connect();
});

test("history and live updates have no tick in common, and who comes later is told both", async () => {
  const w = await world();
  const client = w.client({ backfill: "15m" });
  const { told } = w.subscribe(client, UP);
  const stream = (await w.gateway.request()).connect();
  stream.send("backfill", span(5_000, 10_000)).update("up", 10_000).update("up", 15_000);
  await until(() => told.ticks.length === 1);
  expect(told.times).toEqual([5_000, 10_000, 15_000]);
  stream.send("backfill", span(15_000, 20_000)).update("up", 25_000);
  await until(() => told.ticks.length === 2);
  expect(told.backfills[1]).toMatchObject({ from: 15_001, to: 20_000 });
  const late = w.subscribe(client, UP).told;
  await until(() => late.ticks.length === 2);
  expect(late.times.sort((a, b) => a - b)).toEqual([5_000, 10_000, 15_000, 20_000, 25_000]);
  expect(w.gateway.seen).toBe(1);
});

test("a backfill that failed is told, and does not move the place to resume from", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client({ backfill: "1h" }), UP);
  const failure = {
    topic,
    code: "upstream_timeout",
    message: "slow",
    retryable: true,
    during: "backfill",
    from: 0,
    to: 9,
  };
  (await w.gateway.request()).connect().send("error", failure).update("up", 5_000);
  await until(() => told.ticks.length === 1);
  expect(told.failures).toEqual([failure]);
});

test("a page that nobody looks at is paused, and catches up when it is looked at", async () => {
  const w = await world();
  const client = w.client({ pauseAfterMs: 30_000 });
  const { told } = w.subscribe(client, UP);
  const stream = (await w.gateway.request()).connect().update("up", 5_000);
  await until(() => told.ticks.length === 1);
  w.look(true);
  w.time.advance(29_000);
  w.look(false);
  w.time.advance(5_000);
  expect(stream.isClosed).toBe(false);
  w.look(true);
  w.time.advance(30_000);
  await stream.closed;
  expect([told.phase, client.state.phase]).toEqual(["paused", "paused"]);
  const other = w.subscribe(client, { query: "other" }).told;
  w.time.advance(600_000);
  expect(w.gateway.seen).toBe(1);
  expect(told.statuses.at(-1)?.stale).toBe(true);
  w.look(false);
  const again = await w.gateway.request();
  expect(again.body.subscriptions.map(({ after }) => after)).toEqual([5_000, undefined]);
  again.connect().update("up", 10_000).update("other", 10_000);
  await until(() => told.ticks.length === 2 && other.ticks.length === 1);
});

test("a page that is opened in the background is paused as well, and `false` means never", async () => {
  const w = await world();
  w.hidden = true;
  w.subscribe(w.client({ pauseAfterMs: 1_000 }), UP);
  w.subscribe(w.client({ pauseAfterMs: false }), UP);
  const streams = [(await w.gateway.request()).connect(), (await w.gateway.request()).connect()];
  w.time.advance(1_000);
  await until(() => streams.some((stream) => stream.isClosed));
  expect(streams.filter((stream) => stream.isClosed)).toHaveLength(1);
});

test("data are stale when the newest update is older than two intervals, by the gateway's clock", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect({ server_time: 100_000 }).update("up", 100_000);
  await until(() => told.ticks.length === 1);
  expect(told.statuses.at(-1)).toMatchObject({ phase: "live", stale: false, tick: 100_000 });
  w.time.advance(14_999);
  expect(told.statuses.at(-1)?.stale).toBe(false);
  w.time.advance(1);
  expect(told.statuses.at(-1)).toMatchObject({ phase: "live", stale: true, tick: 100_000 });
  stream.update("up", 115_000);
  await until(() => told.statuses.at(-1)?.stale === false);
});

test("ticks that fail do not keep data fresh", async () => {
  const w = await world();
  const { told } = w.subscribe(w.client(), UP);
  const stream = (await w.gateway.request()).connect({ server_time: 5_000 }).update("up", 5_000);
  await until(() => told.ticks.length === 1);
  w.time.advance(10_000);
  const failure = { topic, tick: 15_000, code: "upstream_unreachable", message: "nobody", retryable: true };
  stream.send("error", failure);
  await until(() => told.failures.length === 1);
  w.time.advance(5_000);
  expect(told.statuses.at(-1)?.stale).toBe(true);
});
