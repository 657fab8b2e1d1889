import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bounded, fullJitter } from "../src/backoff.js";
import { type Circumstances, type End, next } from "../src/policy.js";
import { fromResponse, local, Problem, retryAfter } from "../src/problem.js";

const CALM: Circumstances = {
  ...{ attempt: 0, retryMs: undefined, renewable: false, renewed: false, random: 0.5 },
  bounds: { baseMs: 1_000, maxMs: 30_000 },
};
const refused = (status: number, retryAfterMs?: number): End => ({
  kind: "refused",
  problem: new Problem({ type: "x", status, title: "", detail: "", ...(retryAfterMs ? { retryAfterMs } : {}) }),
});
const shutdown = (code: string, reconnect: boolean): End => ({
  kind: "shutdown",
  event: { code, reconnect, message: "" },
});
const cut: End = { kind: "cut", problem: local("interrupted", "") };

describe("back-off", () => {
  test("a wait lies in its window, which never is wider than its bound", () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(2_000), fc.nat(100_000), fc.nat(60_000), chance, (attempt, base, max, random) => {
        const wait = fullJitter(attempt, base, max, random);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(max, Math.max(1, base) * 2 ** attempt));
      }),
    );
  });

  test("what no gateway would ask for is bounded", () => {
    expect([bounded(-5), bounded(1_000), bounded(1e12)]).toEqual([0, 1_000, 600_000]);
  });
});

describe("policy", () => {
  test.each([408, 425, 429, 500, 502, 503, 504])("%i is tried again", (status) => {
    expect(next(refused(status), CALM)).toEqual({ act: "open", afterMs: 500 });
    expect(next(refused(status, 4_000), CALM)).toEqual({ act: "open", afterMs: 4_500 });
  });

  test("a Retry-After is no reason to come back sooner than the back-off says", () => {
    const late = { ...CALM, attempt: 5, random: 0.9 };
    expect(next(refused(503, 1_000), late)).toEqual({ act: "open", afterMs: 27_000 });
  });

  test.each([204, 401, 404, 405, 406, 410, 431])("%i is the end", (status) => {
    expect(next(refused(status), CALM).act).toBe("stop");
  });

  test.each([400, 403, 413, 422])("%i may concern one of several subscriptions", (status) => {
    expect(next(refused(status), CALM).act).toBe("narrow");
  });

  test("a new token is asked for once", () => {
    const renewable = { ...CALM, renewable: true };
    expect(next(refused(401), renewable)).toEqual({ act: "renew", afterMs: 0 });
    expect(next(refused(401), { ...renewable, renewed: true }).act).toBe("stop");
    expect(next(shutdown("token_expired", false), renewable)).toEqual({ act: "renew", afterMs: 0 });
    // Tokens that expire as soon as they are used must not make a loop without a pause.
    expect(next(shutdown("token_expired", false), { ...renewable, attempt: 2 })).toEqual({
      act: "renew",
      afterMs: 2_000,
    });
  });

  test("what the gateway says of reconnecting counts, also for codes that are not known", () => {
    expect(next(shutdown("new_code", true), { ...CALM, retryMs: 1_100 })).toEqual({ act: "open", afterMs: 1_100 });
    expect(next(shutdown("new_code", false), CALM).act).toBe("stop");
    // Where it happens again and again the back-off grows.
    const again = next(shutdown("draining", true), { ...CALM, attempt: 4, retryMs: 1_000 });
    expect(again).toEqual({ act: "open", afterMs: 8_000 });
  });

  test("a connection that is gone is opened at once, one that was cut after a while", () => {
    expect(next({ kind: "gone" }, CALM)).toEqual({ act: "open", afterMs: 0 });
    expect(next(cut, CALM)).toEqual({ act: "open", afterMs: 500 });
    expect(next(cut, { ...CALM, retryMs: 4_000, attempt: 1 })).toEqual({ act: "open", afterMs: 4_000 });
  });
});

describe("problems", () => {
  test("Retry-After is in seconds or a date", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfter("7", now)).toBe(7_000);
    expect(retryAfter("Thu, 01 Jan 2026 00:00:09 GMT", now)).toBe(9_000);
    expect(retryAfter("Thu, 01 Jan 2015 00:00:09 GMT", now)).toBe(0);
    expect([retryAfter("soon", now), retryAfter(null, now)]).toEqual([undefined, undefined]);
  });

  test("a gateway's document is read, and a proxy's page is told as one", async () => {
    const document = { type: "urn:promcast:problem:invalid-query", title: "T", status: 400, detail: "D", position: 3 };
    const read = await fromResponse(new Response(JSON.stringify(document), { status: 400 }), 0);
    expect(read.fields()).toEqual({ type: "invalid-query", status: 400, title: "T", detail: "D", position: 3 });
    expect(read.message).toBe("T: D");
    for (const page of ["<html>", "null", "[]", '{"type":7}']) {
      expect(await fromResponse(new Response(page, { status: 502 }), 0)).toMatchObject({
        type: "not-a-gateway",
        status: 502,
      });
    }
  });
});
