/** The GPUs that were seen lately, and who works on them. Pure. */

import type { Labels } from "@promcast/client";
import { exportersIn, type Gpu, gpuOf, isGpu, nameOf, order, type Workload, workloadOf } from "./gpu";

export interface Member {
  readonly gpu: Gpu;
  readonly workloads: readonly Workload[];
}

export class Roster {
  #members: readonly Member[] = [];
  #print = "";
  #seen = new Map<string, number>();

  /** In the order of node and number. The same array as long as nothing has changed. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Takes the label sets of a result that has all GPUs. Says whether anything changed. */
  take(results: readonly Labels[], tick: number, forgetAfterMs: number): boolean {
    const exporters = exportersIn(results);
    const found = new Map<string, { gpu: Gpu; workloads: Map<string, Workload> }>();
    for (const labels of results.filter(isGpu)) {
      const gpu = gpuOf(labels);
      const entry = found.get(gpu.key) ?? { gpu, workloads: new Map<string, Workload>() };
      const workload = workloadOf(labels, exporters);
      if (workload !== undefined) entry.workloads.set(nameOf(workload), workload);
      found.set(gpu.key, entry);
      this.#seen.set(gpu.key, tick);
    }
    const gone = this.#members.filter(({ gpu }) => !found.has(gpu.key));
    const kept = gone.filter(({ gpu }) => (this.#seen.get(gpu.key) ?? 0) > tick - forgetAfterMs);
    const present = [...found.values()].map(({ gpu, workloads }) => ({ gpu, workloads: [...workloads.values()] }));
    for (const key of [...this.#seen.keys()]) {
      if (!found.has(key) && !kept.some(({ gpu }) => gpu.key === key)) this.#seen.delete(key);
    }
    const members: Member[] = [...present, ...kept].sort((one, other) => order(one.gpu, other.gpu));
    const print = JSON.stringify(members);
    if (print === this.#print) return false;
    [this.#print, this.#members] = [print, members];
    return true;
  }
}

export function severalNodes(members: readonly Member[]): boolean {
  return new Set(members.map(({ gpu }) => gpu.node)).size > 1;
}
