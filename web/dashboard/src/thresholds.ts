/** From a number to how much it matters. Pure. */

export type Level = "ok" | "warn" | "high";

export interface Bounds {
  readonly warn: number;
  readonly high: number;
}

/** The level, or nothing where there are no bounds or no number. */
export function level(value: number | null | undefined, bounds: Bounds | undefined): Level | undefined {
  if (bounds === undefined || value === null || value === undefined || Number.isNaN(value)) return undefined;
  if (value >= bounds.high) return "high";
  return value >= bounds.warn ? "warn" : "ok";
}
