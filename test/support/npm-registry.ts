import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

/** A package of one version, as package.json describes it. */
export interface NpmPackage {
  name: string;
  os?: string[];
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  /** Their files are in its tarball. */
  bundleDependencies?: string[];
  /** It is known, and its tarball can't be had. */
  gone?: true;
}

/** In a thread of its own, so that it answers while a test waits for a process. */
const server = `
const { createServer } = require("node:http");
const { parentPort, workerData } = require("node:worker_threads");
const server = createServer((request, response) => {
  const path = decodeURIComponent(request.url);
  const answer = workerData.answers[path];
  if (answer === undefined) return response.writeHead(404).end();
  if (typeof answer !== "string") return response.writeHead(200).end(Buffer.from(answer));
  response.writeHead(200, { "content-type": "application/json" }).end(answer.replaceAll("REGISTRY", "http://localhost:" + server.address().port));
});
server.listen(0, "localhost", () => parentPort.postMessage(server.address().port));
`;

export interface NpmRegistry {
  url: string;
  close(): Promise<number>;
}

/** A registry of packages `1.0.0`, packed by tar below `directory`. */
export async function startNpmRegistry(directory: string, packages: readonly NpmPackage[]): Promise<NpmRegistry> {
  const answers: Record<string, string | Uint8Array> = {};
  for (const { gone, ...described } of packages) {
    const manifest = { ...described, version: "1.0.0" };
    const bytes = pack(join(directory, described.name.replace("/", "-")), manifest);
    const tarball = `/${described.name}.tgz`;
    if (gone !== true) answers[tarball] = bytes;
    const dist = {
      tarball: `REGISTRY${tarball}`,
      integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
    };
    answers[`/${described.name}`] = JSON.stringify({
      name: described.name,
      "dist-tags": { latest: "1.0.0" },
      versions: { "1.0.0": { ...manifest, dist } },
    });
  }
  const worker = new Worker(server, { eval: true, workerData: { answers } });
  const port = await new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject));
  return { url: `http://localhost:${port}/`, close: () => worker.terminate() };
}

function pack(directory: string, manifest: NpmPackage & { version: string }): Uint8Array {
  const write = (at: string, content: object): void => {
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, "package.json"), JSON.stringify(content));
  };
  write(join(directory, "package"), manifest);
  for (const name of manifest.bundleDependencies ?? []) {
    write(join(directory, "package/node_modules", name), { name, version: "1.0.0" });
  }
  execFileSync("tar", ["-czf", "out.tgz", "package"], { cwd: directory });
  return readFileSync(join(directory, "out.tgz"));
}
