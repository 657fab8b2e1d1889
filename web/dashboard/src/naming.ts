/** Names for the series of any query: the GPUs that they are of, or the labels in which they differ. Pure. */

import type { Labels } from "@promcast/client";
import { gpuOf, isGpu, title } from "./gpu";

/** The same for equal label sets. */
export function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** What all have in common is left out; of one series alone, all is said. */
export function names(series: ReadonlyMap<string, Labels>): Map<string, string> {
  const all = [...series.values()];
  const gpus = all.map(gpuOf);
  if (all.every(isGpu) && new Set(gpus.map(({ key }) => key)).size === all.length) {
    const several = new Set(gpus.map(({ node }) => node)).size > 1;
    return new Map([...series].map(([key, set]) => [key, title(gpuOf(set), several)]));
  }
  const labels = [...new Set(all.flatMap((set) => Object.keys(set)))].sort();
  const telling = labels.filter((label) => all.some((set) => set[label] !== all[0]?.[label]));
  const [only] = telling;
  if (only !== undefined && telling.length === 1) {
    return new Map([...series].map(([key, set]) => [key, set[only] || `no ${only}`]));
  }
  const told = telling.length === 0 ? labels : telling;
  return new Map([...series].map(([key, set]) => [key, nameOf(set, told)]));
}

function nameOf(set: Labels, told: readonly string[]): string {
  const parts = told.flatMap((label) => (label === "__name__" || !set[label] ? [] : [`${label}=${set[label]}`]));
  const metric = told.includes("__name__") ? (set.__name__ ?? "") : "";
  return [metric, parts.join(" ")].filter((part) => part !== "").join(" ") || "value";
}
