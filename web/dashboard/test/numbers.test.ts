import { describe, expect, test } from "vitest";
import { age } from "../src/age";
import { errors, hottest, mean, most, now, ofBoards, ofParts, ofSlices, overTime, sum } from "../src/fleet";
import { gpuOf } from "../src/gpu";
import { live } from "../src/live";
import { keyOf, names } from "../src/naming";
import type { Member } from "../src/roster";
import { next, rowsOf, sorted } from "../src/rows";
import { level } from "../src/thresholds";
import { duration, format } from "../src/units";

describe("units", () => {
  test.each([
    [0, "percent", "0 %"],
    [83.4, "celsius", "83 °C"],
    [537.633, "watt", "538 W"],
    [999.9, "watt", "1 kW"],
    [2_410, "watt", "2.41 kW"],
    [1_919_000_000, "hertz", "1.92 GHz"],
    [1_536, "bytes", "1.5 KiB"],
    [100 * 2 ** 30, "bytes", "100 GiB"],
    [10, "none", "10"],
    [1_234_567, "none", "1.23 M"],
    [0.001234, "none", "0.0012"],
    [-5, "celsius", "−5 °C"],
    [Number.NaN, "watt", "–"],
    [undefined, "watt", "–"],
  ] as const)("%d %s is %s", (value, unit, text) => expect(format(value, unit)).toBe(text.replace(" ", "\u202f")));

  test("durations are as short as one says them", () => {
    expect([4_400, 99_000, 130_000, 7_200_000].map(duration)).toEqual(
      ["4 s", "99 s", "2 min", "2 h"].map((text) => text.replace(" ", "\u202f")),
    );
  });
});

