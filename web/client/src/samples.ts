/** Updates and backfills as numbers, in one form: for charts. Pure. */

import type { Backfill, Labels, Update } from "./protocol.js";

/** A series' points: Unix milliseconds and a number, which may be NaN or infinite. */
export interface Points {
  readonly metric: Labels;
  readonly points: readonly (readonly [time: number, value: number])[];
}

/** A number as Prometheus prints it. */
export function number(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}

/** The samples of an update or a backfill. Native histograms are left out; a scalar is a series with no labels. */
export function samples({ data }: Update | Backfill): readonly Points[] {
  const point = ([time, value]: readonly [number, string]) => [Math.round(time * 1000), number(value)] as const;
  switch (data.resultType) {
    case "vector":
      return data.result.flatMap((item) =>
        "value" in item ? [{ metric: item.metric, points: [point(item.value)] }] : [],
      );
    case "matrix":
      return data.result.map(({ metric, values = [] }) => ({ metric, points: values.map(point) }));
    case "scalar":
      return [{ metric: {}, points: [point(data.result)] }];
    case "string":
      return [];
  }
}
