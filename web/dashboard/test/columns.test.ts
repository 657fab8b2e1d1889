import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Columns } from "../src/columns";

const SPAN = 60_000;
const TICKS = 12;

function rows(columns: Columns<string>, key: string): [number, number][] {
  const { times, columns: all } = columns.view();
  return [...times].map((time, i) => [time, all.get(key)?.[i] ?? Number.NaN]);
}

describe("columns", () => {
  test("have the points of backfill and updates in the order of time, whichever comes first", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("a", 20_000, 3);
    columns.put("a", 5_000, 1);
    columns.put("a", 10_000, 2);
    expect(rows(columns, "a")).toEqual([
      [5_000, 1],
      [10_000, 2],
      [20_000, 3],
    ]);
  });

  test("take the second of two values of one time", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("a", 5_000, 1);
    columns.put("a", 5_000, 2);
    expect(rows(columns, "a")).toEqual([[5_000, 2]]);
  });

  test("have no value where a series had none, nor at a tick that failed", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("a", 5_000, 1);
    columns.blank(10_000);
    columns.put("a", 15_000, 1);
    columns.put("b", 15_000, 2);
    expect(rows(columns, "a").map(([, value]) => value)).toEqual([1, Number.NaN, 1]);
    expect(rows(columns, "b").map(([, value]) => value)).toEqual([Number.NaN, Number.NaN, 2]);
    expect([...columns.latest()]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("keep the newest values over ticks that are lost, and not over one that had none", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("a", 5_000, 1);
    columns.lost(10_000);
    columns.lost(15_000);
    expect([...columns.latest()]).toEqual([["a", 1]]);
    columns.blank(20_000);
    columns.lost(25_000);
    expect([...columns.latest()]).toEqual([]);
    columns.put("a", 200_000, 2);
    for (let tick = 205_000; tick <= 400_000; tick += 5_000) columns.lost(tick);
    expect([...columns.latest()], "out of the window").toEqual([]);
  });

  test("forget a series that has left the window", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("gone", 0, 1);
    for (let tick = 5_000; tick <= 100_000; tick += 5_000) columns.put("a", tick, tick);
    columns.trim(100_000);
    expect([...columns.view().columns.keys()]).toEqual(["a"]);
    expect(columns.view().times[0]).toBe(40_000);
  });

  test("take nothing that is older than their window", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    columns.put("a", 100_000, 1);
    columns.put("a", 39_999, 1);
    expect(rows(columns, "a")).toEqual([[100_000, 1]]);
  });

  test("keep the newest where more comes than was said", () => {
    const columns = new Columns<string>(SPAN, TICKS);
    for (let tick = 0; tick < 59; tick += 1) columns.put("a", tick * 1_000, tick);
    const found = rows(columns, "a");
    expect(found.at(-1)).toEqual([58_000, 58]);
    expect(found.length).toBeGreaterThanOrEqual(TICKS);
    expect(found.map(([time]) => time)).toEqual(found.map((_, i) => (59 - found.length + i) * 1_000));
    columns.put("a", 57_500, 7);
    expect(rows(columns, "a").slice(-2, -1)).toEqual([[57_500, 7]]);
  });

  test("are no longer than their window, and equal to a plain list, whatever comes", () => {
    const point = fc.tuple(fc.constantFrom("a", "b"), fc.integer({ min: 0, max: 60 }), fc.integer());
    fc.assert(
      fc.property(fc.array(point, { maxLength: 200 }), (points) => {
        const columns = new Columns<string>(SPAN, TICKS);
        const plain = new Map<string, number>();
        let newest = Number.NEGATIVE_INFINITY;
        for (const [key, step, value] of points) {
          const time = step * 5_000;
          if (time < newest - SPAN) continue;
          newest = Math.max(newest, time);
          columns.put(key, time, value);
          plain.set(`${key} ${time}`, value);
        }
        const found = ["a", "b"].flatMap((key) =>
          rows(columns, key).map(([time, value]) => [`${key} ${time}`, value] as const),
        );
        for (const [name, value] of found) expect(value).toBe(plain.get(name) ?? Number.NaN);
        const kept = [...plain.keys()].filter((name) => Number(name.split(" ")[1]) >= newest - SPAN);
        expect(
          found
            .filter(([, value]) => !Number.isNaN(value))
            .map(([name]) => name)
            .sort(),
        ).toEqual(kept.sort());
        expect(columns.view().times.length).toBeLessThanOrEqual(TICKS + 2);
      }),
    );
  });
});
