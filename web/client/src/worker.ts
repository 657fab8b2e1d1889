/** One connection for all tabs of a browser: `serve` in the script of a SharedWorker, `connect` in the pages. */

import { Client, type ClientOptions, type Streams } from "./client.js";
import { Host } from "./worker/host.js";
import type { Port } from "./worker/messages.js";
import { TabClient } from "./worker/tab.js";

/** The half of a `SharedWorkerGlobalScope` that is used. */
export interface WorkerScope {
  addEventListener(type: "connect", listener: (event: { readonly ports: readonly Port[] }) => void): void;
}

/** Serves the pages that connect to this worker. To be called at once, before the first page could be missed. */
export function serve(scope: WorkerScope = globalThis as unknown as WorkerScope): void {
  const host = new Host();
  scope.addEventListener("connect", ({ ports }) => {
    for (const port of ports) host.attach(port);
  });
}

export interface ConnectOptions extends ClientOptions {
  /** Makes the worker: `() => new SharedWorker(new URL("./streams.js", import.meta.url), { type: "module" })`. Pages with
   * other users or other rights than this one's need a worker of another `name`. */
  readonly worker: () => { readonly port: Port };
}

/** A client on the shared worker; where the browser has none, one of the page's own. */
export function connect({ worker, ...options }: ConnectOptions): Streams {
  if (typeof SharedWorker === "undefined") return new Client(options);
  return new TabClient(worker().port, options);
}
