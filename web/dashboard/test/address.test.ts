import fc from "fast-check";
import { expect, test } from "vitest";
import { type Panel, PICTURES, read, type View, write } from "../src/address";

const text = fc.string({ minLength: 1, maxLength: 50, unit: "grapheme" });
const panel: fc.Arbitrary<Panel> = fc.record({
  query: text,
  interval: fc.integer({ min: 5, max: 300 }),
  picture: fc.constantFrom(...PICTURES),
});
const view: fc.Arbitrary<View> = fc
  .record({ node: text, namespace: text, gpu: text }, { requiredKeys: [] })
  .chain((filters) => fc.array(panel, { maxLength: 24 }).map((panels) => ({ ...filters, panels })));

test("an address says all of a page, whatever stands in its queries", () => {
  fc.assert(fc.property(view, (page) => void expect(read(`#${write(page)}`)).toEqual(page)));
});

test("whatever somebody wrote is a page, and what cannot be is left out", () => {
  fc.assert(fc.property(fc.string(), (fragment) => void expect(Array.isArray(read(fragment).panels)).toBe(true)));
  for (const bad of ["1,line,up", "15,pie,up", "15,line,", "up", `15,line,${"a".repeat(1_001)}`, "9999,line,up"]) {
    expect(read(`panel=${encodeURIComponent(bad)}`).panels).toEqual([]);
  }
  expect(read(Array.from({ length: 99 }, () => "panel=5,line,up").join("&")).panels).toHaveLength(24);
});
