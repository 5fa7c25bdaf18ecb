import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import {
  makeStageKeys,
  renderSigners,
  renderStageSigners,
  type StageKey,
  type StageName,
} from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyImageOptions, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll } from "vitest";
import { useTools } from "./tools.ts";

export const exampleDatabase = join(import.meta.dirname, "../../examples/vulnerability-data/grype-db");

export const debianRelease =
  'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n';
/** A package's part of dpkg's database, as dpkg and distroless write it. */
export const dpkgStanza = (name: string, version: string, source = name): string =>
  `Package: ${name}\nStatus: install ok installed\nSource: ${source}\nVersion: ${version}\nArchitecture: amd64\nMaintainer: Debian <d@debian.example>\nDescription: a package\n`;
/**
 * The database of the examples has CVE-2023-4911, high, for the first of these versions of libc6, and nothing for the
 * second.
 */
export const libcVersions = { vulnerable: "2.36-9+deb12u1", mended: "2.36-9+deb12u13" } as const;

export let registry: RegistryServer;
export let client: RegistryClient;
export let root = "";
export let keys: Record<StageName, StageKey>;
/** An approved base that nothing stands on. */
let otherBase = "";
let tools: Readonly<Partial<Record<string, string>>>;

/**
 * A registry and the scan and sign verbs on it, with real syft and grype: for one test file.
 * @param others further scanners' programs, by their names in the lock
 */
export function useScanWorld(...others: string[]): void {
  tools = useTools("syft", "grype", ...others);
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "goldenpath-scan-"));
    keys = await makeStageKeys();
    registry = await startRegistry();
    client = createRegistryClient({ ports: silentPorts(), env: {} });
    otherBase = (await pushImage([{ "etc/hostname": "other" }], { name: "bases/golden" })).descriptor.digest;
  });
  afterAll(async () => {
    await client?.close();
    await registry?.close();
    if (root !== "") await rm(root, { recursive: true, force: true });
  });
}

export const toolPath = (name: string): string => tools[name] ?? "";
export const grypePath = (): string => toolPath("grype");
export const syftPath = (): string => toolPath("syft");

/** Pushes an image of layers, each given by its files, and returns how it is named. */
export async function pushImage(
  layers: readonly (TinyLayer | Readonly<Record<string, string>>)[],
  { name = "quarantine/shop", ...options }: TinyImageOptions & { name?: string } = {},
): Promise<{ reference: string; descriptor: Descriptor }> {
  const made = await Promise.all(layers.map((layer) => ("diffId" in layer ? (layer as TinyLayer) : tinyLayer(layer))));
  const descriptor = await pushTinyImage(client, { registry: registry.host, name }, made, options);
  return { reference: `${registry.host}/${name}@${descriptor.digest}`, descriptor };
}

export interface WorldPolicy {
  /** Approved bases, by digest; one that nothing stands on, unless told. */
  bases?: readonly string[];
  /** Those of whom an approval of a base counts, by their names among `signers`; the policy's own list, unless told. */
  approvers?: readonly string[];
  /** What `scan` has, in YAML's flow style. */
  scan?: string;
  /** Who signs for stage build, in each of the environments. */
  buildSigners?: readonly StageName[][];
  /** Public keys (PEM) of further signers, by name. */
  signers?: Readonly<Record<string, string>>;
  /** A scan is required in each environment, of whom stage scan is. */
  scanIsRequired?: boolean;
  /** Further sections, in YAML. */
  more?: string;
}

/** A policy of this world, in a file's words. */
export function policyText({
  bases = [otherBase],
  approvers = [],
  scan = "failOn: high, databaseMaxAge: unlimited",
  buildSigners = [["build"]],
  signers: others = {},
  scanIsRequired = false,
  more = "",
}: WorldPolicy): string {
  return `version: 1
name: acme
serial: 7
signers:
${renderStageSigners(keys)}${renderSigners(others)}bases:
  - name: golden
    image: ${registry.host}/bases/golden
    digests: [${bases.join(", ")}]
${approvers.length === 0 ? "" : `    approval: { signers: [${approvers.join(", ")}] }\n`}build:
  strategies: [buildpacks]
  isolation: [container, host]
  sources: ["https://github.com/acme/*"]
  builders: [{ name: node, buildpacks: [${registry.host}/buildpacks/node@${digestOf("buildpack")}], runImage: golden }]
scan: { ${scan} }
environments:
${buildSigners
  .map(
    (signers, index) => `  production-${index}:
    from: [${registry.host}/quarantine]
    to: [${registry.host}/vetted]
    requires: [{ stage: build, signers: [${signers.join(", ")}] }${scanIsRequired ? ", { stage: scan, signers: [scan] }" : ""}]
    promoter: promote
`,
  )
  .join("")}${more}`;
}

interface Run {
  policy?: WorldPolicy;
  /** Inputs besides `policy` and `image`. */
  inputs?: Record<string, string>;
  env?: Record<string, string>;
  /** No policy is given. */
  noPolicy?: boolean;
  /** The time; this machine's unless told. */
  now?: Date;
}

async function runVerb(
  verb: Verb<never>,
  image: string,
  { policy = {}, inputs = {}, env = {}, noPolicy = false, now }: Run,
): Promise<VerbOutcome> {
  const directory = await mkdtemp(join(root, "run-"));
  await writeFile(join(directory, "policy.yaml"), policyText(policy));
  const path = [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter);
  const { outcome } = await executeVerb(
    verb,
    { ...(noPolicy ? {} : { policy: "policy.yaml" }), image, ...inputs },
    {
      ports: silentPorts(),
      run: { builderId: "local", sourceRepository: "https://github.com/acme/shop", sourceCommit: "c".repeat(40) },
      workingDirectory: directory,
      temporaryRoot: join(directory, "tmp"),
      defaultResultDirectory: join(directory, "results"),
      env: { ...process.env, PATH: path, HOME: root, ...env },
      signal: new AbortController().signal,
      ...(now === undefined ? {} : { now: () => now }),
    },
  );
  return outcome;
}

/** The scan verb, with the examples' database unless the inputs say otherwise (an empty `database`: none). */
export async function scan(image: string, run: Run = {}): Promise<VerbOutcome> {
  return runVerb(scanVerb as unknown as Verb<never>, image, {
    ...run,
    inputs: { database: exampleDatabase, ...run.inputs },
  });
}

/** The attest job: signs for stage build with the key of `signer`. */
export async function attest(image: string, run: Run & { signer?: StageName } = {}): Promise<VerbOutcome> {
  const { signer = "build" } = run;
  const key = join(root, `${signer}.pem`);
  await writeFile(key, keys[signer].privateKeyPem, { mode: 0o600 });
  return runVerb(attestVerb as unknown as Verb<never>, image, { ...run, inputs: { key, ...run.inputs } });
}

/** What a test compares: the verdict, and each violation's rule and thing. */
export function tell({ verdict, result }: VerbOutcome): { verdict: string; found: string[]; error?: string } {
  const { error } = result;
  return {
    verdict,
    found: result.violations.map(
      ({ rule, thing, platform }) => `${rule}: ${thing}${platform === undefined ? "" : ` (${platform})`}`,
    ),
    ...(error === undefined ? {} : { error: error.code }),
  };
}
