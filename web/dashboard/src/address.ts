/**
 * What a page shows, in the fragment of its address: it can be shared, and no server sees it. Anybody may have written an
 * address: what cannot be is left out. Tokens are never in it.
 */

import { EVERYTHING, type Filter } from "./filter";

export const PICTURES = ["line", "number", "heatmap", "table"] as const;
export type Picture = (typeof PICTURES)[number];

/** A panel of the reader's own. */
export interface Panel {
  readonly query: string;
  /** Seconds. */
  readonly interval: number;
  readonly picture: Picture;
}

/** Minutes: how far back the page looks. */
export const WINDOWS = [5, 15, 60] as const;
export type Minutes = (typeof WINDOWS)[number];

/** Seconds from one update to the next. */
export const INTERVALS = [5, 10, 15, 30, 60] as const;
export type Interval = (typeof INTERVALS)[number];

export interface Address {
  readonly window: Minutes;
  readonly interval: Interval;
  readonly filter: Filter;
  readonly panels: readonly Panel[];
}

export const HOME: Address = { window: 15, interval: 5, filter: EVERYTHING, panels: [] };

/** With the page's own queries no more than the 32 of one connection. */
export const PANELS_MAX = 20;
const QUERY_MAX = 1_000;
const GPUS_MAX = 64;

export function write({ window, interval, filter, panels }: Address): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string, usual = "") => {
    if (value !== usual) parameters.set(name, value);
  };
  set("window", `${window}m`, `${HOME.window}m`);
  set("every", `${interval}`, `${HOME.interval}`);
  set("node", filter.node);
  set("namespace", filter.namespace);
  for (const gpu of filter.gpus) parameters.append("gpu", gpu);
  for (const { query, interval, picture } of panels) parameters.append("panel", `${picture},${interval},${query}`);
  return parameters.toString();
}

export function read(fragment: string): Address {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const minutes = Number(/^(\d+)m$/.exec(parameters.get("window") ?? "")?.[1]);
  const seconds = Number(parameters.get("every") ?? "");
  return {
    window: WINDOWS.find((known) => known === minutes) ?? HOME.window,
    interval: INTERVALS.find((known) => known === seconds) ?? HOME.interval,
    filter: {
      node: parameters.get("node") ?? "",
      namespace: parameters.get("namespace") ?? "",
      gpus: [...new Set(parameters.getAll("gpu"))].slice(0, GPUS_MAX),
    },
    panels: [...parameters.getAll("panel").flatMap(panel), ...plain(parameters)].slice(0, PANELS_MAX),
  };
}

function panel(text: string): Panel[] {
  const [, picture, seconds, query] = /^([a-z]+),(\d{1,3}),(.+)$/s.exec(text) ?? [];
  return checked({ query, interval: Number(seconds), picture: PICTURES.find((known) => known === picture) });
}

/** The address of the plain page, `#query=…&interval=…`. */
function plain(parameters: URLSearchParams): Panel[] {
  const query = parameters.get("query") ?? undefined;
  return checked({ query, interval: Number(parameters.get("interval") ?? 5), picture: "line" });
}

function checked(fields: { readonly [Name in keyof Panel]: Panel[Name] | undefined }): Panel[] {
  const { query = "", interval = 0, picture } = fields;
  const known = query.trim() !== "" && query.length <= QUERY_MAX && picture !== undefined;
  return known && Number.isInteger(interval) && interval >= 5 && interval <= 300 ? [{ query, interval, picture }] : [];
}
