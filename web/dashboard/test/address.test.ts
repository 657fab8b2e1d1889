import fc from "fast-check";
import { expect, test } from "vitest";
import { type Address, HOME, INTERVALS, PANELS_MAX, PICTURES, read, WINDOWS, write } from "../src/address";

const panel = fc.record({
  query: fc.string({ minLength: 1, maxLength: 200 }).filter((text) => text.trim() !== ""),
  interval: fc.integer({ min: 5, max: 300 }),
  picture: fc.constantFrom(...PICTURES),
});
const address: fc.Arbitrary<Address> = fc.record({
  window: fc.constantFrom(...WINDOWS),
  interval: fc.constantFrom(...INTERVALS),
  filter: fc.record({ node: fc.string(), namespace: fc.string(), gpus: fc.uniqueArray(fc.string(), { maxLength: 8 }) }),
  panels: fc.array(panel, { maxLength: PANELS_MAX }),
});

test("what was written is read", () => {
  fc.assert(
    fc.property(address, (one) => {
      expect(read(`#${write(one)}`)).toEqual(one);
    }),
  );
});

test("the page as it is at first has an empty address", () => {
  expect(write(HOME)).toBe("");
  expect(read("")).toEqual(HOME);
});

test("what cannot be is left out, whoever wrote it", () => {
  const wrong = ["line,4,up", "line,301,up", "pie,5,up", "line,5,", "line,5,%20", `line,5,${"x".repeat(1001)}`, "up"];
  expect(read(`#${wrong.map((text) => `panel=${text}`).join("&")}&window=7m&every=1`)).toEqual(HOME);
  expect(read(`#${"panel=line,5,up&".repeat(40)}`).panels).toHaveLength(PANELS_MAX);
  fc.assert(fc.property(fc.string(), (text) => void read(text)));
});

test("an address of the plain page is a panel", () => {
  expect(read("#query=sum(up)&interval=10").panels).toEqual([{ query: "sum(up)", interval: 10, picture: "line" }]);
});
