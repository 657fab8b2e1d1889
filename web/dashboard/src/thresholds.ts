/** From a number to how much it matters: the bounds that GPU dashboards use. */

import type { QuantityName } from "./catalogue";

export type Level = "good" | "warn" | "bad";

interface Bounds {
  readonly warn: number;
  readonly bad: number;
}

/** Of NVIDIA's dashboard (83 and 87 °C) and OpenShift's (60 and 80 %). */
const BOUNDS: Partial<Record<QuantityName, Bounds>> = {
  temperature: { warn: 83, bad: 87 },
  utilisation: { warn: 60, bad: 80 },
};

/** The level, or nothing where the quantity has no bounds or the value is no number. */
export function level(name: QuantityName, value: number): Level | undefined {
  const bounds = BOUNDS[name];
  if (bounds === undefined || Number.isNaN(value)) return undefined;
  if (value >= bounds.bad) return "bad";
  return value >= bounds.warn ? "warn" : "good";
}
