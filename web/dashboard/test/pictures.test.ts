import { describe, expect, test } from "vitest";
import { binCount, binned, extent } from "../src/heatmap";
import { reasons } from "../src/reasons";
import { drawable, missing, summary } from "../src/series";
import { area, path } from "../src/sparkline";
import { faults, spans } from "../src/timeline";

const NONE = Number.NaN;

describe("a heatmap", () => {
  test("has the mean of the points of each cell, and nothing where there are none", () => {
    const cells = binned([0, 10, 20, 55], [1, 3, NONE, 8], { from: 0, to: 60, bins: 3 });
    expect([...cells]).toEqual([2, NONE, 8]);
  });

  test("has the newest point in its last cell, and none from before", () => {
    expect([...binned([-1, 60], [9, 5], { from: 0, to: 60, bins: 2 })]).toEqual([NONE, 5]);
  });

  test("has no cells shorter than the interval, which would be holes", () => {
    expect(binCount(1000, 6, 60_000, 5_000)).toBe(12);
    expect(binCount(60, 6, 900_000, 5_000)).toBe(10);
    expect(binCount(0, 6, 900_000, 5_000)).toBe(1);
  });

  test("has a scale from the lowest to the highest", () => {
    expect(extent([[1, NONE], [7]])).toEqual([1, 7]);
    expect(extent([[NONE]])).toEqual([0, 1]);
  });
});

describe("a state timeline", () => {
  const stateOf = (value: number) => (Number.isNaN(value) ? undefined : value);

  test("joins equal states, and leaves empty what nobody measured", () => {
    expect(spans([0, 5, 10, 50, 55], [1, 1, 2, 2, NONE], stateOf, 10)).toEqual([
      { from: 0, to: 10, state: 1 },
      { from: 10, to: 20, state: 2 },
      { from: 50, to: 55, state: 2 },
    ]);
  });

  test("has an error where the last code changes to another, and none for what was there before", () => {
    expect(faults([0, 5, 10, 15, 20], [31, 31, NONE, 48, 0])).toEqual([{ time: 15, code: 48 }]);
    expect(faults([0, 5], [0, 79])).toEqual([{ time: 5, code: 79 }]);
  });
});

test("clock reasons are words, the worst first", () => {
  expect(reasons(0)).toEqual({ state: "busy", names: [] });
  expect(reasons(0x1)).toEqual({ state: "idle", names: ["idle"] });
  expect(reasons(0x44)).toEqual({ state: "slowed", names: ["too hot (hardware)", "power cap"] });
  expect(reasons(0x1000)).toEqual({ state: "other", names: [] });
  expect([reasons(NONE), reasons(-1)]).toEqual([undefined, undefined]);
});

describe("a sparkline", () => {
  const box = { width: 100, height: 10, from: 0, to: 100, low: 0, high: 10 };

  test("breaks where there is no value", () => {
    expect(path([0, 50, 60, 100], [0, 10, NONE, 5], box)).toBe("M0.0 10.0L50.0 0.0M100.0 5.0");
  });

  test("has an area below it where it is whole", () => {
    expect(area("M0.0 10.0L50.0 0.0", 10)).toBe("M0.0 10.0L50.0 0.0L50.0 10L0.0 10Z");
    expect([area("M0.0 1.0", 10), area("M0 1L2 3M4 5L6 7", 10), area("", 10)]).toEqual(["", "", ""]);
  });
});

test("a summary is of what is there", () => {
  expect(summary([1, NONE, 3])).toEqual({ now: 3, low: 1, mean: 2, high: 3 });
  expect(summary([1, NONE]).now).toBeUndefined();
  expect(summary(undefined).mean).toBeUndefined();
  expect(drawable([1, NONE], 3)).toEqual([1, null, null]);
});

test("ticks that are missing between others are counted", () => {
  expect(missing([5, 10, 25, 30], 5)).toBe(2);
  expect([missing([], 5), missing([5], 5), missing([5, 10.2, 15], 5)]).toEqual([0, 0, 0]);
});
