import { expect, test } from "vitest";
import { QUANTITIES, type QuantityName, quantity, query } from "../src/catalogue";

const NAMES = Object.keys(QUANTITIES) as QuantityName[];

test("every query is one that a gateway takes", () => {
  for (const name of NAMES) expect(query(name).length, name).toBeLessThanOrEqual(1000);
  expect(new Set(NAMES.map(query)).size).toBe(NAMES.length);
});

test("the queries of the page and those of its reader fit on one connection", async () => {
  const { PANELS_MAX } = await import("../src/address");
  expect(NAMES.length + PANELS_MAX).toBeLessThanOrEqual(32);
});

test("every quantity is known under the names before 4.9 and from 4.9 on", () => {
  const newer = /_(RATIO|BYTES|CELSIUS|WATTS|HERTZ)\b|DCGM_FI_DEV_XID_ERROR$/;
  for (const name of NAMES.filter((one) => one !== "reasons")) {
    const { spellings } = quantity(name);
    expect(
      spellings.some((spelling) => newer.test(spelling)),
      `${name} from 4.9 on`,
    ).toBe(true);
    expect(
      spellings.some((spelling) => !newer.test(spelling)),
      `${name} before 4.9`,
    ).toBe(true);
  }
});

test("a spelling in an older unit is brought to that of the newer one", () => {
  expect(quantity("memory").spellings).toContain("1048576 * DCGM_FI_DEV_FB_USED");
  expect(quantity("clock").spellings).toContain("1e6 * DCGM_FI_DEV_SM_CLOCK");
  expect(quantity("utilisation").spellings).toContain("100 * DCGM_FI_DEV_GPU_UTIL_RATIO");
});

test("a GPU that is cut into instances has the activity of its engine for utilisation, and only then", () => {
  const { spellings } = quantity("utilisation");
  expect(spellings.indexOf("DCGM_FI_DEV_GPU_UTIL")).toBeLessThan(
    spellings.indexOf("100 * DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
  );
});

test("a query keeps what tells GPUs and workloads apart, and nothing else", () => {
  const kept = /^max by \(([^)]*)\)/.exec(query("xid"))?.[1]?.split(",");
  expect(kept).toEqual(
    expect.arrayContaining(["UUID", "GPU_I_ID", "hostname", "Hostname", "exported_pod", "pod", "err_msg"]),
  );
  expect(query("power")).not.toContain("err_msg");
});

test("a value that old exporters print for none is none", () => {
  for (const name of NAMES) expect(query(name), name).toMatch(/\) < 1e14$/);
});
