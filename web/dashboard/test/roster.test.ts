import { expect, test } from "vitest";
import { choices, EVERYTHING, shown, toggle } from "../src/filter";
import { Roster } from "../src/roster";

const labels = (gpu: string, node: string, namespace: string, pod: string) => ({
  ...{ gpu, UUID: `GPU-${node}-${gpu}`, hostname: node, exported_namespace: namespace, exported_pod: pod },
  ...{ namespace: "ops", pod: "exporter" },
});
const FLEET = [labels("1", "n2", "b", "q"), labels("0", "n1", "a", "p"), labels("1", "n1", "a", "p")];

function roster(): Roster {
  const made = new Roster();
  made.take(FLEET, 0, 1000);
  return made;
}

test("GPUs come in the order of node and number, and the list stays the same while nothing changes", () => {
  const one = roster();
  const { members } = one;
  expect(members.map(({ gpu }) => gpu.key)).toEqual(["GPU-n1-0", "GPU-n1-1", "GPU-n2-1"]);
  expect(one.take([...FLEET].reverse(), 5, 1000)).toBe(false);
  expect(one.members).toBe(members);
});

test("a GPU that is shared has each of its workloads", () => {
  const one = new Roster();
  one.take([labels("0", "n1", "a", "p"), labels("0", "n1", "b", "q")], 0, 1000);
  expect(one.members.map(({ workloads }) => workloads.map(({ name }) => name))).toEqual([["p", "q"]]);
});

test("a GPU that is gone is kept for a while, and then forgotten", () => {
  const one = roster();
  expect(one.take(FLEET.slice(1), 500, 1000)).toBe(false);
  expect(one.take(FLEET.slice(1), 1001, 1000)).toBe(true);
  expect(one.members).toHaveLength(2);
});

test("filters narrow, and what can be chosen is what is there", () => {
  const { members } = roster();
  const keys = (filter: typeof EVERYTHING) => shown(members, filter).map(({ gpu }) => gpu.key);
  expect(choices(members, EVERYTHING)).toEqual({ nodes: ["n1", "n2"], namespaces: ["a", "b"] });
  expect(keys({ ...EVERYTHING, node: "n1" })).toEqual(["GPU-n1-0", "GPU-n1-1"]);
  expect(keys({ ...EVERYTHING, namespace: "b" })).toEqual(["GPU-n2-1"]);
  expect(keys(toggle(EVERYTHING, "GPU-n1-1"))).toEqual(["GPU-n1-1"]);
  expect(toggle(toggle(EVERYTHING, "x"), "x")).toEqual(EVERYTHING);
  expect(choices([], { ...EVERYTHING, node: "gone" }).nodes).toEqual(["gone"]);
});
