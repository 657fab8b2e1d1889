/** A gateway by script: real HTTP on a free port, where the test answers each request as it likes. */

import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Ask } from "../../src/protocol.js";

export interface Body {
  readonly subscriptions: readonly Ask[];
  readonly add: readonly Ask[];
  readonly remove: readonly string[];
  readonly [member: string]: unknown;
}

/** A request that waits for its answer. */
export class Exchange {
  readonly closed: Promise<void>;
  isClosed = false;

  constructor(
    readonly method: string,
    readonly path: string,
    readonly headers: IncomingHttpHeaders,
    readonly body: Body,
    private readonly response: ServerResponse,
  ) {
    this.closed = new Promise((resolve) => {
      response.on("close", () => {
        this.isClosed = true;
        resolve();
      });
    });
  }

  answer(status: number, body: unknown = {}, headers: Record<string, string> = {}): void {
    this.response.writeHead(status, { "content-type": "application/json", ...headers });
    this.response.end(typeof body === "string" ? body : JSON.stringify(body));
  }

  problem(status: number, type: string, headers: Record<string, string> = {}): void {
    const document = { type: `urn:promcast:problem:${type}`, title: type, status, detail: `about ${type}` };
    this.answer(status, document, { "content-type": "application/problem+json", ...headers });
  }

  /** Begins a stream, with `connected`; the topic of a subscription is `topic:` and its query. */
  connect(extra: object = {}): this {
    this.begin();
    const subscriptions = this.body.subscriptions.map(subscribed);
    const clock = { server_time: 0, heartbeat_seconds: 30, format: "compact" };
    this.send("connected", { connection_id: "c1", replica: "r1", ...clock, subscriptions, ...extra });
    return this;
  }

  begin(): void {
    this.response.writeHead(200, { "content-type": "text/event-stream" });
    this.response.flushHeaders();
  }

  send(event: string, data: object, before = ""): this {
    return this.raw(`${before}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** A complete update with one sample. */
  update(query: string, tick: number, value = String(tick)): this {
    const result = [{ metric: { gpu: "0" }, value: [tick / 1000, value] }];
    const data = { resultType: "vector", result };
    return this.send("metric-update", { topic: `topic:${query}`, tick, took_ms: 1, data });
  }

  raw(text: string | Uint8Array): this {
    this.response.write(text);
    return this;
  }

  end(): void {
    this.response.end();
  }

  cut(): void {
    this.response.destroy();
  }

  /** Answers a PATCH, and tells it in the stream. */
  amend(stream: Exchange): void {
    const added = this.body.add.map(subscribed);
    stream.send("subscriptions", { added, removed: this.body.remove });
    this.answer(200, { connection_id: "c1", added, removed: this.body.remove });
  }
}

export function subscribed(ask: Ask) {
  const { id, query, interval } = ask;
  return { id, topic: `topic:${query}`, query, datasource: "default", interval, resume: { outcome: "live" } };
}

export class FakeGateway {
  readonly #server: Server;
  readonly #waiting: Exchange[] = [];
  readonly #takers: ((exchange: Exchange) => void)[] = [];
  seen = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeGateway> {
    const gateway = new FakeGateway(createServer());
    gateway.#server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const body = (text === "" ? {} : JSON.parse(text)) as Body;
        const { method = "", url = "", headers } = request;
        gateway.#arrived(new Exchange(method, url, headers, body, response));
      });
    });
    await new Promise<void>((resolve) => gateway.#server.listen(0, "127.0.0.1", resolve));
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #arrived(exchange: Exchange): void {
    this.seen += 1;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#waiting.push(exchange);
    else taker(exchange);
  }

  /** The next request. */
  request(): Promise<Exchange> {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return Promise.resolve(waiting);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
