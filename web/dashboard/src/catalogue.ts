/**
 * What the dashboard shows, and the PromQL that finds it in every dialect of dcgm-exporter.
 *
 * Releases before 4.9 and those from 4.9 on name the same fields differently and in other units; a GPU that is cut into
 * MIG instances has no utilisation of its own. One expression tries one spelling after the other: `or` takes a series
 * from the right only where the left has none with the same labels, so a fleet with several dialects works too.
 */

import type { Unit } from "./units";

/** A metric that may hold a quantity, and what makes it canonical. */
interface Spelling {
  readonly metric: string;
  readonly times?: number;
}

export interface Quantity {
  readonly title: string;
  readonly unit: Unit;
  /** The first that is there counts. */
  readonly spellings: readonly Spelling[];
}

const MIB = 1_048_576;
const MHZ = 1_000_000;

export const QUANTITIES = {
  utilisation: {
    title: "GPU utilisation",
    unit: "percent",
    spellings: [
      { metric: "DCGM_FI_DEV_GPU_UTIL" },
      { metric: "DCGM_FI_DEV_GPU_UTIL_RATIO", times: 100 },
      { metric: "DCGM_FI_PROF_GR_ENGINE_ACTIVE", times: 100 },
      { metric: "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO", times: 100 },
    ],
  },
  memoryUsed: {
    title: "Memory used",
    unit: "bytes",
    spellings: [{ metric: "DCGM_FI_DEV_FB_USED", times: MIB }, { metric: "DCGM_FI_DEV_FB_USED_BYTES" }],
  },
  memoryFree: {
    title: "Memory free",
    unit: "bytes",
    spellings: [{ metric: "DCGM_FI_DEV_FB_FREE", times: MIB }, { metric: "DCGM_FI_DEV_FB_FREE_BYTES" }],
  },
  temperature: {
    title: "GPU temperature",
    unit: "celsius",
    spellings: [{ metric: "DCGM_FI_DEV_GPU_TEMP" }, { metric: "DCGM_FI_DEV_GPU_TEMP_CELSIUS" }],
  },
  memoryTemperature: {
    title: "Memory temperature",
    unit: "celsius",
    spellings: [{ metric: "DCGM_FI_DEV_MEMORY_TEMP" }, { metric: "DCGM_FI_DEV_MEMORY_TEMP_CELSIUS" }],
  },
  power: {
    title: "Power",
    unit: "watt",
    spellings: [{ metric: "DCGM_FI_DEV_POWER_USAGE" }, { metric: "DCGM_FI_DEV_BOARD_POWER_WATTS" }],
  },
  smClock: {
    title: "SM clock",
    unit: "hertz",
    spellings: [{ metric: "DCGM_FI_DEV_SM_CLOCK", times: MHZ }, { metric: "DCGM_FI_DEV_SM_CLOCK_HERTZ" }],
  },
  memoryClock: {
    title: "Memory clock",
    unit: "hertz",
    spellings: [{ metric: "DCGM_FI_DEV_MEM_CLOCK", times: MHZ }, { metric: "DCGM_FI_DEV_MEMORY_CLOCK_HERTZ" }],
  },
  tensorActive: {
    title: "Tensor pipe active",
    unit: "percent",
    spellings: [
      { metric: "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", times: 100 },
      { metric: "DCGM_FI_PROF_TENSOR_UTIL_RATIO", times: 100 },
    ],
  },
  xid: {
    title: "Last XID error",
    unit: "none",
    spellings: [{ metric: "DCGM_FI_DEV_XID_ERRORS" }, { metric: "DCGM_FI_DEV_XID_ERROR" }],
  },
  clockReasons: {
    title: "What limits the clocks",
    unit: "none",
    spellings: [{ metric: "DCGM_FI_DEV_CLOCKS_EVENT_REASONS" }, { metric: "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS" }],
  },
} as const satisfies Record<string, Quantity>;

export type QuantityName = keyof typeof QUANTITIES;

/** A filter: labels that a GPU must have, by their canonical names. */
export interface Filter {
  readonly gpu?: string;
}

/** One series for each GPU or MIG instance, in the canonical unit. */
export function expression(name: QuantityName, filter: Filter = {}): string {
  const selector = filter.gpu === undefined ? "" : `{gpu=${quoted(filter.gpu)}}`;
  const { spellings }: Quantity = QUANTITIES[name];
  return spellings
    .map(({ metric, times }) => metric + selector + (times === undefined ? "" : ` * ${times}`))
    .join(" or ");
}

/**
 * The sum over the fleet. Fields of a whole board, such as power, are repeated on each of its MIG instances and, where GPUs
 * are shared, for each pod: the board is counted once.
 */
export function fleetSum(name: QuantityName): string {
  return `sum(max by (UUID) (${expression(name)}))`;
}

/** A PromQL string. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
