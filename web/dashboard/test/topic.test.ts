import { Problem } from "@promcast/client";
import { expect, test } from "vitest";
import { conditions } from "../src/condition";
import { circumstances } from "../src/page";
import { Topic, unknown } from "../src/topic";
import { backfill, failure, gap, LIVE, update } from "./support/events";

const GPU = { gpu: "0" };

function topic(): Topic {
  return new Topic("q", 5, 60_000, (labels) => labels.gpu ?? "");
}

function kinds(of: Topic, now = 20_000): string[] {
  return conditions(circumstances(of, now)).map(({ kind }) => kind);
}

test("history and updates make one line with no hole", () => {
  const one = topic();
  one.result(
    backfill([5_000, 10_000, 15_000], GPU, (tick) => tick / 1000),
    16_000,
  );
  one.result(update(20_000, [GPU, "20"]), 20_010);
  const { times, columns } = one.columns.view();
  expect([...times]).toEqual([5_000, 10_000, 15_000, 20_000]);
  expect([...(columns.get("0") ?? [])]).toEqual([5, 10, 15, 20]);
  expect(kinds(one)).toEqual([]);
});

test("a panel waits, then says that there is nothing, then shows", () => {
  const one = topic();
  expect(kinds(one)).toEqual(["waiting"]);
  one.result(update(5_000), 5_000);
  expect(kinds(one)).toEqual(["empty"]);
  one.result(update(10_000, [GPU, "1"]), 10_000);
  expect(kinds(one)).toEqual([]);
});

test("a tick that fails is told until one succeeds, and breaks the line", () => {
  const one = topic();
  one.result(update(5_000, [GPU, "1"]), 5_000);
  one.error(failure({ tick: 10_000 }));
  expect(kinds(one)).toEqual(["error"]);
  one.result(update(15_000, [GPU, "1"]), 15_000);
  expect(kinds(one)).not.toContain("error");
  expect([...(one.columns.view().columns.get("0") ?? [])]).toEqual([1, Number.NaN, 1]);
});

test("ticks that failed explain the hole that they leave, each time in a row of its own", () => {
  const one = topic();
  const told = () => conditions(circumstances(one, 20_000)).map(({ text }) => text);
  one.result(update(5_000, [GPU, "1"]), 5_000);
  one.error(failure({ tick: 10_000 }));
  one.error(failure({ tick: 15_000 }));
  expect(told()[0]).toContain("tried again");
  expect([...one.columns.latest()]).toEqual([["0", 1]]);
  one.result(update(20_000, [GPU, "1"]), 20_000);
  expect(told()).toEqual([expect.stringMatching(/^2 ticks failed from .*10 to .*15: upstream_unreachable$/)]);
  expect(unknown(one)).toEqual([expect.objectContaining({ from: 10_000, to: 15_000 })]);
  one.error(failure({ tick: 25_000 }));
  one.result(update(30_000, [GPU, "1"]), 30_000);
  expect(told()).toEqual([expect.stringMatching(/^1 tick failed at .*25: upstream_unreachable. 2 times in all$/)]);
  one.result(update(100_000, [GPU, "1"]), 100_000);
  expect(told()).toEqual([]);
});

test("a gap is told as long as the window has it", () => {
  const one = topic();
  one.gap(gap(5_000, 10_000));
  one.result(update(15_000, [GPU, "1"]), 15_000);
  expect(conditions(circumstances(one, 20_000))[0]?.text).toMatch(/^2 ticks are missing/);
  one.result(update(80_000, [GPU, "1"]), 80_000);
  expect(kinds(one)).toEqual([]);
});

test("history that cannot be had is told, and the rest goes on", () => {
  const one = topic();
  one.error(failure({ during: "backfill", from: 0, to: 5_000 }));
  one.result(update(10_000, [GPU, "1"]), 10_000);
  expect(conditions(circumstances(one, 10_000))).toEqual([{ kind: "gap", text: "No history: nobody answers" }]);
});

test("the end of a subscription is told until the connection is opened anew", () => {
  const one = topic();
  one.error(new Problem({ type: "invalid-query", status: 400, title: "wrong", detail: "here" }));
  expect(conditions(circumstances(one, 0))[0]).toEqual({ kind: "error", text: "wrong: here" });
  one.watch({ ...LIVE, phase: "connecting" });
  expect(kinds(one)).toEqual(["waiting"]);
});

test("a token that is missing is asked for by the page, and not told on each panel", () => {
  const one = topic();
  one.error(new Problem({ type: "unauthenticated", status: 401, title: "a token is needed", detail: "" }));
  expect(kinds(one)).toEqual(["waiting"]);
});

test("stale data say how old they are", () => {
  const one = topic();
  one.result(update(5_000, [GPU, "1"]), 5_200);
  one.watch({ ...LIVE, stale: true });
  expect(conditions(circumstances(one, 35_000))[0]?.text).toMatch(/30\D+s old/);
});
