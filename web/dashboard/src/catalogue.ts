/**
 * What the dashboard shows, and the PromQL and labels that say it in every dialect of dcgm-exporter.
 *
 * Releases before 4.9 and those from 4.9 on name the same fields differently and in other units; a GPU that is cut into
 * MIG instances has no utilisation of its own. One expression tries one spelling after the other: `or` takes a series
 * from the right only where the left has none with the same labels, so a fleet of several dialects works too. The names
 * from 4.9 on are derived from DCGM's own field names, and were not seen on a live exporter.
 *
 * Old releases print DCGM's mark for "no value" as if it were one: 2⁴⁷ and a little, or 2⁶³ less a little. No quantity
 * comes near that, so what does is left out.
 */

import type { Bounds } from "./thresholds";
import type { Unit } from "./units";

/** Labels under which exporters and Prometheus's relabelling say who a series is of. The first that is not empty counts. */
export const LABELS = {
  uuid: ["UUID", "uuid"],
  gpu: ["gpu"],
  node: ["Hostname", "hostname"],
  model: ["modelName"],
  instance: ["GPU_I_ID"],
  profile: ["GPU_I_PROFILE"],
  /** Of the workload, where Prometheus keeps `namespace` and `pod` for the exporter's own (`honor_labels: false`). */
  exportedNamespace: ["exported_namespace"],
  exportedPod: ["exported_pod"],
  /** Of the workload, or of the exporter: `gpu.ts` tells which. `pod_…` is of the exporter's option `-o`. */
  namespace: ["namespace", "pod_namespace"],
  pod: ["pod", "pod_name"],
  job: ["hpc_job"],
} as const;

export interface Quantity {
  readonly title: string;
  /** What it says, for those who do not know the field. */
  readonly about: string;
  readonly unit: Unit;
  /** PromQL, in the canonical unit. The first that has the series counts. */
  readonly spellings: readonly string[];
  /** Labels besides those of the GPU. */
  readonly labels?: readonly string[];
  readonly bounds?: Bounds;
  /** The top of the scale, where there is one. */
  readonly top?: number;
  /** What is said where no GPU has it, of what exporters leave out by default. */
  readonly missing?: string;
}

/** From here on a value is DCGM's mark for none. */
const BLANK = "1e14";

/** NVIDIA's own dashboard warns at 83 °C and 87 °C. */
const HOT: Bounds = { warn: 83, high: 87 };
/** The OpenShift console warns at 60 % and 80 %. */
const BUSY: Bounds = { warn: 60, high: 80 };

export const QUANTITIES = {
  utilisation: {
    title: "GPU utilisation",
    about: "Share of the time in which a kernel ran",
    unit: "percent",
    bounds: BUSY,
    top: 100,
    spellings: [
      "DCGM_FI_DEV_GPU_UTIL",
      "100 * DCGM_FI_DEV_GPU_UTIL_RATIO",
      "100 * DCGM_FI_PROF_GR_ENGINE_ACTIVE",
      "100 * DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO",
    ],
  },
  memory: {
    title: "Memory used",
    about: "Frame buffer in use",
    unit: "bytes",
    spellings: ["1048576 * DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_USED_BYTES"],
  },
  capacity: {
    title: "Memory",
    about: "Frame buffer of the GPU",
    unit: "bytes",
    spellings: [
      "DCGM_FI_DEV_FB_CAPACITY_BYTES",
      "1048576 * DCGM_FI_DEV_FB_TOTAL",
      "1048576 * (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE + DCGM_FI_DEV_FB_RESERVED)",
      "1048576 * (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)",
      "DCGM_FI_DEV_FB_USED_BYTES + DCGM_FI_DEV_FB_FREE_BYTES",
    ],
  },
  temperature: {
    title: "GPU temperature",
    about: "Of the GPU die",
    unit: "celsius",
    bounds: HOT,
    spellings: ["DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_TEMP_CELSIUS"],
  },
  power: {
    title: "Power",
    about: "Drawn by the board",
    unit: "watt",
    spellings: ["DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_BOARD_POWER_WATTS"],
  },
  clock: {
    title: "SM clock",
    about: "Clock of the multiprocessors",
    unit: "hertz",
    spellings: ["1e6 * DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_SM_CLOCK_HERTZ"],
  },
  tensor: {
    title: "Tensor cores active",
    about: "Share of the cycles in which the tensor pipe works",
    unit: "percent",
    top: 100,
    spellings: ["100 * DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "100 * DCGM_FI_PROF_TENSOR_UTIL_RATIO"],
  },
  bandwidth: {
    title: "Memory bandwidth active",
    about: "Share of the cycles in which the memory interface moves data",
    unit: "percent",
    top: 100,
    spellings: ["100 * DCGM_FI_PROF_DRAM_ACTIVE", "100 * DCGM_FI_PROF_DRAM_UTIL_RATIO"],
  },
  memoryTemperature: {
    title: "Memory temperature",
    about: "Of the memory; boards without a sensor have none",
    unit: "celsius",
    spellings: ["DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_MEMORY_TEMP_CELSIUS"],
  },
  memoryClock: {
    title: "Memory clock",
    about: "Clock of the memory",
    unit: "hertz",
    spellings: ["1e6 * DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_MEMORY_CLOCK_HERTZ"],
  },
  reasons: {
    title: "What limits the clocks",
    about: "Clock event reasons, as bits",
    unit: "none",
    missing:
      "No GPU tells what limits its clocks: dcgm-exporter does where DCGM_FI_DEV_CLOCKS_EVENT_REASONS is among its counters",
    spellings: ["DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"],
  },
  xid: {
    title: "XID errors",
    about: "Code of the driver's last error",
    unit: "none",
    labels: ["err_msg"],
    spellings: ["DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_XID_ERROR"],
  },
} as const satisfies Record<string, Quantity>;

export type QuantityName = keyof typeof QUANTITIES;

export function quantity(name: QuantityName): Quantity {
  return QUANTITIES[name];
}

/**
 * One series for each GPU or MIG instance and workload, with the labels that count and no others: they are most of the
 * bytes. `max` joins what is there twice, such as the series of a GPU that two HPC jobs share.
 */
export function query(name: QuantityName): string {
  const { spellings, labels = [] } = quantity(name);
  return `max by (${[...Object.values(LABELS).flat(), ...labels].join(",")}) (${spellings.join(" or ")}) < ${BLANK}`;
}
