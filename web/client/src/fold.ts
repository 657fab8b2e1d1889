/** From the format `compact` back to what Prometheus answered: pure. */

import type { CompactUpdate, Labels, Schema, Update, VectorItem } from "./protocol.js";

/** An update that cannot be understood: its schema was not sent, or does not fit. */
export class Unfoldable extends Error {
  override readonly name = "Unfoldable";
}

/** Whether an update is complete as it is. */
export function isComplete(update: Update | CompactUpdate): update is Update {
  return "data" in update;
}

/**
 * Makes an update complete. The label sets in the result are those of the schema, the same objects each time, so that
 * they can be told apart by identity.
 */
export function fold(update: Update | CompactUpdate, schema: Schema | undefined): Update {
  if (isComplete(update)) return update;
  if (schema?.schema !== update.schema) throw new Unfoldable(`the schema ${update.schema} was not sent`);
  const { schema: _, time, values, order, ...rest } = update;
  const expected = order?.length ?? schema.series.length;
  if (values.length !== expected) throw new Unfoldable(`${values.length} values for ${expected} series`);
  const result = values.map((value, i): VectorItem => {
    const metric = labels(schema, order === undefined ? i : order[i]);
    return typeof value === "string" ? { metric, value: [time, value] } : { metric, histogram: [time, value] };
  });
  return { ...rest, data: { resultType: "vector", result } };
}

function labels(schema: Schema, place: number | undefined): Labels {
  const metric = place === undefined ? undefined : schema.series[place];
  if (metric === undefined) throw new Unfoldable(`the schema ${schema.schema} has no series ${place}`);
  return metric;
}
