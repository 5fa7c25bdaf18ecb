import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, parseRepository, type Reference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { extract, type Header, pack } from "tar-stream";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";

export type TarEntry = Partial<Header> & { name: string; content?: string };

export async function makeTar(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) archive.entry({ mtime: new Date(0), ...header }, content ?? "");
  archive.finalize();
  return buffer(archive as AsyncIterable<unknown> as AsyncIterable<Uint8Array>);
}

export interface ImageParts {
  layers: readonly Buffer[];
  labels?: Record<string, string>;
  env?: readonly string[];
  platform?: { os: string; architecture: string };
}

const hostArchitecture = process.arch === "x64" ? "amd64" : process.arch;

/** Pushes an image made of these tars → its digest. */
export async function pushImage(client: RegistryClient, repository: string, parts: ImageParts): Promise<Digest> {
  const target = parseRepository(repository);
  const push = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await client.pushBlob(target, descriptor, () => bytes);
    return descriptor;
  };
  const layers: Descriptor[] = [];
  for (const layer of parts.layers) layers.push(await push(gzipSync(layer), mediaTypes.ociLayerTarGzip));
  const config = {
    ...(parts.platform ?? { os: "linux", architecture: hostArchitecture }),
    config: { User: "1000:1000", Labels: parts.labels ?? {}, ...(parts.env === undefined ? {} : { Env: parts.env }) },
    rootfs: { type: "layers", diff_ids: parts.layers.map((layer) => digestOf(layer)) },
    history: parts.layers.map(() => ({ created_by: "test" })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await push(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig),
    layers,
  };
  return client.pushManifest(target, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
}

export interface BuildpackParts {
  id: string;
  version?: string;
  detect?: string;
  build?: string;
  /** Instead of the scripts: its files, in its folder, by name. */
  files?: readonly TarEntry[];
}

/** A buildpack of two shell scripts, as an image in the buildpackage format. */
export async function pushBuildpack(
  client: RegistryClient,
  repository: string,
  parts: BuildpackParts,
): Promise<string> {
  const version = parts.version ?? "1.0.0";
  const root = `cnb/buildpacks/${parts.id.replaceAll("/", "_")}/${version}`;
  const toml = `api = "0.11"\n[buildpack]\nid = "${parts.id}"\nversion = "${version}"\nsbom-formats = ["application/vnd.cyclonedx+json"]\n[[targets]]\nos = "linux"\n`;
  const script = (body: string): string => `#!/bin/sh\nset -eu\n${body}\n`;
  const layer = await makeTar([
    { name: "cnb", type: "directory" },
    { name: "cnb/buildpacks", type: "directory" },
    ...(
      parts.files ?? [
        { name: "buildpack.toml", content: toml },
        { name: "bin/detect", mode: 0o755, content: script(parts.detect ?? "exit 0") },
        { name: "bin/build", mode: 0o755, content: script(parts.build ?? "exit 0") },
      ]
    ).map((entry) => ({ ...entry, name: `${root}/${entry.name}` })),
  ]);
  const labels = {
    "io.buildpacks.buildpackage.metadata": JSON.stringify({ id: parts.id, version }),
    "io.buildpacks.buildpack.layers": JSON.stringify({
      [parts.id]: { [version]: { api: "0.11", layerDiffID: digestOf(layer) } },
    }),
  };
  return `${repository}@${await pushImage(client, repository, { layers: [layer], labels })}`;
}

export function connect(env: Record<string, string> = {}): RegistryClient {
  return createRegistryClient({ ports: silentPorts(), env });
}

export interface PolicyParts {
  host: string;
  runImage: string;
  buildpacks: readonly string[];
  /** Instead of one of those buildpacks. */
  builder?: string;
  environments?: string;
  until?: string;
}

export function renderPolicy({ host, runImage, buildpacks, builder, environments, until }: PolicyParts): string {
  const { digest, registry, name } = parseReference(runImage);
  return `version: 1
name: test
serial: 1
signers:
  promote:
    publicKey: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAF
      -----END PUBLIC KEY-----
bases:
  - name: golden
    image: ${registry}/${name}
    digests: ["sha256:${"0".repeat(64)}", "${digest}"]${until === undefined ? "" : `\n    until: ${until}`}
build:
  strategies: [buildpacks]
  isolation: [${environments ?? "host"}]
  sources: ["https://github.com/acme/*"]
  builders:
    ${builder ?? `- name: shell\n      buildpacks: [${buildpacks.join(", ")}]\n      runImage: golden`}
scan:
  failOn: high
environments:
  production:
    from: [${host}/quarantine]
    to: [${host}/vetted]
    requires:
      - stage: build
        signers: [promote]
    promoter: promote
`;
}

/** A folder that every user can read and write, with the tools in `bin`; a test's own root may be private. */
export function makePlayground(tools: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-build-"));
  chmodSync(directory, 0o755);
  for (const name of ["bin", "app", "results", "tmp"]) {
    mkdirSync(join(directory, name));
    chmodSync(join(directory, name), 0o777);
  }
  for (const [name, path] of Object.entries(tools)) {
    copyFileSync(path, join(directory, "bin", name));
    chmodSync(join(directory, "bin", name), 0o755);
  }
  return directory;
}

export function writeFiles(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

/** Runs the verb as {@link BuildRunRequest} says, in a process with just this environment. */
export async function runBuild(
  playground: string,
  request: Partial<BuildRunRequest>,
  env: Record<string, string> = {},
  /** A program that starts the process, with its arguments. */
  launcher: readonly string[] = [],
): Promise<BuildRunAnswer> {
  const full: BuildRunRequest = {
    inputs: {},
    workingDirectory: playground,
    temporaryRoot: join(playground, "tmp"),
    resultDirectory: join(playground, "results"),
    ...request,
  };
  const script = fileURLToPath(new URL("build-run.ts", import.meta.url));
  const [program = "", ...args] = [...launcher, process.execPath, "--conditions=goldenpath-source", script];
  const { stdout } = await runChecked(program, args, {
    env: { PATH: `${join(playground, "bin")}:/usr/local/bin:/usr/bin:/bin`, HOME: join(playground, "tmp"), ...env },
    input: JSON.stringify(full),
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

export interface LayerFile {
  path: string;
  mode: number;
  uid: number;
  type: string;
  link: string;
  content: string;
}

/** Everything in an image's layers, by path without a leading slash; the uppermost one counts. */
export async function readImage(client: RegistryClient, image: string): Promise<Map<string, LayerFile>> {
  const reference: Reference = parseReference(image);
  const facts = await fetchImageFacts(client, reference);
  const files = new Map<string, LayerFile>();
  for (const layer of facts.children[0]?.manifest.layers ?? []) {
    const archive = extract();
    archive.end(gunzipSync(await client.fetchBlob(reference, layer)));
    for await (const entry of archive) {
      const { name, mode, uid, type, linkname } = entry.header;
      const path = name.replace(/^\//, "").replace(/\/$/, "");
      const content = (await buffer(entry as AsyncIterable<unknown> as AsyncIterable<Uint8Array>)).toString("utf8");
      files.set(path, { path, mode, uid, type, link: linkname, content });
    }
  }
  return files;
}

export function removePlayground(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Needs app.txt; leaves a launch layer, what it saw of its surroundings, a process and an SBOM. */
export const shellBuildpack = {
  id: "test/shell",
  detect: 'test -f app.txt || { echo "there is no app.txt"; exit 100; }',
  build: `
mkdir -p "$CNB_LAYERS_DIR/stuff"
cp app.txt "$CNB_LAYERS_DIR/stuff/copied.txt"
# Where its plan is has a random name: what a buildpack leaves must not depend on it.
env | grep -v CNB_BP_PLAN_PATH | sort > "$CNB_LAYERS_DIR/stuff/env.txt"
id -u > "$CNB_LAYERS_DIR/stuff/uid.txt"
echo changed > app.txt
printf '[types]\\nlaunch = true\\n' > "$CNB_LAYERS_DIR/stuff.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["cat", "app.txt"]\\ndefault = true\\n' > "$CNB_LAYERS_DIR/launch.toml"
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"left-pad","version":"1.0.0","purl":"pkg:npm/left-pad@1.0.0"}]}' > "$CNB_LAYERS_DIR/launch.sbom.cdx.json"
echo "::set-output name=image::evil ##[error]evil"`,
};
