/** What lies behind the lines of a chart: bounds, and times of which nothing is known. A plugin of uPlot. */

import type uPlot from "uplot";
import type { Bounds } from "../thresholds";
import type { Ink } from "./theme";

export interface Behind {
  readonly bounds: Bounds | undefined;
  readonly gaps: () => readonly { readonly from: number; readonly to: number }[];
  readonly ink: () => Ink;
}

export function bands({ bounds, gaps, ink }: Behind): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (plot) => {
        for (const { from, to } of gaps()) shade(plot, from, to, ink().gap);
        if (bounds === undefined) return;
        line(plot, bounds.warn, ink().warn);
        line(plot, bounds.high, ink().high);
      },
    },
  };
}

function shade({ ctx, bbox, valToPos }: uPlot, from: number, to: number, color: string): void {
  const right = bbox.left + bbox.width;
  const [x0, x1] = [from, to].map((time) => Math.min(right, Math.max(bbox.left, valToPos(time, "x", true))));
  if (x0 === undefined || x1 === undefined || x1 < bbox.left) return;
  ctx.fillStyle = color;
  ctx.fillRect(x0, bbox.top, Math.max(2, x1 - x0), bbox.height);
}

function line({ ctx, bbox, valToPos }: uPlot, value: number, color: string): void {
  const y = Math.round(valToPos(value, "y", true));
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.globalAlpha = 0.75;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}
