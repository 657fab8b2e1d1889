/** Lines over time, drawn by uPlot. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { View } from "../columns";
import { drawable, type Series } from "../series";
import type { Bounds } from "../thresholds";
import { clock, format, type Unit } from "../units";
import { bands } from "./bands";
import { h } from "./dom";
import { HUES, type Ink } from "./theme";
import { tooltip } from "./tooltip";

export interface ChartOptions {
  readonly unit: Unit;
  readonly bounds: Bounds | undefined;
  /** The ends of the scale that are always there. */
  readonly low: number | undefined;
  readonly high: () => number | undefined;
  readonly ink: () => Ink;
}

export interface Picture {
  readonly view: View<string>;
  readonly series: readonly Series[];
  readonly from: number;
  readonly to: number;
  readonly gaps: readonly { readonly from: number; readonly to: number }[];
}

const HEIGHT = 168;

/** Steps of an axis in bytes: powers of two. */
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);
/** Steps of the time axis: the usual ones, and two minutes. */
const TIMES = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600].map((seconds) => seconds * 1000);
/** Half of what a time takes on its axis, pixels: closer to the end it would be cut. */
const EDGE = 17;
const SYNC = "time";

export class Chart {
  readonly element = h("div", { class: "chart" });
  readonly #options: ChartOptions;
  #plot: uPlot | undefined;
  #picture: Picture | undefined;
  #made: readonly Series[] | undefined;
  #madeWith: Ink | undefined;

  constructor(options: ChartOptions) {
    this.#options = options;
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  draw(picture: Picture): void {
    this.#picture = picture;
    const { view, series } = picture;
    // An empty chart costs as much to make as a full one, and delays that.
    if (this.element.clientWidth === 0 || (view.times.length === 0 && this.#plot === undefined)) return;
    const data: uPlot.AlignedData = [
      Array.from(view.times),
      ...series.map(({ key }) => drawable(view.columns.get(key), view.times.length)),
    ];
    if (this.#plot === undefined || !same(series, this.#made) || this.#madeWith !== this.#options.ink()) {
      this.#make(picture, data);
    } else this.#plot.setData(data);
  }

  destroy(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #make({ series }: Picture, data: uPlot.AlignedData): void {
    this.destroy();
    const ink = this.#options.ink();
    [this.#made, this.#madeWith] = [series, ink];
    this.#plot = new uPlot(this.#settings(series, ink), data, this.element);
  }

  #settings(series: readonly Series[], ink: Ink): uPlot.Options {
    const { unit, bounds, low, high } = this.#options;
    const axis = { stroke: ink.soft, font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: ink.grid, width: 1 };
    return {
      width: this.element.clientWidth,
      height: HEIGHT,
      ms: 1,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, setSeries: false },
        drag: { x: false, y: false },
        points: { size: 5 },
        focus: { prox: 24 },
      },
      focus: { alpha: 0.25 },
      scales: {
        x: { time: true, range: () => [this.#picture?.from ?? 0, this.#picture?.to ?? 1] },
        y: { range: (_, min, max) => range(min, max, low, high()) },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 62, size: 24, incrs: TIMES, values: times },
        {
          ...{ ...axis, grid, size: 58, space: 34 },
          ...(unit === "bytes" ? { incrs: BINARY } : {}),
          values: (_, values) => values.map((value) => format(value, unit)),
        },
      ],
      series: [{}, ...series.map((one) => line(one, ink))],
      plugins: [
        bands({ bounds, gaps: () => this.#picture?.gaps ?? [], ink: this.#options.ink }),
        tooltip(
          (row) => this.#entries(row),
          (value) => format(value, unit),
        ),
      ],
    };
  }

  #entries(row: number) {
    const picture = this.#picture;
    if (picture === undefined) return [];
    return picture.series.flatMap(({ key, title, hue }) => {
      const value = picture.view.columns.get(key)?.[row];
      const color = this.#options.ink().series[hue % HUES] ?? "";
      return value === undefined || Number.isNaN(value) ? [] : [{ title, color, value }];
    });
  }

  #resize(): void {
    const width = this.element.clientWidth;
    if (width === 0) return;
    if (this.#plot === undefined && this.#picture !== undefined) this.draw(this.#picture);
    else if (this.#plot !== undefined && this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
  }
}

function line({ title, hue }: Series, ink: Ink): uPlot.Series {
  const dash = [[], [6, 3], [2, 3], [8, 3, 2, 3]][Math.floor(hue / HUES) % 4] ?? [];
  return {
    label: title,
    stroke: ink.series[hue % HUES] ?? ink.text,
    width: 1.6,
    dash,
    points: { show: false },
    spanGaps: false,
  };
}

function same(one: readonly Series[], other: readonly Series[] | undefined): boolean {
  return (
    one.length === other?.length && one.every(({ key, title }, i) => other[i]?.key === key && other[i]?.title === title)
  );
}

/** From zero, or a little below the lowest; with room above the highest. */
function range(
  min: number | null,
  max: number | null,
  low: number | undefined,
  high: number | undefined,
): [number, number] {
  const [least, most] = [Math.min(low ?? min ?? 0, min ?? 0), Math.max(high ?? max ?? 1, max ?? 1)];
  if (high !== undefined && most === high) return [least, most];
  return most === least ? [least, least + 1] : [least, most + (most - least) * 0.06];
}

const MINUTES = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function times(plot: uPlot, values: number[]): string[] {
  const width = plot.bbox.width / devicePixelRatio;
  return values.map((value) => {
    const left = plot.valToPos(value, "x");
    if (left < EDGE || left > width - EDGE) return "";
    return value % 60_000 === 0 ? MINUTES.format(value) : clock(value);
  });
}
