import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { isKnownError, type SourcePlace } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { expect } from "vitest";
import { debianRelease, dpkgStanza, exampleDatabase, libcVersions } from "./scan-world.ts";

export interface PathPolicy {
  file: string;
  text: string;
  digest: string;
}

export interface PathRun extends VerbOutcome {
  /** The result's. */
  file: string;
  log: string[];
  places: readonly SourcePlace[];
}

/** What of a policy a test chooses. */
export interface PathPolicyParts {
  /** In YAML's flow: `jib, buildpacks`. */
  strategies: string;
  /** Lines of `build.builders`, with their indentation. */
  builders: string;
  environments?: string;
  /** Signers besides those of the stages: name → public key. */
  signers?: Readonly<Record<string, string>>;
  /** Lines of `build.sources`, with their indentation, instead of all of acme's. */
  sources?: string;
}

/** A registry, keys, a golden base, and every verb of the path on them: for the strategies' end-to-end tests. */
export interface PathWorld {
  server: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  /** Goes with the world; verbs run in it. */
  root: string;
  /** `HOST/bases/golden@sha256:…` */
  base: string;
  writePolicy(parts: PathPolicyParts): Promise<PathPolicy>;
  run(verb: unknown, policy: { file: string }, inputs: Record<string, string>, signal?: AbortSignal): Promise<PathRun>;
  build(policy: { file: string }, inputs: Record<string, string>, signal?: AbortSignal): Promise<PathRun>;
  attest(policy: { file: string }, image: string, inputs?: Record<string, string>): Promise<PathRun>;
  /** Judges by the stages after the build, promotes to `vetted/NAME` (default: shop), and expects each to pass. */
  takeTheRest(policy: PathPolicy, image: string, strategy?: string, name?: string): Promise<void>;
  /** What the gate says of the image. */
  verify(policy: { file: string }, image: string): Promise<PathRun>;
  /** The `buildDefinition` of the image's one provenance; of the one by a signer, where others have stated some. */
  provenanceOf(policy: PathPolicy, image: string, signer?: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const passed = { verdict: "pass", rules: [] };
export const tell = ({ verdict, result }: VerbOutcome) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code }),
});

/** A base with a distribution and a package, so that a scan sees something. */
export const goldenLayer = (): Promise<TinyLayer> =>
  tinyLayer({
    "etc/os-release": debianRelease,
    "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
  });

export interface PathWorldOptions {
  /** Programs by their names, which go into PATH. */
  tools: Readonly<Partial<Record<string, string>>>;
  /** Of the base. */
  layers?: readonly TinyLayer[];
  /** Of its config. */
  config?: Readonly<Record<string, unknown>>;
  env?: Readonly<Record<string, string>>;
}

