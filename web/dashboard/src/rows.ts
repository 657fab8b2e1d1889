/** The table of GPUs: a row for each, from the newest values. Pure. */

import { nameOf, title } from "./gpu";
import { reasons } from "./reasons";
import { type Member, severalNodes } from "./roster";

export type Latest = ReadonlyMap<string, number>;

export interface Facts {
  readonly utilisation: Latest;
  readonly memory: Latest;
  readonly capacity: Latest;
  readonly temperature: Latest;
  readonly power: Latest;
  readonly clock: Latest;
  readonly reasons: Latest;
  readonly xid: Latest;
}

export interface Row {
  readonly key: string;
  readonly title: string;
  readonly model: string;
  readonly workload: string;
  readonly utilisation: number | undefined;
  readonly memory: number | undefined;
  /** Percent of the GPU's memory. */
  readonly memoryShare: number | undefined;
  readonly temperature: number | undefined;
  readonly power: number | undefined;
  readonly clock: number | undefined;
  /** What limits the clocks, in words. */
  readonly limited: string;
  /** The last error's code; 0 for none. */
  readonly xid: number | undefined;
}

export function rowsOf(members: readonly Member[], facts: Facts): Row[] {
  const several = severalNodes(members);
  return members.map(({ gpu, workloads }) => {
    const { key } = gpu;
    const [memory, capacity] = [facts.memory.get(key), facts.capacity.get(key)];
    return {
      key,
      title: title(gpu, several),
      model: gpu.model,
      workload: workloads.map(nameOf).join(", "),
      utilisation: facts.utilisation.get(key),
      memory,
      memoryShare: memory === undefined || !capacity ? undefined : (100 * memory) / capacity,
      temperature: facts.temperature.get(key),
      power: facts.power.get(key),
      clock: facts.clock.get(key),
      limited: reasons(facts.reasons.get(key) ?? Number.NaN)?.names.join(", ") ?? "",
      xid: facts.xid.get(key),
    };
  });
}

export type Column = "title" | "workload" | "utilisation" | "memory" | "temperature" | "power" | "clock" | "xid";

export interface Sorting {
  readonly column: Column;
  readonly descending: boolean;
}

/** Rows without a value come last, either way. Equal ones stay in their order. */
export function sorted(rows: readonly Row[], { column, descending }: Sorting): Row[] {
  const sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [one[column], other[column]];
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
    if (typeof a === "string" || typeof b === "string") {
      return sign * String(a).localeCompare(String(b), "en", { numeric: true });
    }
    return sign * (a - b);
  });
}

/** Another column begins with what one looks for first: names upwards, numbers from the highest. */
export function next(sorting: Sorting, column: Column): Sorting {
  if (sorting.column === column) return { column, descending: !sorting.descending };
  return { column, descending: column !== "title" && column !== "workload" };
}
