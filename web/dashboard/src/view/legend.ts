/** Which line is which, and where it is now: for panels whose series are not the GPUs that the filters show. */

import type { Series } from "../series";
import { format } from "../units";
import { h } from "./dom";
import { HUES, type Ink } from "./theme";

/** More would be a second panel; the table has all. */
const MOST = 8;

export function legend(series: readonly Series[], latest: ReadonlyMap<string, number>, ink: Ink): HTMLElement[] {
  const entries = series.slice(0, MOST).map(({ key, title, hue }) => {
    const swatch = h("i", { class: "swatch" });
    swatch.style.background = ink.series[hue % HUES] ?? "";
    return h("span", { class: "key" }, swatch, h("span", {}, title), h("b", {}, format(latest.get(key), "none")));
  });
  if (series.length > MOST) entries.push(h("span", { class: "key" }, `and ${series.length - MOST} more`));
  return entries;
}
