/** The cells of a heatmap: their colours, and the scale that says what these mean. */

import { format, type Unit } from "../units";
import { h } from "./dom";
import type { Area } from "./strip";

/** From the lowest to the highest value, as colours from the first to the last of the ramp. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ramp: readonly string[];
}

/** Draws a row of cells. What nobody measured stays empty: it is not the same as nothing measured. */
export function cells(ctx: CanvasRenderingContext2D, values: ArrayLike<number>, area: Area, scale: Scale): void {
  const wide = area.width / values.length;
  for (let bin = 0; bin < values.length; bin += 1) {
    const value = values[bin] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    ctx.fillStyle = color(value, scale);
    ctx.fillRect(area.left + bin * wide, area.top, Math.max(1, wide - (wide > 4 ? 1 : 0)), area.height);
  }
}

/** Between two colours of the ramp. */
function color(value: number, { low, high, ramp }: Scale): string {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
  const place = share * (ramp.length - 1);
  const [below, part] = [Math.floor(place), place % 1];
  const above = Math.min(ramp.length - 1, below + 1);
  return `color-mix(in oklab, ${ramp[below]}, ${ramp[above]} ${Math.round(part * 100)}%)`;
}

/** What the colours mean, in the place of what was said of others. */
export function tellScale(element: HTMLElement, { low, high, ramp }: Scale, unit: Unit): void {
  const bar = h("i", { class: "ramp", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg in oklab, ${ramp.join(", ")})`;
  element.replaceChildren(format(low, unit), bar, format(high, unit));
}