export async function openPathWorld({ tools, layers, config = {}, env = {} }: PathWorldOptions): Promise<PathWorld> {
  const root = await mkdtemp(join(tmpdir(), "goldenpath-path-"));
  const keys = await makeKeys(root);
  const server = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const repository = { registry: server.host, name: "bases/golden" };
  const { digest } = await pushTinyImage(client, repository, layers ?? [await goldenLayer()], { config });
  const programs = Object.values(tools).flatMap((tool) => (tool === undefined ? [] : [dirname(tool)]));
  const path = [...programs, process.env["PATH"]].join(delimiter);
  let counter = 0;

  const run: PathWorld["run"] = async (verb, policy, inputs, signal = new AbortController().signal) => {
    const log: string[] = [];
    const write = (message: string): void => void log.push(message);
    const ports = { ...silentPorts(), log: { debug: write, info: write, notice: write, warning: write, error: write } };
    const execution = await executeVerb(
      verb as Verb,
      { policy: policy.file, ...inputs },
      {
        ports,
        run: {
          builderId: "local",
          sourceRepository: "https://github.com/acme/shop",
          sourceCommit: "c".repeat(40),
          sourceRef: "refs/heads/main",
        },
        workingDirectory: root,
        temporaryRoot: join(root, "tmp"),
        defaultResultDirectory: join(root, `results-${++counter}`),
        env: { ...process.env, PATH: path, HOME: root, ...env },
        signal,
      },
    );
    const { outcome, resultFile, error } = execution;
    if (error !== undefined && !isKnownError(error)) log.push(error instanceof Error ? `${error.stack}` : "");
    return { ...outcome, file: resultFile, log, places: isKnownError(error) ? error.places : [] };
  };

  const world: PathWorld = {
    ...{ server, client, keys, root, run, base: `${server.host}/bases/golden@${digest}` },
    async writePolicy({ environments = "host", signers = {}, sources = anyOfAcme, ...parts }) {
      const text = renderPolicy(world, { ...parts, environments, signers, sources });
      const file = join(root, `policy-${++counter}.yaml`);
      await writeFile(file, text);
      return { file, text, digest: digestOf(text) };
    },
    build: (policy, inputs, signal) =>
      run(buildVerb, policy, { tags: `${server.host}/quarantine/shop-${++counter}:1`, ...inputs }, signal),
    attest: (policy, image, inputs = {}) => run(attestVerb, policy, { image, key: keys.build.file, ...inputs }),
    verify: (policy, image) => run(verifyVerb, policy, { image, environment: "production" }),
    takeTheRest: (policy, image, strategy, name) => takeTheRest(world, policy, image, strategy, name),
    async provenanceOf(policy, image, signer) {
      const { registry, name, digest: of } = parseReference(image);
      if (of === undefined) throw new TypeError("an image by its digest");
      const { signers } = parsePolicy(Buffer.from(policy.text), "policy.yaml");
      const { statements } = await collectEvidence(client, { registry, name }, of, signers, { now: new Date() });
      const found = statements.filter(
        ({ statement, signers: by }) =>
          statement.predicateType === predicateTypes.provenance && (signer === undefined || by.includes(signer)),
      );
      expect(found).toHaveLength(1);
      return found[0]?.statement.predicate["buildDefinition"] as Record<string, unknown>;
    },
    async close() {
      await client.close();
      await server.close();
      await rm(root, { recursive: true, force: true });
    },
  };
  return world;
}

const anyOfAcme = "    - https://github.com/acme/*\n";

function renderPolicy({ keys, base, server }: PathWorld, parts: Required<PathPolicyParts>): string {
  const stageSigners = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((name) => [name, keys[name].publicKey]),
  );
  const [image = "", digest = ""] = base.split("@");
  return `version: 1
name: acme
serial: 7
signers:
${renderSigners({ ...stageSigners, ...parts.signers })}bases:
  - { name: golden, image: ${image}, digests: ["${digest}"] }
build:
  strategies: [${parts.strategies}]
  isolation: [${parts.environments}]
  sources:
${parts.sources}  builders:
${parts.builders}scan: { failOn: high, databaseMaxAge: unlimited }
environments:
  production:
    from: ["${server.host}/quarantine"]
    to: ["${server.host}/vetted"]
    promoter: promote
    requires:
      - { stage: build, signers: [build], maxAge: 1d }
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
`;
}

async function takeTheRest(
  world: PathWorld,
  policy: PathPolicy,
  image: string,
  strategy: string | undefined,
  name = "shop",
): Promise<void> {
  const { run, keys, client, server, verify, attest } = world;
  expect(tell(await attest(policy, image, strategy === undefined ? {} : { strategy }))).toEqual(passed);
  expect(tell(await verify(policy, image))).toEqual({ verdict: "fail", rules: ["gate.missing", "gate.missing"] });
  for (const [stage, verb, inputs] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const outcome = await run(verb, policy, { image, ...inputs });
    expect(tell(outcome), stage).toEqual(passed);
    expect(tell(await run(signVerb, policy, { image, results: outcome.file, key: keys[stage].file }))).toEqual(passed);
  }
  expect(tell(await verify(policy, image))).toEqual(passed);
  const loaded = { ...policy, uri: policy.file, policy: parsePolicy(Buffer.from(policy.text), policy.file) };
  await putInForce(client, `${server.host}/vetted`, loaded as Parameters<typeof putInForce>[2], { keys });
  const promotion = await run(promoteVerb, policy, {
    ...{ image, to: `${server.host}/vetted/${name}`, tags: "1.0.0", environment: "production" },
    ...{ key: keys.promote.file, "policy-signer": keys.platform.publicKeyFile },
  });
  expect(tell(promotion)).toEqual(passed);
  expect(tell(await verify(policy, promotion.outputs["image"] ?? ""))).toEqual(passed);
}
