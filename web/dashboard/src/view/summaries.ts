/** The table that stands for a picture: what each series is at, and was at in the window. */

import type { View } from "../columns";
import { type Series, summary } from "../series";
import { format, type Unit } from "../units";
import { h } from "./dom";

export function summaries(caption: string, series: readonly Series[], view: View<string>, unit: Unit): HTMLElement {
  const head = h("tr", {}, ...["", "now", "lowest", "mean", "highest"].map((name) => h("th", { scope: "col" }, name)));
  const rows = series.map(({ key, title }) => {
    const { now, low, mean, high } = summary(view.columns.get(key));
    const cells = [now, low, mean, high].map((value) => h("td", {}, format(value, unit)));
    return h("tr", {}, h("th", { scope: "row" }, title), ...cells);
  });
  return scrolling(caption, h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...rows)));
}

/** What is wider than the page scrolls by itself, also with the keyboard. */
export function scrolling(label: string, ...children: readonly HTMLElement[]): HTMLElement {
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, ...children);
}
