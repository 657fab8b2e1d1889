import { describe, expect, test } from "vitest";
import { expression, fleetSum } from "../src/catalogue";
import { identity, title } from "../src/labels";
import { reasons } from "../src/reasons";
import { level } from "../src/thresholds";
import { format } from "../src/units";

const UUID = "GPU-5ff10b97";

describe("labels", () => {
  test("one GPU is the same in every dialect", () => {
    const older = identity({
      gpu: "0",
      UUID,
      Hostname: "n1",
      exported_pod: "p",
      exported_namespace: "a",
      pod: "exporter",
    });
    const newer = identity({ gpu: "0", UUID, hostname: "n1", pod: "p", namespace: "a" });
    const oldest = identity({ gpu: "0", uuid: UUID, hostname: "n1", pod_name: "p", pod_namespace: "a" });
    expect([older, oldest]).toEqual([newer, newer]);
    expect(title(newer)).toBe("n1 · 0");
  });

  test("the exporter's own pod is nobody's workload", () => {
    const idle = identity({
      gpu: "0",
      UUID,
      exported_pod: "",
      exported_namespace: "",
      pod: "exporter",
      namespace: "ops",
    });
    expect([idle.pod, idle.namespace]).toEqual(["", ""]);
  });

  test("MIG instances of a GPU are told apart", () => {
    const part = (id: string) => identity({ gpu: "0", UUID, GPU_I_ID: id, GPU_I_PROFILE: "1g.18gb", hostname: "n1" });
    expect(part("1").key).not.toBe(part("2").key);
    expect(title(part("1"))).toBe("n1 · 0 · 1g.18gb");
    expect(identity({ hostname: "n1", gpu: "3" }).key).toBe("n1/3");
  });
});

describe("catalogue", () => {
  test("an expression tries each spelling, in one unit", () => {
    expect(expression("power")).toBe("DCGM_FI_DEV_POWER_USAGE or DCGM_FI_DEV_BOARD_POWER_WATTS");
    expect(expression("memoryUsed", { gpu: '0"' })).toBe(
      'DCGM_FI_DEV_FB_USED{gpu="0\\""} * 1048576 or DCGM_FI_DEV_FB_USED_BYTES{gpu="0\\""}',
    );
  });

  test("a board is counted once in a sum, however many instances and pods repeat it", () => {
    expect(fleetSum("power")).toBe(`sum(max by (UUID) (${expression("power")}))`);
  });
});

describe("units", () => {
  test.each([
    [0, "percent", "0\u00a0%"],
    [83, "celsius", "83\u00a0°C"],
    [100, "percent", "100\u00a0%"],
    [537.633, "watt", "538\u00a0W"],
    [999.9, "watt", "1\u00a0kW"],
    [2_400, "watt", "2.4\u00a0kW"],
    [1_919_000_000, "hertz", "1.92\u00a0GHz"],
    [1_536, "bytes", "1.5\u00a0KiB"],
    [102_000 * 1_048_576, "bytes", "99.6\u00a0GiB"],
    [-5, "celsius", "-5\u00a0°C"],
    [10, "none", "10"],
    [Number.NaN, "watt", "–"],
  ] as const)("%d %s is %s", (value, unit, text) => expect(format(value, unit)).toBe(text));
});

test("bounds are those of the dashboards in use", () => {
  expect([82.9, 83, 87].map((value) => level("temperature", value))).toEqual(["good", "warn", "bad"]);
  expect([59, 60, 80].map((value) => level("utilisation", value))).toEqual(["good", "warn", "bad"]);
  expect([level("power", 700), level("temperature", Number.NaN)]).toEqual([undefined, undefined]);
});

test("clock reasons are words, and some of them slow work down", () => {
  expect(reasons(0x1)).toEqual({ names: ["idle"], slowed: false });
  expect(reasons(0x44)).toEqual({ names: ["power cap (software)", "thermal (hardware)"], slowed: true });
  expect([reasons(0), reasons(Number.NaN)]).toEqual([
    { names: [], slowed: false },
    { names: [], slowed: false },
  ]);
});
