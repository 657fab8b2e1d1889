import fc from "fast-check";
import { expect, test } from "vitest";
import { Window } from "../src/series";

test("history and live points of several series make one table, with null where a series has none", () => {
  const window = new Window<string>(60_000);
  window.add("a", [
    [5_000, 1],
    [10_000, Number.NaN],
  ]);
  window.add("b", [[10_000, 2]]);
  window.add("a", [[15_000, 3]]);
  const { times, columns } = window.table();
  expect(times).toEqual([5_000, 10_000, 15_000]);
  expect([...columns]).toEqual([
    ["a", [1, null, 3]],
    ["b", [null, 2, null]],
  ]);
});

test("a gap breaks the lines and is remembered as long as it is in the window", () => {
  const window = new Window<string>(30_000);
  window.add("a", [[5_000, 1]]);
  window.lose(10_000, 15_000);
  window.add("a", [[20_000, 2]]);
  expect(window.table().columns.get("a")).toEqual([1, null, 2]);
  window.add("a", [[45_000, 3]]);
  expect(window.gaps).toEqual([]);
  expect(window.table()).toMatchObject({ times: [20_000, 45_000] });
});

test("whatever comes, the window holds no more than its span, and series that ended are gone", () => {
  const point = fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: 0, max: 200 }), fc.double());
  fc.assert(
    fc.property(fc.array(point, { maxLength: 200 }), (points) => {
      const window = new Window<string>(20);
      for (const [key, time, value] of points) window.add(key, [[time, value]]);
      const { times, columns } = window.table();
      const newest = Math.max(...points.map(([, time]) => time));
      for (const time of times) expect(time).toBeGreaterThan(newest - 20);
      expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
      for (const column of columns.values()) expect(column).toHaveLength(times.length);
    }),
  );
});
