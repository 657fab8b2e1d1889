import { describe, expect, test } from "vitest";
import { exportersIn, gpuOf, isGpu, order, title, workloadOf } from "../src/gpu";

const UUID = "GPU-5ff10b97";
const EXPORTER = { namespace: "ops", pod: "nvidia-metrics-x7" };

describe("a GPU", () => {
  test("is the same in every dialect", () => {
    const newer = gpuOf({ gpu: "0", UUID, hostname: "n1", modelName: "H200" });
    expect(gpuOf({ gpu: "0", UUID, Hostname: "n1", modelName: "H200" })).toEqual(newer);
    expect(gpuOf({ gpu: "0", uuid: UUID, hostname: "n1", modelName: "H200", pod_name: "p" })).toEqual(newer);
  });

  test("without a UUID is known by its node and number", () => {
    expect(gpuOf({ gpu: "3", Hostname: "n1" }).key).toBe("n1/3");
    expect([isGpu({ gpu: "3" }), isGpu({ uuid: UUID }), isGpu({ job: "x" })]).toEqual([true, true, false]);
  });

  test("that is cut into instances is several, on one board", () => {
    const [one, two] = ["7", "8"].map((GPU_I_ID) => gpuOf({ gpu: "0", UUID, GPU_I_ID, GPU_I_PROFILE: "1g.18gb" }));
    expect(one?.key).not.toBe(two?.key);
    expect(one?.board).toBe(two?.board);
    expect(one && title(one, false)).toBe("GPU 0.7 (1g.18gb)");
  });

  test("is told with its node where there are several, and in the order of numbers", () => {
    const gpus = ["10", "9"].map((gpu) => gpuOf({ gpu, UUID: `GPU-${gpu}`, hostname: "n1" }));
    expect(gpus.sort(order).map((gpu) => title(gpu, true))).toEqual(["n1 GPU 9", "n1 GPU 10"]);
  });
});

describe("a workload", () => {
  test("is the pod, under any of its labels", () => {
    const pod = { namespace: "a", name: "p" };
    expect(workloadOf({ namespace: "a", pod: "p" })).toEqual(pod);
    expect(workloadOf({ pod_namespace: "a", pod_name: "p" })).toEqual(pod);
    expect(workloadOf({ exported_namespace: "a", exported_pod: "p", ...EXPORTER })).toEqual(pod);
  });

  test("is not the exporter that tells of it", () => {
    const busy = { exported_namespace: "a", exported_pod: "p", ...EXPORTER };
    expect(workloadOf(EXPORTER, exportersIn([busy, EXPORTER]))).toBeUndefined();
    expect(workloadOf({ namespace: "gpu-monitoring", pod: "dcgm-exporter-0" })).toBeUndefined();
  });

  test("of another scrape is still seen where one of them has the exporter's labels", () => {
    const busy = { exported_namespace: "a", exported_pod: "p", ...EXPORTER };
    const honoured = { namespace: "b", pod: "q" };
    expect(workloadOf(honoured, exportersIn([busy, honoured]))).toEqual({ namespace: "b", name: "q" });
  });

  test("may be the job of a batch system", () => {
    expect(workloadOf({ hpc_job: "4711" })).toEqual({ namespace: "", name: "4711" });
    expect(workloadOf({})).toBeUndefined();
  });
});
