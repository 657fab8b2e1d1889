/** Whose series it is: the GPU, and who works on it. Pure. */

import type { Labels } from "@promcast/client";
import { LABELS } from "./catalogue";

export interface Gpu {
  /** The same for all series of a GPU or MIG instance, and for no other. */
  readonly key: string;
  /** The board: MIG instances of one board have it in common. */
  readonly board: string;
  readonly node: string;
  /** The number on its node, with that of a MIG instance: `3`, `0.7`. */
  readonly index: string;
  readonly model: string;
  /** The profile of a MIG instance, such as `1g.18gb`. */
  readonly profile: string;
}

export interface Workload {
  readonly namespace: string;
  /** A pod, or a job of a batch system. */
  readonly name: string;
}

function first(labels: Labels, names: readonly string[]): string {
  return names.map((name) => labels[name] ?? "").find((value) => value !== "") ?? "";
}

export function gpuOf(labels: Labels): Gpu {
  const [node, gpu, uuid] = [first(labels, LABELS.node), first(labels, LABELS.gpu), first(labels, LABELS.uuid)];
  const instance = first(labels, LABELS.instance);
  const board = uuid === "" ? `${node}/${gpu}` : uuid;
  return {
    key: instance === "" ? board : `${board}/${instance}`,
    board,
    node,
    index: instance === "" ? gpu : `${gpu}.${instance}`,
    model: first(labels, LABELS.model),
    profile: first(labels, LABELS.profile),
  };
}

/** Whether the labels are of something like a GPU at all. */
export function isGpu(labels: Labels): boolean {
  return first(labels, LABELS.uuid) !== "" || first(labels, LABELS.gpu) !== "";
}

const EXPORTER = /dcgm-exporter/;

/**
 * Who works on the GPU. A plain `pod` is the exporter's own where Prometheus does not honour the exporter's labels: where
 * the workload has labels `exported_…` beside it, where another GPU of the same exporter has (`exporters`), and by name.
 */
export function workloadOf(labels: Labels, exporters: ReadonlySet<string> = new Set()): Workload | undefined {
  const exported = { namespace: first(labels, LABELS.exportedNamespace), name: first(labels, LABELS.exportedPod) };
  if (exported.namespace !== "" || exported.name !== "") return exported;
  const plain = { namespace: first(labels, LABELS.namespace), name: first(labels, LABELS.pod) };
  if (plain.name !== "" && !EXPORTER.test(plain.name) && !exporters.has(nameOf(plain))) return plain;
  const job = first(labels, LABELS.job);
  return job === "" ? undefined : { namespace: "", name: job };
}

/** The pods that export metrics, as far as the labels of a whole result show it. */
export function exportersIn(results: Iterable<Labels>): Set<string> {
  const found = new Set<string>();
  for (const labels of results) {
    if (first(labels, LABELS.exportedPod) === "" && first(labels, LABELS.exportedNamespace) === "") continue;
    found.add(nameOf({ namespace: first(labels, LABELS.namespace), name: first(labels, LABELS.pod) }));
  }
  return found;
}

export function nameOf({ namespace, name }: Workload): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** What a GPU is called; the node where there is more than one. */
export function title({ node, index, profile }: Gpu, severalNodes: boolean): string {
  const name = profile === "" ? `GPU ${index}` : `GPU ${index} (${profile})`;
  return severalNodes && node !== "" ? `${node} ${name}` : name;
}

/** By node, then by number. */
export function order(one: Gpu, other: Gpu): number {
  const by = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
  return by(one.node, other.node) || by(one.index, other.index) || by(one.key, other.key);
}
