/** The edge to the network: requests, and the bytes of a stream as events. */

import { createParser } from "eventsource-parser";
import type { Environment } from "./environment.js";
import { fromResponse, local } from "./problem.js";
import type { Ask } from "./protocol.js";

/** What a gateway is asked with. */
export interface Endpoint {
  /** The address of the stream. */
  readonly url: string;
  readonly credentials: RequestCredentials;
}

/** The body of a POST. */
export interface Opening {
  readonly subscriptions: readonly Ask[];
  readonly namespaces?: readonly string[];
  readonly backfill?: string;
  readonly format: string;
}

/** The body of a PATCH. */
export interface Amendment {
  readonly add: readonly Ask[];
  readonly remove: readonly string[];
}

export interface Listener {
  readonly event: (name: string, data: string) => void;
  readonly retry: (ms: number) => void;
  /** Something came, be it a comment. */
  readonly life: () => void;
}

/** Sends a request with a JSON body; an answer that is none of a gateway's is a `Problem` that is thrown. */
export async function request(
  { fetch, now }: Environment,
  endpoint: Endpoint,
  token: string | null,
  { method, path = "", body, accept, signal }: Request,
): Promise<Response> {
  const headers = new Headers({ "Content-Type": "application/json", Accept: accept });
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  const init: RequestInit = { method, headers, body: JSON.stringify(body), signal, cache: "no-store" };
  let response: Response;
  try {
    const answer = fetch(endpoint.url + path, { ...init, credentials: endpoint.credentials });
    response = await abortable(signal, answer);
  } catch (cause) {
    throw local("unreachable", "the gateway cannot be reached", cause);
  }
  const type = response.headers.get("content-type") ?? "";
  if (response.status === 200 && type.startsWith(accept)) return response;
  const problem = await abortable(signal, fromResponse(response, now()));
  await response.body?.cancel().catch(() => {});
  throw problem;
}

interface Request {
  readonly method: "POST" | "PATCH";
  readonly path?: string;
  readonly body: Opening | Amendment;
  readonly accept: "text/event-stream" | "application/json";
  readonly signal: AbortSignal;
}

/** Reads a stream to its end. An event that is cut off is none. What a listener throws ends the reading. */
export async function read(response: Response, listener: Listener, signal: AbortSignal): Promise<void> {
  const parser = createParser({
    onEvent: ({ event, data }) => listener.event(event ?? "message", data),
    onRetry: listener.retry,
  });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const pump = async () => {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      listener.life();
      parser.feed(decoder.decode(value, { stream: true }));
    }
  };
  await abortable(signal, pump());
}

/** Rejects when the signal does. A `fetch` that is aborted just as its response ends may leave a read that never settles,
 * in Node.js at least. */
export function abortable<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
