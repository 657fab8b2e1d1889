/** The real programs, on loopback and free ports: a simulated exporter, Prometheus, gateways, and what stands between them. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Program, until } from "./process";

const ROOT = resolve(import.meta.dirname, "../../../..");
export const BIN = process.env.PROMCAST_BIN_DIR ?? join(ROOT, "target/debug");
const PAGES = resolve(import.meta.dirname, "../../dist");
const LISTENING = (what: string) => new RegExp(`listening listener="${what}" address=([0-9.:]+)`);

/** Debian puts servers into /usr/sbin; `make tools` puts some into .build/bin. */
process.env.PATH = `${join(ROOT, ".build/bin")}:${process.env.PATH}:/usr/sbin`;

export class Stack {
  readonly folder = mkdtempSync(join(tmpdir(), "promcast-web-"));
  readonly #programs: Program[] = [];

  start(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
    const program = new Program(name, command, args, env);
    this.#programs.push(program);
    return program;
  }

  /** The last that was started is the first to end. */
  async stop(): Promise<void> {
    for (const program of this.#programs.reverse()) await program.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Eight GPUs that do not exist; the address of their metrics. */
  async exporter(...args: readonly string[]): Promise<string> {
    const program = this.start("dcgm-sim", join(BIN, "dcgm-sim"), ["--listen", "127.0.0.1:0", ...args]);
    return program.says(/listening on http:\/\/([0-9.:]+)\//);
  }

  /** A Prometheus that scrapes these, by job. */
  async prometheus(targets: Readonly<Record<string, string>>, port = 0): Promise<{ url: string; program: Program }> {
    const jobs = Object.entries(targets).map(([job, target]) => {
      const labels = "{namespace: nvidia-gpu-operator, pod: exporter-0}";
      return `  - {job_name: ${job}, static_configs: [{targets: ["${target}"], labels: ${labels}}]}`;
    });
    const file = join(this.folder, "prometheus.yml");
    writeFileSync(file, `global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n${jobs.join("\n")}\n`);
    const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(this.folder, "tsdb")}`];
    const program = this.start("prometheus", "prometheus", [...args, `--web.listen-address=127.0.0.1:${port}`]);
    const address = await program.says(/msg="Listening on".*address=([0-9.:]+)/);
    return { url: `http://${address}`, program };
  }

  async gateway(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Gateway> {
    const auth = args.includes("--auth-mode") ? [] : ["--auth-mode", "none"];
    const pages = args.includes("--http-pages") ? [] : ["--http-pages", PAGES];
    const listen = ["--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", ...pages];
    const program = this.start("gateway", join(BIN, "promcast-gateway"), [...auth, ...listen, ...args], env);
    const [http, admin] = [await program.says(LISTENING("http")), await program.says(LISTENING("admin"))];
    return { program, address: http, url: `http://${http}`, adminPort: admin.split(":")[1] ?? "" };
  }

  /** Two gateways and a poller over NATS, behind HAProxy; gives the gateways and the address of the load balancer. */
  async cluster(prometheus: string): Promise<{ url: string; gateways: readonly Gateway[] }> {
    const config = join(this.folder, "nats.conf");
    writeFileSync(config, `host: 127.0.0.1\nport: -1\njetstream { store_dir: "${join(this.folder, "nats")}" }\n`);
    const nats = this.start("nats", "nats-server", ["--config", config]);
    const bus = ["--bus-url", `nats://${await nats.says(/Listening for client connections on ([0-9.:]+)/)}`];
    await this.start("init", join(BIN, "promcast-gateway"), ["init", "--auth-mode", "none", ...bus]).done();
    const upstream = ["--prometheus-url", prometheus, "--admin-listen", "127.0.0.1:0"];
    this.start("poller", join(BIN, "promcast-poller"), [...bus, ...upstream]);
    const args = [...bus, "--datasources", "default", "--http-trusted-proxies", "127.0.0.1/32"];
    const gateways = [
      await this.gateway([...args, "--replica", "gateway-1"]),
      await this.gateway([...args, "--replica", "gateway-2"]),
    ];
    const port = await freePort();
    const env: NodeJS.ProcessEnv = { LOAD_BALANCER_ADDRESS: `127.0.0.1:${port}` };
    gateways.forEach(({ address, adminPort }, i) => {
      env[`GATEWAY_${i + 1}_ADDRESS`] = address;
      env[`GATEWAY_${i + 1}_ADMIN_PORT`] = adminPort;
    });
    this.start("haproxy", "haproxy", ["-db", "-f", join(ROOT, "deploy/load-balancer/haproxy.cfg")], env);
    const url = `http://127.0.0.1:${port}`;
    await until(
      "the load balancer answers",
      20,
      () => status(url),
      (code) => code === 200,
    );
    return { url, gateways };
  }
}

export interface Gateway {
  readonly program: Program;
  readonly address: string;
  readonly url: string;
  readonly adminPort: string;
}

export interface Connection {
  readonly connection_id: string;
  readonly replica: string;
  readonly subscriptions: readonly unknown[];
}

/** The streams that are open, as the gateways tell it. */
export async function connections(url: string): Promise<readonly Connection[]> {
  const response = await fetch(`${url}/api/v1/metrics/stream/status`);
  return ((await response.json()) as { connections: readonly Connection[] }).connections;
}

async function status(url: string): Promise<number> {
  return fetch(url).then(
    ({ status: code }) => code,
    () => 0,
  );
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(address)));
    });
  });
}
