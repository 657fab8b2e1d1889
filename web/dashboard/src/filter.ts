/** Which GPUs are shown. Pure. The filter works on what has come, so all who look share the same queries. */

import type { Member } from "./roster";

export interface Filter {
  readonly node: string;
  readonly namespace: string;
  /** Keys of GPUs; all where it is empty. */
  readonly gpus: readonly string[];
}

export const EVERYTHING: Filter = { node: "", namespace: "", gpus: [] };

function inScope({ gpu, workloads }: Member, { node, namespace }: Filter): boolean {
  return (node === "" || gpu.node === node) && (namespace === "" || workloads.some((w) => w.namespace === namespace));
}

/** Those that node and namespace leave: what can be picked from. */
export function scoped(members: readonly Member[], filter: Filter): readonly Member[] {
  return members.filter((member) => inScope(member, filter));
}

export function shown(members: readonly Member[], filter: Filter): readonly Member[] {
  const { gpus } = filter;
  return scoped(members, filter).filter(({ gpu }) => gpus.length === 0 || gpus.includes(gpu.key));
}

export interface Choices {
  readonly nodes: readonly string[];
  readonly namespaces: readonly string[];
}

/** What there is to choose. What is chosen is among it, also when nothing has it at the moment. */
export function choices(members: readonly Member[], { node, namespace }: Filter): Choices {
  const sorted = (names: Iterable<string>, chosen: string) =>
    [...new Set([...names, chosen])].filter((name) => name !== "").sort((one, other) => one.localeCompare(other));
  return {
    nodes: sorted(
      members.map(({ gpu }) => gpu.node),
      node,
    ),
    namespaces: sorted(
      members.flatMap(({ workloads }) => workloads.map((w) => w.namespace)),
      namespace,
    ),
  };
}

/** Picks a GPU, or takes it back. */
export function toggle(filter: Filter, key: string): Filter {
  const gpus = filter.gpus.includes(key) ? filter.gpus.filter((other) => other !== key) : [...filter.gpus, key];
  return { ...filter, gpus };
}
