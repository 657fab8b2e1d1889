import { describe, expect, test } from "vitest";
import { batched } from "../src/batch.js";
import { parseDuration } from "../src/duration.js";
import { History } from "../src/history.js";
import type { Update } from "../src/protocol.js";
import { number, samples } from "../src/samples.js";
import { statusOf } from "../src/status.js";

const update = (tick: number): Update => ({
  ...{ topic: "t", tick, took_ms: 1 },
  data: { resultType: "vector", result: [] },
});

describe("durations", () => {
  test.each([
    ["15m", 900_000],
    ["1h30m", 5_400_000],
    ["90s", 90_000],
    ["500ms", 500],
    ["1m500ms", 60_500],
    ["2d", 172_800_000],
  ])("%s is read", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "15", "m", "1m1h", "-5m", "1.5h", "5m ", "5min"])("`%s` is refused", (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError);
  });
});

describe("history", () => {
  test("without a span the newest update is kept", () => {
    const history = new History(0);
    for (const tick of [1_000, 2_000]) history.add({ kind: "update", event: update(tick) });
    expect(history.all().map(({ event }) => event)).toEqual([update(2_000)]);
  });

  test("with a span what lies in it is kept, and no more", () => {
    const history = new History(10_000);
    for (let tick = 1_000; tick <= 100_000; tick += 1_000) history.add({ kind: "update", event: update(tick) });
    const ticks = history.all().map(({ event }) => (event as Update).tick);
    expect([ticks.length, ticks[0], ticks.at(-1)]).toEqual([10, 91_000, 100_000]);
  });
});

describe("samples", () => {
  test("numbers are what Prometheus means by them", () => {
    expect(["+Inf", "-Inf", "NaN", "1e3", "-0"].map(number)).toEqual([
      ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1_000, -0],
    ]);
  });

  test("all kinds of result have one form, and native histograms are left out", () => {
    const histogram = { metric: {}, histogram: [1, { count: "1", sum: "1" }] } as const;
    const vector = { resultType: "vector", result: [{ metric: { a: "1" }, value: [1.5, "2"] }, histogram] } as const;
    expect(samples({ ...update(1), data: vector })).toEqual([{ metric: { a: "1" }, points: [[1_500, 2]] }]);
    const scalar = { resultType: "scalar", result: [1, "3"] } as const;
    expect(samples({ ...update(1), data: scalar })).toEqual([{ metric: {}, points: [[1_000, 3]] }]);
    const matrix = {
      resultType: "matrix",
      result: [
        { metric: {}, values: [[1, "3"]] },
        { metric: {}, histograms: [] },
      ],
    } as const;
    expect(samples({ ...update(1), data: matrix }).map(({ points }) => points)).toEqual([[[1_000, 3]], []]);
    expect(samples({ ...update(1), data: { resultType: "string", result: [1, "a"] } })).toEqual([]);
  });
});

test("a stream that stands is `connecting` until its first update", () => {
  const facts = { phase: "live", problem: undefined, interval: 5, serverNow: 0 } as const;
  expect(statusOf({ ...facts, tick: undefined })).toMatchObject({ phase: "connecting", stale: false, tick: null });
  expect(statusOf({ ...facts, tick: 0 })).toMatchObject({ phase: "live", stale: false, tick: 0 });
});

test("what is asked for many times in one turn is done once, and again in the next", async () => {
  let times = 0;
  const act = batched(() => times++);
  for (let i = 0; i < 5; i++) act();
  expect(times).toBe(0);
  await Promise.resolve();
  expect(times).toBe(1);
  act();
  await Promise.resolve();
  expect(times).toBe(2);
});
