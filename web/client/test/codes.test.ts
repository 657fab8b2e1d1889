/** The lists of codes are held against the gateway's source: what it can say, the types know. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_CODES, GAP_REASONS, PROBLEM_TYPES, SHUTDOWN_CODES } from "../src/index.js";

const source = (file: string) => readFileSync(new URL(`../../../proto/src/${file}`, import.meta.url), "utf8");

/** The spellings in `Name { Variant = "spelling", … }`. */
function spellings(name: string): string[] {
  const block = new RegExp(`\\n    ${name} \\{\\n([\\s\\S]*?)\\n    \\}`).exec(source("code.rs"))?.[1] ?? "";
  return [...block.matchAll(/= "([a-z_]+)",/g)].map(([, spelling = ""]) => spelling);
}

test.each([
  ["ErrorCode", ERROR_CODES],
  ["GapReason", GAP_REASONS],
  ["ShutdownCode", SHUTDOWN_CODES],
])("%s", (name, codes) => {
  const spelled = spellings(name);
  expect(spelled).not.toEqual([]);
  expect(codes).toEqual(expect.arrayContaining(spelled));
});

test("problem types", () => {
  const spelled = [...source("problem.rs").matchAll(/Self::\w+ => "([a-z-]+)",/g)].map(([, spelling]) => spelling);
  expect(spelled).not.toEqual([]);
  expect(PROBLEM_TYPES).toEqual(expect.arrayContaining(spelled));
});
