/** The lists of codes are the gateway's own: read from its source, so that neither can change alone. */

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
  expect(codes).toEqual(spellings(name));
});

test("problem types", () => {
  const spelled = [...source("problem.rs").matchAll(/Self::\w+ => "([a-z-]+)",/g)].map(([, spelling]) => spelling);
  expect(PROBLEM_TYPES).toEqual(spelled);
});
