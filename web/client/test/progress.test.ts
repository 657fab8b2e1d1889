import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Progress } from "../src/progress.js";
import type { Backfill } from "../src/protocol.js";
import { samples } from "../src/samples.js";

function backfill(from: number, to: number): Backfill {
  const values = Array.from({ length: to - from + 1 }, (_, i) => [from + i, "1"] as const);
  const data = { resultType: "matrix", result: [{ metric: {}, values }] } as const;
  return { topic: "t", interval: 5, from: from * 1000, to: to * 1000, data };
}

const ticks = (event: Backfill | undefined) =>
  event === undefined ? [] : samples(event).flatMap(({ points }) => points.map(([time]) => time / 1000));

describe("progress", () => {
  test("no tick is told twice, whatever comes in whatever order, and live ones are told in order", () => {
    const tick = fc.integer({ min: 1, max: 60 });
    const event = fc.oneof(
      fc.record({ kind: fc.constant("tick" as const), tick }),
      fc.record({ kind: fc.constant("gap" as const), tick, length: fc.nat(5) }),
      fc.record({ kind: fc.constant("backfill" as const), tick, length: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const progress = new Progress();
        const told: number[] = [];
        const live: number[] = [];
        for (const event of events) {
          if (event.kind === "tick" && progress.take(event.tick * 1000)) {
            told.push(event.tick);
            live.push(event.tick);
          }
          if (event.kind === "gap") progress.skip(event.tick * 1000, (event.tick + event.length) * 1000);
          if (event.kind === "backfill")
            told.push(...ticks(progress.fill(backfill(event.tick, event.tick + event.length))));
        }
        expect(new Set(told).size).toBe(told.length);
        expect(live).toEqual([...live].sort((a, b) => a - b));
        if (told.length > 0) expect(progress.last).toBeGreaterThanOrEqual(Math.max(...told) * 1000);
      }),
    );
  });

  test("a backfill that lies around what was seen brings both sides", () => {
    const progress = new Progress();
    progress.take(10_000);
    expect(ticks(progress.fill(backfill(8, 12)))).toEqual([8, 9, 11, 12]);
    expect(progress.last).toBe(12_000);
    expect(progress.fill(backfill(8, 12))).toBeUndefined();
    expect(progress.fill(backfill(6, 9))).toMatchObject({ from: 6_000, to: 7_999 });
  });
});
