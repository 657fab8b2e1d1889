/** A canvas with a row for each series and time from left to right: the ground of heatmap and state timeline. */

import { clock } from "../units";
import { h, on } from "./dom";
import type { Ink } from "./theme";

export interface Frame {
  readonly rows: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly ink: Ink;
  /** Draws a row into its part of the canvas. */
  readonly paint: (ctx: CanvasRenderingContext2D, row: number, area: Area) => void;
  /** What is at a point, for the pointer. */
  readonly tell: (row: number, time: number) => string;
}

export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const AXIS = 20;
/** Rows that are lower have no names; the pointer still tells them. */
const LEGIBLE = 13;
const FONT = "11px system-ui, sans-serif";
const STEPS = [60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000];

export class Strip {
  readonly canvas = h("canvas", { class: "strip" });
  readonly element: HTMLElement;
  readonly #readout = h("p", { class: "readout", "aria-hidden": "true" });
  #frame: Frame | undefined;
  #pointer: { readonly x: number; readonly y: number } | undefined;

  constructor() {
    this.element = h("div", { class: "strip-box" }, this.canvas, this.#readout);
    on(this.canvas, {
      pointermove: ({ offsetX, offsetY }) => this.#point({ x: offsetX, y: offsetY }),
      pointerleave: () => this.#point(undefined),
    });
    new ResizeObserver(() => this.#frame !== undefined && this.draw(this.#frame)).observe(this.element);
  }

  draw(frame: Frame): void {
    this.#frame = frame;
    const [width, height] = [this.element.clientWidth, rowHeight(frame.rows.length) * frame.rows.length + AXIS];
    const ctx = this.canvas.getContext("2d");
    if (ctx === null || width === 0) return;
    const [wide, high] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      [this.canvas.width, this.canvas.height] = [wide, high];
      this.canvas.style.height = `${height}px`;
    }
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.font = FONT;
    frame.rows.forEach((title, row) => {
      const area = this.#area(row, width);
      if (area.height + 2 >= LEGIBLE) label(ctx, title, area, frame.ink);
      frame.paint(ctx, row, area);
    });
    axis(ctx, frame, {
      left: this.#margin(width),
      top: height - AXIS,
      width: width - this.#margin(width),
      height: AXIS,
    });
    this.#tell();
  }

  #margin(width: number): number {
    if (rowHeight(this.#frame?.rows.length ?? 1) < LEGIBLE) return 0;
    const longest = Math.max(4, ...(this.#frame?.rows ?? []).map((title) => title.length));
    return Math.min(width * 0.32, longest * 6.8 + 18);
  }

  #area(row: number, width: number): Area {
    const high = rowHeight(this.#frame?.rows.length ?? 1);
    const left = this.#margin(width);
    return { left, top: row * high + 1, width: width - left, height: high - 2 };
  }

  #point(pointer: { readonly x: number; readonly y: number } | undefined): void {
    this.#pointer = pointer;
    this.#tell();
  }

  #tell(): void {
    const [frame, pointer] = [this.#frame, this.#pointer];
    this.#readout.textContent = frame === undefined || pointer === undefined ? "" : this.#at(frame, pointer);
  }

  #at(frame: Frame, { x, y }: { readonly x: number; readonly y: number }): string {
    const width = this.element.clientWidth;
    const row = Math.floor(y / rowHeight(frame.rows.length));
    const { left, width: wide } = this.#area(row, width);
    if (row >= frame.rows.length || x < left) return "";
    const time = frame.from + ((x - left) / wide) * (frame.to - frame.from);
    return `${clock(time)} · ${frame.rows[row]} · ${frame.tell(row, time)}`;
  }
}

function rowHeight(rows: number): number {
  return Math.max(4, Math.min(24, Math.floor(480 / Math.max(1, rows))));
}

function label(ctx: CanvasRenderingContext2D, title: string, { left, top, height }: Area, ink: Ink): void {
  ctx.fillStyle = ink.soft;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  ctx.fillText(fitting(ctx, title, left - 10), left - 8, top + height / 2 + 0.5);
}

/** As much of a text as there is room for. */
function fitting(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  let length = text.length;
  while (length > 1 && ctx.measureText(cut(text, length)).width > width) length -= 1;
  return cut(text, length);
}

function cut(text: string, length: number): string {
  return length < text.length ? `${text.slice(0, length)}…` : text;
}

function axis(ctx: CanvasRenderingContext2D, { from, to, ink }: Frame, { left, top, width }: Area): void {
  const step = STEPS.find((candidate) => ((to - from) / candidate) * 60 < width) ?? 3_600_000;
  ctx.fillStyle = ink.soft;
  ctx.textBaseline = "top";
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const x = left + ((time - from) / (to - from)) * width;
    if (x < left + 14 || x > left + width - 14) continue;
    ctx.textAlign = "center";
    ctx.fillText(clock(time).slice(0, 5), x, top + 6);
  }
}
