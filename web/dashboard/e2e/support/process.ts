/** Programs that a test runs: each is known by what it logs, and ends with the test. */

import { type ChildProcess, spawn } from "node:child_process";

const PATIENCE_MS = 30_000;

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  #log = "";
  #ended: string | undefined;

  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    const kept = Object.entries(process.env).filter(([key]) => !key.startsWith("PROMCAST_"));
    this.#child = spawn(command, args, {
      env: { ...Object.fromEntries(kept), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        this.#log += bytes.toString();
      });
    }
    this.#child.on("error", (error) => {
      this.#ended = error.message;
    });
    this.#child.on("exit", (code, signal) => {
      this.#ended = `ended with ${code ?? signal}`;
    });
  }

  /** Waits until it logs what matches, and gives the first group. */
  async says(expression: RegExp): Promise<string> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = expression.exec(this.#log)?.[1];
      if (found !== undefined) return found;
      if (this.#ended !== undefined) throw new Error(`${this.name} ${this.#ended}\n${this.#log.slice(-2000)}`);
      if (Date.now() > deadline) throw new Error(`${this.name} did not say ${expression}\n${this.#log.slice(-2000)}`);
      await pause(20);
    }
  }

  /** Waits for its end, which must be a success. */
  async done(): Promise<void> {
    while (this.#ended === undefined) await pause(20);
    if (this.#ended !== "ended with 0") throw new Error(`${this.name} ${this.#ended}\n${this.#log.slice(-2000)}`);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#ended === undefined) this.#child.kill(signal);
    const deadline = Date.now() + 10_000;
    while (this.#ended === undefined) {
      if (Date.now() > deadline) this.#child.kill("SIGKILL");
      await pause(20);
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again and again until the answer is as it should be; fails with the last one. */
export async function until<Answer>(
  what: string,
  seconds: number,
  ask: () => Promise<Answer>,
  good: (answer: Answer) => boolean,
): Promise<Answer> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s, but ${JSON.stringify(answer)}`);
    await pause(100);
  }
}
