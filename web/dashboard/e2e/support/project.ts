/** A project as a reader of the documentation has one: an empty folder, into which npm installs the packed client. */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { build, createServer, type ViteDevServer } from "vite";

export const ROOT = resolve(import.meta.dirname, "../../../..");
const run = promisify(execFile);
const QUIET = { configFile: false, logLevel: "error" } as const;

/** What the examples use beside the client, in the versions that this repository has. */
const BESIDE = { react: "client", "react-dom": "client", uplot: "dashboard" } as const;

/** Packs the client as it would be published, and installs it with what the examples use. */
export async function project(folder: string): Promise<Project> {
  const { stdout } = await run("npm", ["pack", join(ROOT, "web/client"), "--pack-destination", folder, "--silent"]);
  const tarball = join(folder, stdout.trim().split("\n").at(-1) ?? "");
  const own = join(folder, "project");
  await mkdir(own);
  await writeFile(join(own, "package.json"), '{ "private": true, "type": "module" }\n');
  const beside = await Promise.all(
    Object.entries(BESIDE).map(async ([name, part]) => `${name}@${await wanted(name, part)}`),
  );
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--silent"];
  await run("npm", ["install", ...options, tarball, ...beside], { cwd: own });
  return new Project(own);
}

async function wanted(name: string, part: string): Promise<string> {
  const text = await readFile(join(ROOT, "web", part, "package.json"), "utf8");
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as Record<string, Record<string, string>>;
  return dependencies[name] ?? devDependencies[name] ?? "latest";
}

export class Project {
  readonly folder: string;
  readonly #servers: ViteDevServer[] = [];
  #pages = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Writes a script beside what is installed, and gives its path. */
  async script(name: string, text: string): Promise<string> {
    const file = resolve(this.folder, name);
    await writeFile(file, text);
    return file;
  }

  /** A page that is empty but for these scripts, of which it loads the first; gives its folder. */
  async page(scripts: Readonly<Record<string, string>>): Promise<string> {
    const folder = join(this.folder, `page-${this.#pages++}`);
    for (const [name, text] of Object.entries(scripts)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const [first] = Object.keys(scripts);
    const script = `<script type="module" src="/${first}"></script>`;
    const icon = `<link rel="icon" href="data:,">`;
    await writeFile(join(folder, "index.html"), `<!doctype html>\n${icon}\n<div id="root"></div>\n${script}\n`);
    return folder;
  }

  /** The page, built by Vite; gives the folder with its files. */
  async built(scripts: Readonly<Record<string, string>>): Promise<string> {
    const root = await this.page(scripts);
    await build({ ...QUIET, root });
    return join(root, "dist");
  }

  /** The page on Vite's development server, which sees later changes too; gives its origin. */
  async served(root: string): Promise<string> {
    const server = await createServer({ ...QUIET, root, server: { port: 0 } });
    this.#servers.push(await server.listen());
    const address = server.httpServer?.address();
    if (typeof address !== "object" || address === null) throw new Error("Vite does not listen");
    return `http://localhost:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) await server.close();
  }
}
