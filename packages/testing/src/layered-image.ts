import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { StageResult } from "@goldenpath/core/result";
import { generateKeyPair } from "@goldenpath/core/signing/keys";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageConfig, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { samplePolicyText } from "./policy.ts";

const database = join(import.meta.dirname, "../../../examples/vulnerability-data/grype-db");

/** A layer as a registry has it, and what the image's config says of it. */
export interface TestLayer {
  bytes: Uint8Array;
  mediaType: string;
  diffId: Digest;
  annotations?: Record<string, string>;
  urls?: string[];
  /** False: the registry does not have it. */
  isPushed?: boolean;
}

export const layerTypes = {
  tar: mediaTypes.ociLayerTar,
  gzip: mediaTypes.ociLayerTarGzip,
  zstd: `${mediaTypes.ociLayerTar}+zstd`,
};

export function plainLayer(tar: Uint8Array): TestLayer {
  return { bytes: tar, mediaType: layerTypes.tar, diffId: digestOf(tar) };
}

export function gzipLayer(tar: Uint8Array): TestLayer {
  return { bytes: gzipSync(tar), mediaType: layerTypes.gzip, diffId: digestOf(tar) };
}

/** What a stage said of an image, in short. */
export interface Said {
  verdict: string;
  rules: string[];
  problems: string[];
  /** Of an error. */
  code: string | undefined;
  result: StageResult;
}

/** A registry with one approved base, and the two stages that look at layers. */
export interface LayerStand {
  server: RegistryServer;
  client: RegistryClient;
  directory: string;
  /** Pushes an image of these layers. */
  push(layers: readonly TestLayer[], name?: string, said?: Pick<ImageConfig, "config" | "history">): Promise<string>;
  /** Approves an image of the registry as the one base from now on: `HOST/NAME@sha256:…`. */
  approveImage(image: string, mayChange?: readonly string[], more?: string): Promise<void>;
  /** Pushes and approves a base of these layers. @param more sections of the policy, in YAML */
  approve(layers: readonly TestLayer[], mayChange?: readonly string[], more?: string): Promise<void>;
  enforce(image: string): Promise<Said>;
  /** With the tools in these places. */
  scan(image: string, tools: Readonly<Record<"syft" | "grype", string>>): Promise<Said>;
  stop(): Promise<void>;
}

export async function startLayerStand(): Promise<LayerStand> {
  const server = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-layers-"));
  const push: LayerStand["push"] = (layers, name = "quarantine/shop", said = {}) =>
    pushLayers(client, `${server.host}/${name}`, layers, said);
  const approveImage = (image: string, mayChange?: readonly string[], more = ""): Promise<void> =>
    writeFile(join(directory, policyName), `${approvingPolicy(image, mayChange).trimEnd()}\n${more}`);
  return {
    server,
    client,
    directory,
    push,
    approveImage,
    async approve(layers, mayChange, more) {
      await approveImage(await push(layers, "bases/golden"), mayChange, more);
    },
    enforce: (image) => runVerb(directory, enforceVerb as Verb, image, {}, {}),
    scan(image, { syft, grype }) {
      const path = [dirname(syft), dirname(grype), process.env["PATH"]].join(delimiter);
      return runVerb(directory, scanVerb as Verb, image, { database }, { ...process.env, PATH: path, HOME: directory });
    },
    async stop() {
      await client.close();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const policyName = "policy.yaml";

async function pushLayers(
  client: RegistryClient,
  name: string,
  layers: readonly TestLayer[],
  said: Pick<ImageConfig, "config" | "history">,
): Promise<string> {
  const repository = parseRepository(name);
  const put = async (bytes: Uint8Array, mediaType: string, isPushed = true) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
    if (isPushed) await client.pushBlob(repository, descriptor, () => bytes);
    return descriptor;
  };
  const config = {
    os: "linux",
    architecture: "amd64",
    config: {},
    ...said,
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const described = [];
  for (const { bytes, mediaType, isPushed, annotations, urls } of layers) {
    const more = { ...(annotations === undefined ? {} : { annotations }), ...(urls === undefined ? {} : { urls }) };
    described.push({ ...(await put(bytes, mediaType, isPushed)), ...more });
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await put(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig),
    layers: described,
  };
  const digest = await client.pushManifest(repository, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
  return `${name}@${digest}`;
}

/** The sample policy, with an image as its one base. */
function approvingPolicy(image: string, mayChange: readonly string[] | undefined): string {
  const [repository = "", digest = ""] = image.split("@");
  const may = mayChange === undefined ? "" : `    mayChange: ${JSON.stringify(mayChange)}\n`;
  const bases = `bases:\n  - name: golden\n    image: ${repository}\n    digests: [${digest}]\n${may}`;
  return samplePolicyText
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, bases)
    .replace(/^exceptions:\n[\s\S]*?(?=^environments:)/m, "")
    .replaceAll(/ {6}-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g, () =>
      generateKeyPair().publicKeyPem.trim().replaceAll(/^/gm, "      "),
    )
    .replace("runImage: golden-run", "runImage: golden")
    .replace("failOn: high", "failOn: critical\n  databaseMaxAge: unlimited");
}

/** In the stand's directory, which has its policy. */
async function runVerb(
  directory: string,
  verb: Verb,
  image: string,
  raw: Record<string, string>,
  env: Record<string, string | undefined>,
): Promise<Said> {
  const { outcome } = await executeVerb(
    verb,
    { policy: join(directory, policyName), image, ...raw },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: directory,
      defaultResultDirectory: join(directory, "results"),
      env,
      signal: new AbortController().signal,
    },
  );
  const { result } = outcome;
  return {
    verdict: outcome.verdict,
    rules: result.violations.map(({ rule }) => rule),
    problems: result.violations.map(({ problem }) => problem),
    code: result.error?.code,
    result,
  };
}
