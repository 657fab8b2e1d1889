import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fold, Unfoldable } from "../src/fold.js";
import type { CompactUpdate, Histogram, Labels, Schema, Update, VectorItem } from "../src/protocol.js";

const number = fc.oneof(
  fc.constantFrom("NaN", "+Inf", "-Inf", "0", "-0", "1e-320", "9223372036854775807"),
  fc.double().map(String),
);
const histogram: fc.Arbitrary<Histogram> = fc.record(
  { count: number, sum: number, buckets: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), number, number, number)) },
  { requiredKeys: ["count", "sum"] },
);
const labels: fc.Arbitrary<Labels> = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
const vector = fc.array(fc.tuple(labels, fc.oneof(number, histogram)), { maxLength: 40 });
const time = fc.integer({ min: 0, max: 2_000_000_000_000 }).map((ms) => ms / 1000);

/** What Prometheus answers. */
const item = (time: number, [metric, value]: [Labels, string | Histogram]): VectorItem =>
  typeof value === "string" ? { metric, value: [time, value] } : { metric, histogram: [time, value] };

describe("fold", () => {
  test("gives back any vector that was said in the series of a schema, in any order", () => {
    const order = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(vector, time, order, fc.boolean(), (entries, at, random, permuted) => {
        // The schema has the series of the vector in an order of its own, and some that the vector has not.
        const keys = entries.map(() => random.next().value as number);
        const places = entries.map((_, i) => i).sort((a, b) => (permuted ? (keys[a] ?? 0) - (keys[b] ?? 0) : a - b));
        const series = [...places.map((i) => entries[i]?.[0] ?? {}), ...(permuted ? [{ extra: "1" }] : [])];
        const schema: Schema = { topic: "t", schema: "x", series };
        const compact: CompactUpdate = {
          ...{ topic: "t", tick: at * 1000, took_ms: 3, schema: "x", time: at },
          values: entries.map(([, value]) => value),
          ...(permuted ? { order: entries.map((_, i) => places.indexOf(i)) } : {}),
        };
        // Through JSON, as on the way.
        const folded = fold(JSON.parse(JSON.stringify(compact)), JSON.parse(JSON.stringify(schema)));
        const result = entries.map((entry) => item(at, entry));
        const complete = { topic: "t", tick: at * 1000, took_ms: 3, data: { resultType: "vector", result } };
        expect(folded).toEqual(JSON.parse(JSON.stringify(complete)));
      }),
    );
  });

  test("leaves what comes complete as it is, whatever schema there is", () => {
    const update: Update = { topic: "t", tick: 1, took_ms: 1, data: { resultType: "scalar", result: [1, "2"] } };
    expect(fold(update, undefined)).toBe(update);
  });

  const compact = { topic: "t", tick: 1, took_ms: 1, schema: "x", time: 1, values: ["1"] };
  test.each([
    ["no schema", compact, undefined],
    ["another schema", compact, { topic: "t", schema: "y", series: [{}] }],
    ["too few series", compact, { topic: "t", schema: "x", series: [] }],
    ["too few values", compact, { topic: "t", schema: "x", series: [{}, {}] }],
    ["a place that is none", { ...compact, order: [1] }, { topic: "t", schema: "x", series: [{}] }],
    ["an order of another length", { ...compact, order: [0, 0] }, { topic: "t", schema: "x", series: [{}] }],
  ])("refuses %s, for a value must never stand at another series", (_, update, schema) => {
    expect(() => fold(update, schema)).toThrow(Unfoldable);
  });
});
