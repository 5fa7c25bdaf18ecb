import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageConfig, parseImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { extract } from "tar-stream";
import { type Distribution, parseDistribution } from "../../examples/golden-platform/apt.ts";
import type { BuiltImage } from "../../examples/golden-platform/image.ts";

export const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
export const exampleBuildpack = join(examples, "golden-platform/buildpacks/node");

export interface LayerEntry {
  type: string;
  mode: number;
  uid: number;
  gid: number;
  linkname: string | undefined;
  content: string;
}

/** The entries of an image's first layer by name, in their order. */
export async function readLayer(image: BuiltImage): Promise<Map<string, LayerEntry>> {
  const entries = new Map<string, LayerEntry>();
  const tar = extract();
  tar.end(gunzipSync(readFileSync(image.layers[0]?.path ?? "")));
  for await (const entry of tar) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type, mode, uid, gid, linkname } = entry.header;
    entries.set(name.replace(/\/$/, ""), {
      type: type ?? "file",
      mode: (mode ?? 0) & 0o7777,
      uid: uid ?? -1,
      gid: gid ?? -1,
      linkname: linkname ?? undefined,
      content: Buffer.concat(chunks).toString("latin1"),
    });
  }
  return entries;
}

export function configOf(image: BuiltImage): ImageConfig {
  return parseImageConfig(image.config, "under test");
}

/** Writes the image as an OCI layout and returns its folder. */
export function writeLayout(image: BuiltImage, directory: string): string {
  const blobs = join(directory, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  for (const bytes of [image.config, image.manifest]) writeFileSync(join(blobs, digestHex(digestOf(bytes))), bytes);
  for (const layer of image.layers) copyFileSync(layer.path, join(blobs, digestHex(layer.digest)));
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const descriptor = { mediaType: image.mediaType, digest: image.digest, size: image.manifest.byteLength };
  writeFileSync(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  return directory;
}

export function hostDistribution(): Distribution {
  return parseDistribution(readFileSync("/etc/os-release", "utf8"));
}

/** An environment in which apt has the machine's sources and one more line. */
export function withSource(line: string, directory: string): NodeJS.ProcessEnv {
  const parts = join(directory, "sources.list.d");
  mkdirSync(parts, { recursive: true });
  const system = "/etc/apt/sources.list.d";
  if (existsSync(system)) for (const name of readdirSync(system)) copyFileSync(join(system, name), join(parts, name));
  writeFileSync(join(parts, "zz-more.list"), `${line}\n`);
  const config = join(directory, "apt.conf");
  writeFileSync(config, `Dir::Etc::sourceparts "${parts}";\n`);
  return { ...process.env, APT_CONFIG: config };
}

export interface Application {
  directory: string;
  layers: string;
}

/** A copy of the example service, changed as told, beside empty layers. */
export function copyApplication(target: string, change: (directory: string) => void = () => undefined): Application {
  const [directory, layers] = [join(target, "workspace"), join(target, "layers")];
  cpSync(join(examples, "apps/web"), directory, { recursive: true });
  mkdirSync(layers);
  change(directory);
  return { directory, layers };
}

/**
 * Starts a buildpack's program as the lifecycle does, with what it lets through of its environment and what npm needs
 * from the platform's.
 */
export function runBuildpack(
  program: "detect" | "build",
  app: Application,
  buildpack = exampleBuildpack,
  variables: Readonly<Record<string, string>> = {},
): { status: number | null; stdout: string; stderr: string } {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(?:PATH|HOME|NODE_EXTRA_CA_CERTS|npm_config_.*|(?:https?|no)_proxy)$/i.test(name),
  );
  return spawnSync(join(buildpack, "bin", program), [], {
    cwd: app.directory,
    encoding: "utf8",
    env: {
      ...Object.fromEntries(kept),
      ...variables,
      CNB_BUILDPACK_DIR: buildpack,
      CNB_LAYERS_DIR: app.layers,
      CNB_TARGET_OS: "linux",
      CNB_TARGET_ARCH: process.arch === "x64" ? "amd64" : process.arch,
    },
  });
}

/** Starts the built application with the layers' own node, and asks it for its page. */
export async function askForPage(app: Application): Promise<string> {
  const port = await freePort();
  const server = spawn(join(app.layers, "node/bin/node"), ["server.js"], {
    cwd: app.directory,
    env: { NODE_ENV: "production", HOST: "127.0.0.1", PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.stdout.on("data", (chunk: Buffer) => chunk.includes("Server listening") && resolve());
      server.once("exit", (code) => reject(new Error(`the application ended with code ${code}`)));
    });
    return await (await fetch(`http://127.0.0.1:${port}/`)).text();
  } finally {
    server.kill();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
