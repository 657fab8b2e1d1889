/** What a user's compiler sees: `npm run typecheck` fails where one of these does not hold. */

import { expectTypeOf, test } from "vitest";
import {
  Client,
  type Data,
  type ErrorCode,
  type Failure,
  type Handlers,
  type Problem,
  type Streams,
  type Update,
} from "../src/index.js";
import type { Metric } from "../src/react.js";
import { connect } from "../src/worker.js";

test("types are as narrow as the contract", () => {
  expectTypeOf<Client>().toExtend<Streams>();
  expectTypeOf(connect).returns.toEqualTypeOf<Streams>();
  expectTypeOf<NonNullable<Handlers["error"]>>().parameter(0).toEqualTypeOf<Failure | Problem>();
  expectTypeOf<Update["data"]>().toEqualTypeOf<Data>();
  expectTypeOf<Metric["update"]>().toEqualTypeOf<Update | null>();
  expectTypeOf<"upstream_timeout">().toExtend<ErrorCode>();
  // A code of a newer gateway is no type error.
  expectTypeOf<"some_new_code">().toExtend<Failure["code"]>();
});

test("data are told apart by their result type", () => {
  const read = (data: Data) => {
    if (data.resultType === "vector") expectTypeOf(data.result).items.toHaveProperty("metric");
    else if (data.resultType === "matrix") expectTypeOf(data.result).items.toHaveProperty("metric");
    else expectTypeOf(data.result).toEqualTypeOf<readonly [time: number, value: string]>();
  };
  read({ resultType: "vector", result: [] });
});

test("what is missing or misspelled is a type error", () => {
  const never = (_: () => unknown) => {};
  // @ts-expect-error a query is needed
  never(() => new Client().subscribe({}, {}));
  // @ts-expect-error the gateway knows this format, and this client does not fold it
  never(() => new Client({ format: "grafana" }));
  // @ts-expect-error no such handler
  never(() => new Client().subscribe({ query: "up" }, { message: () => {} }));
});
