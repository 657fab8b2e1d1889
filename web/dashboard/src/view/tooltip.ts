/** What the lines of a chart are at under the pointer: the highest first. A plugin of uPlot. */

import type uPlot from "uplot";
import { clock } from "../units";
import { h } from "./dom";

export interface Entry {
  readonly title: string;
  readonly color: string;
  readonly value: number;
}

const MOST = 8;

export function tooltip(entries: (row: number) => readonly Entry[], told: (value: number) => string): uPlot.Plugin {
  const box = h("div", { class: "tooltip", "aria-hidden": "true" });
  box.hidden = true;
  const show = (plot: uPlot) => {
    const row = plot.cursor.idx;
    // Charts share the cursor; the one under the pointer tells what it sees.
    box.hidden = row === null || row === undefined || !plot.over.matches(":hover");
    if (box.hidden || row === null || row === undefined) return;
    const found = [...entries(row)].sort((one, other) => other.value - one.value);
    const time = plot.data[0][row];
    box.replaceChildren(h("b", {}, time === undefined ? "" : clock(time)), ...found.slice(0, MOST).map(line));
    if (found.length > MOST) box.append(h("span", { class: "more" }, `and ${found.length - MOST} more`));
    place(plot, box);
  };
  const line = ({ title, color, value }: Entry) => {
    const swatch = h("i", { class: "swatch" });
    swatch.style.background = color;
    return h("span", {}, swatch, h("span", { class: "name" }, title), h("b", {}, told(value)));
  };
  return { hooks: { init: (plot) => plot.over.append(box), setCursor: show } };
}

function place(plot: uPlot, box: HTMLElement): void {
  const [left, width] = [plot.cursor.left ?? 0, plot.over.clientWidth];
  const right = left > width / 2;
  box.style.left = right ? "auto" : `${left + 14}px`;
  box.style.right = right ? `${width - left + 14}px` : "auto";
}
