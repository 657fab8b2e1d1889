/** Whose series it is: labels of all dialects of dcgm-exporter and of Prometheus's relabelling, under one name each. */

export type Labels = Readonly<Record<string, string>>;

export interface Identity {
  /** The same for all series of a GPU or MIG instance, and for no other. */
  readonly key: string;
  readonly node: string;
  readonly gpu: string;
  readonly model: string;
  /** The profile of a MIG instance, such as `1g.18gb`. */
  readonly instance: string;
  readonly namespace: string;
  readonly pod: string;
}

/** The first label that is there and not empty. */
function first(labels: Labels, ...names: readonly string[]): string {
  for (const name of names) {
    const value = labels[name];
    if (value !== undefined && value !== "") return value;
  }
  return "";
}

/**
 * Reads the labels. Where Prometheus keeps its own `pod` and `namespace` (`honor_labels: false`) those are the exporter's,
 * and the workload's are `exported_pod` and `exported_namespace`, which count first.
 */
export function identity(labels: Labels): Identity {
  const node = first(labels, "Hostname", "hostname", "node", "instance");
  const gpu = first(labels, "gpu", "device");
  const uuid = first(labels, "UUID", "uuid", "gpu_uuid");
  const part = first(labels, "GPU_I_ID");
  const relabelled = "exported_pod" in labels || "exported_namespace" in labels;
  return {
    key: [uuid === "" ? `${node}/${gpu}` : uuid, part].filter((text) => text !== "").join("/"),
    ...{ node, gpu, model: first(labels, "modelName") },
    instance: first(labels, "GPU_I_PROFILE"),
    namespace: relabelled ? first(labels, "exported_namespace") : first(labels, "namespace", "pod_namespace"),
    pod: relabelled ? first(labels, "exported_pod") : first(labels, "pod", "pod_name"),
  };
}

/** How a GPU is called on a page: `gpu-worker-03 · 0`, with the profile of a MIG instance. */
export function title({ node, gpu, instance, key }: Identity): string {
  return [node, gpu, instance].filter((text) => text !== "").join(" · ") || key;
}
