/** A gateway that wants a token: the page asks for it, and shows what its owner may see. */

import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { badge, launch, open } from "./support/browser";
import { until } from "./support/process";
import { type Gateway, Stack } from "./support/stack";

const ISSUER = "https://login.example.com";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const stack = new Stack();
let [browser, gateway]: [Browser?, Gateway?] = [];

beforeAll(async () => {
  const { url } = await stack.prometheus({ gpus: await stack.exporter() });
  const keys = join(stack.folder, "key.pem");
  writeFileSync(keys, publicKey.export({ type: "spki", format: "pem" }));
  const jwt = ["--auth-jwt-issuer", ISSUER, "--auth-jwt-audience", "promcast", "--auth-jwt-keys-file", keys];
  const claims = ["--auth-jwt-namespaces-claim", "namespaces"];
  gateway = await stack.gateway(["--prometheus-url", url, "--auth-mode", "jwt", ...jwt, ...claims]);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await stack.stop();
});

function token(namespaces: readonly string[]): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, aud: "promcast", sub: "alice", iat: now, exp: now + 600, namespaces };
  const text = `${part({ alg: "ES256", typ: "JWT" })}.${part(claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

test("a tenant enters a token, and sees only the GPUs of the own namespace", async () => {
  const { page } = await open(browser as Browser, gateway?.url ?? "");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await dialog.getByLabel("Bearer token").fill("wrong");
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await until(
    "asked again",
    10,
    () =>
      dialog
        .getByLabel("Bearer token")
        .inputValue()
        .catch(() => "?"),
    (text) => text === "",
  );
  await dialog.waitFor();
  await dialog.getByLabel("Bearer token").fill(token(["team-vision"]));
  await dialog.getByRole("button", { name: "Sign in" }).click();
  await badge(page, "Live");
  const rows = page.locator("table.gpus tbody tr");
  await until(
    "rows",
    20,
    () => rows.count(),
    (count) => count > 0,
  );
  expect(await rows.count()).toBeLessThan(8);
  for (const text of await rows.locator(".workload").allInnerTexts()) expect(text).toMatch(/^team-vision\//);
  expect(page.url()).not.toContain("token");
  expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).not.toContain("ey");
  await page.close();
});
