import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { formatStageResult, type StageResult } from "@goldenpath/core/result";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import {
  makeStageKeys,
  renderStageSigners,
  type StageKey,
  type StageName,
  stageNames,
} from "@goldenpath/testing/signers";
import { pushedLayers, pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, afterEach, beforeAll } from "vitest";
import { useTools } from "./tools.ts";

export let server: RegistryServer;
export let client: RegistryClient;
export let root: string;
let keys: Record<StageName, StageKey>;
export let policyBytes: Uint8Array;
export let base: TinyLayer;
let counter = 0;
/** Of repositories and files: never the same twice. */
export const nextNumber = (): number => ++counter;

/** A policy whose base is the one pushed here, and an environment for each set of stages that a test wants. */
const policyText = (baseDigest: Digest): string => `version: 1
name: acme
serial: 7
signers:
${renderStageSigners(keys)}bases:
  - name: golden
    image: ${server.host}/bases/golden
    digests: [${baseDigest}]
build:
  strategies: [buildpacks]
  isolation: [container]
  sources: ["https://github.com/acme/*"]
  builders:
    - name: node
      buildpacks: [${server.host}/buildpacks/node@${digestOf("buildpack")}]
      runImage: golden
scan:
  failOn: high
environments:
  built:
    from: [${server.host}/quarantine]
    to: [${server.host}/vetted]
    requires: [{ stage: build, signers: [build], maxAge: 1d }]
    promoter: promote
  production:
    from: [${server.host}/quarantine]
    to: [${server.host}/vetted]
    requires:
      - { stage: base, signers: [base] }
      - { stage: scan, signers: [scan], maxAge: 1d }
    promoter: promote
`;

let tools: Readonly<Partial<Record<"syft", string>>>;

/**
 * A registry, a policy with a key per stage, and the signing verbs on it, with the tools that they need: for one test
 * file.
 */
export function useSigningPath(...needed: "syft"[]): void {
  tools = useTools(...needed);
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "goldenpath-signing-"));
    await mkdir(join(root, "home"));
    keys = await makeStageKeys();
    server = await startRegistry();
    client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
    base = await tinyLayer({
      "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
      "var/lib/dpkg/status.d/libc6":
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\nMaintainer: D <d@debian.example>\nDescription: C\n",
    });
    const golden = await pushTinyImage(client, { registry: server.host, name: "bases/golden" }, [base]);
    policyBytes = new TextEncoder().encode(policyText(golden.digest));
    await writeFile(join(root, "policy.yaml"), policyBytes);
    for (const name of stageNames)
      await writeFile(join(root, `${name}.pem`), keys[name].privateKeyPem, { mode: 0o600 });
  });
  afterEach(() => {
    server.faults = [];
  });
  afterAll(async () => {
    await client.close();
    await server.close();
    await rm(root, { recursive: true, force: true });
  });
}

export interface Built {
  name: string;
  /** What `image` inputs take. */
  reference: string;
  digest: Digest;
  children: Descriptor[];
}

export async function newImage(lower: TinyLayer = base): Promise<Built> {
  const name = `quarantine/shop${nextNumber()}`;
  const layer = await tinyLayer({
    "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: `4.17.${counter}` }),
  });
  const image = await pushTinyImage(client, { registry: server.host, name }, [lower, layer]);
  return { name, reference: `${server.host}/${name}@${image.digest}`, digest: image.digest, children: [image] };
}

/** A result as the stage leaves it, about this image. */
export function resultOf(
  stage: "base" | "scan",
  image: Built,
  verdict: "pass" | "fail",
  change: Partial<StageResult> = {},
): StageResult {
  const policy = parsePolicy(policyBytes, "policy.yaml");
  return {
    schemaVersion: "1.0",
    stage,
    verdict,
    subject: {
      repository: `${server.host}/${image.name}`,
      digest: image.digest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      children: image.children.map(({ digest, mediaType }) => ({ digest, mediaType, verdict })),
    },
    violations:
      verdict === "pass" ? [] : [{ rule: `${stage}.rule`, thing: "x", problem: "is bad", wayOut: "make it good" }],
    predicateType: stage === "base" ? predicateTypes.base : predicateTypes.vulnerabilities,
    predicate:
      stage === "scan"
        ? { found: stage }
        : {
            found: stage,
            children: image.children.map(({ digest }) => ({ digest, layers: pushedLayers.get(digest) ?? [] })),
          },
    policy: { uri: "policy.yaml", digest: digestOf(policyBytes), serial: policy.serial },
    run: { builderId: "local" },
    tools: [{ name: "grype", version: "0.121.2" }],
    notes: [],
    startedAt: new Date(Date.now() - 2000).toISOString(),
    finishedAt: new Date(Date.now() - 1000).toISOString(),
    ...change,
  };
}

export async function writeResult(result: StageResult): Promise<string> {
  const file = join(root, `result-${nextNumber()}.json`);
  await writeFile(file, formatStageResult(result));
  return file;
}

export const workflowRun = {
  builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
  sourceRepository: "https://github.com/acme/shop",
  sourceCommit: "0123456789abcdef0123456789abcdef01234567",
  sourceRef: "refs/heads/main",
};

export function execute(
  verb: Verb,
  raw: Record<string, string>,
  run: Partial<typeof workflowRun> = workflowRun,
  variables: Readonly<Record<string, string>> = {},
): Promise<Execution> {
  const env = {
    ...variables,
    PATH: [...Object.values(tools).map((path) => dirname(path)), process.env["PATH"]].join(delimiter),
    HOME: join(root, "home"),
  };
  return executeVerb(
    verb,
    { policy: "policy.yaml", ...raw },
    {
      ports: silentPorts(),
      run: { builderId: "local", ...run },
      workingDirectory: root,
      temporaryRoot: join(root, "tmp"),
      defaultResultDirectory: join(root, "results"),
      env,
      signal: new AbortController().signal,
    },
  );
}

export const sign = (image: Built, raw: Record<string, string>, run?: Partial<typeof workflowRun>) =>
  execute(signVerb as Verb, { image: image.reference, ...raw }, run);
export const attest = (image: Built, raw: Record<string, string>, run?: Partial<typeof workflowRun>) =>
  execute(attestVerb as Verb, { image: image.reference, ...raw }, run);
export const verify = (image: Built, environment: string) =>
  execute(verifyVerb as Verb, { image: image.reference, environment });
export const rulesOf = ({ outcome }: Execution): string[] =>
  outcome.result.violations.map((violation) => violation.rule);
export const missingOf = ({ outcome }: Execution): unknown => JSON.parse(outcome.outputs["missing"] ?? "");
export const collect = (image: Built) =>
  collectEvidence(
    client,
    { registry: server.host, name: image.name },
    image.digest,
    parsePolicy(policyBytes, "policy.yaml").signers,
    { now: new Date() },
  );

export async function signStage(
  stage: "base" | "scan",
  image: Built,
  verdict: "pass" | "fail" = "pass",
  key: string = `${stage}.pem`,
): Promise<Execution> {
  return sign(image, { results: await writeResult(resultOf(stage, image, verdict)), key });
}