test("bounds count from the value on", () => {
  const hot = { warn: 83, high: 87 };
  expect([82.9, 83, 87].map((value) => level(value, hot))).toEqual(["ok", "warn", "high"]);
  expect([level(99, undefined), level(Number.NaN, hot), level(undefined, hot)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

describe("the fleet", () => {
  const member = (UUID: string, GPU_I_ID = ""): Member => ({ gpu: gpuOf({ gpu: "0", UUID, GPU_I_ID }), workloads: [] });
  const cut = [member("A", "1"), member("A", "2"), member("B")];
  const latest = new Map([
    ["A/1", 300],
    ["A/2", 300],
    ["B", 100],
  ]);

  test("counts the power of a board once, however many instances repeat it", () => {
    expect(now(latest, cut, ofBoards, sum)).toBe(400);
    expect(now(latest, cut, ofParts, sum)).toBe(700);
    expect(now(new Map(), cut, ofBoards, sum)).toBeUndefined();
  });

  test("is as busy as its slices are: one of seven says little beside a board that is not cut", () => {
    const part = (GPU_I_ID: string, GPU_I_PROFILE: string): Member => ({
      gpu: gpuOf({ gpu: "0", UUID: "A", GPU_I_ID, GPU_I_PROFILE }),
      workloads: [],
    });
    const mixed = [part("1", "1g.18gb"), part("2", "1c.3g.71gb"), member("B")];
    const busy = new Map([
      ["A/1", 100],
      ["A/2", 10],
      ["B", 10],
    ]);
    expect(now(busy, mixed, ofSlices, mean)).toBe(20);
    expect(now(busy, mixed, ofSlices, most)).toBe(100);
    expect(now(busy, [member("B"), member("C")], ofSlices, sum)).toBe(10);
  });

  test("has a value at each tick at which a GPU has one", () => {
    const view = { times: Float64Array.of(1, 2), columns: new Map([["B", Float64Array.of(4, Number.NaN)]]) };
    expect([...overTime(view, cut, ofParts, mean)]).toEqual([4, Number.NaN]);
  });

  test("counts the error of a board once", () => {
    expect(errors(cut, (key) => (key.startsWith("A") ? [{ time: 5, code: 31 }] : [{ time: 5, code: 48 }]))).toBe(2);
  });

  test("has a hottest GPU", () => {
    expect(hottest(latest, cut)?.member.gpu.key).toBe("A/1");
    expect(hottest(new Map(), cut)).toBeUndefined();
  });
});

describe("the table", () => {
  const none = new Map<string, number>();
  const facts = {
    ...{ utilisation: new Map([["B", 90]]), memory: new Map([["A", 30]]), capacity: new Map([["A", 120]]) },
    ...{ temperature: none, power: none, clock: none, reasons: new Map([["A", 4]]), xid: none },
  };
  const members = ["A", "B"].map((UUID, i) => ({
    gpu: gpuOf({ gpu: String(i), UUID }),
    workloads: [{ namespace: "a", name: "p" }],
  }));
  const rows = rowsOf(members, facts);

  test("has a row for each GPU, with its share of memory", () => {
    expect(rows[0]).toMatchObject({
      title: "GPU 0",
      workload: "a/p",
      memoryShare: 25,
      limited: "power cap",
      utilisation: undefined,
    });
  });

  test("sorts, with what has no value last", () => {
    const order = (descending: boolean) => sorted(rows, { column: "utilisation", descending }).map(({ key }) => key);
    expect([order(true), order(false)]).toEqual([
      ["B", "A"],
      ["B", "A"],
    ]);
    expect(sorted(rows, { column: "title", descending: true }).map(({ key }) => key)).toEqual(["B", "A"]);
  });

  test("begins with the highest number, and with the first name", () => {
    const first = next({ column: "title", descending: false }, "power");
    expect([first.descending, next(first, "power").descending, next(first, "title").descending]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

test("series are named by the GPUs that they are of, or by the labels in which they differ", () => {
  const named = (...sets: Record<string, string>[]) => [
    ...names(new Map(sets.map((set) => [keyOf(set), set]))).values(),
  ];
  expect(named({ __name__: "up", gpu: "0" }, { __name__: "up", gpu: "1" })).toEqual(["GPU 0", "GPU 1"]);
  expect(named({ job: "a", pod: "x" }, { job: "a", pod: "y" }, { job: "a" })).toEqual(["x", "y", "no pod"]);
  expect(named({ a: "1", b: "1" }, { a: "2", b: "2" })).toEqual(["a=1 b=1", "a=2 b=2"]);
  expect(named({ __name__: "up", job: "a" })).toEqual(["up job=a"]);
  expect(named({})).toEqual(["value"]);
  expect(named({ gpu: "0", UUID: "A", x: "1" }, { gpu: "0", UUID: "A", x: "2" })).toEqual(["1", "2"]);
  expect(keyOf({ b: "1", a: "2" })).toBe(keyOf({ a: "2", b: "1" }));
});

test("the age of data grows here, and clocks that differ do not make it negative or huge", () => {
  expect(age({ tick: 1_000, at: 1_200, intervalMs: 5_000 }, 3_000)).toBe(2_000);
  expect(age({ tick: 9_000, at: 1_000, intervalMs: 5_000 }, 1_500)).toBe(500);
  expect(age({ tick: 0, at: 900_000, intervalMs: 5_000 }, 900_000)).toBe(5_000);
});

test("the badge says the worst of connection and data", () => {
  const state = { phase: "live", connections: 1 } as const;
  expect(live({ state, age: 2_000, stale: false })).toEqual({
    ...{ kind: "live", text: "Live", detail: "" },
    age: "data up to 2\u202fs old",
  });
  expect(live({ state, age: 40_000, stale: true })).toMatchObject({ kind: "late", text: "Stale" });
  expect(live({ state, age: undefined, stale: false }).text).toBe("Waiting");
  expect(live({ state: { ...state, phase: "reconnecting" }, age: 1, stale: false }).text).toBe("Reconnecting");
  expect(live({ state: { ...state, phase: "failed" }, age: 1, stale: true }).kind).toBe("off");
});
