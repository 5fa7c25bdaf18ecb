import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { buildGoldenBase } from "../../examples/golden-platform/base.ts";
import { buildBuilder } from "../../examples/golden-platform/builder.ts";
import { pushImage } from "../../examples/golden-platform/image.ts";
import { buildLanguage, type Language } from "../../examples/golden-platform/languages.ts";
import { type Docker, startDockerd } from "./dockerd.ts";
import { exampleDatabase } from "./scan-world.ts";

/** The example platform with a builder for each language, a registry, and a Docker daemon that runs what is built. */
export interface LanguageWorld {
  registry: RegistryServer;
  client: RegistryClient;
  docker: Docker;
  /** Its policy's text. */
  policy: string;
  /** The build verb on a folder, by the language's builder; without one by the builder image. `env` is what a user gives by the input of that name, `more` are inputs besides. */
  build(
    folder: string,
    language: Language | undefined,
    env?: Record<string, string>,
    more?: Record<string, string>,
  ): Promise<VerbOutcome & { log: string[] }>;
  /** Attest, enforce, scan, sign, verify, promote: what each said, and the promoted image. */
  takeAlong(image: string): Promise<{ said: string[]; promoted: string }>;
  close(): Promise<void>;
}

/** Kept from one run to the next, as the tests' tools are. */
const platformDirectory = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "goldenpath/platform");

/**
 * What the platform has: a builder for each of these languages, of its buildpack by digest; or one builder image with
 * all of them in it.
 */
type Builders = readonly Language[] | "image";

interface Programs {
  tools: readonly string[];
  dockerd: string;
  docker: string;
}

/** Buildpacks that applications may bring, each pushed to the world's registry, by digest. */
type Allowed = (client: RegistryClient, host: string) => Promise<readonly string[]>;

export async function openLanguageWorld(
  builders: Builders,
  programs: Programs,
  allowed: Allowed = () => Promise.resolve([]),
): Promise<LanguageWorld> {
  const root = await mkdtemp(join(tmpdir(), "goldenpath-languages-"));
  const registry = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const keys = await makeKeys(root);
  const buildpacks = await allowed(client, registry.host);
  const policy = await writePolicy(root, builders, { registry, client, keys, buildpacks });
  await putInForce(client, `${registry.host}/vetted`, policy, { keys });
  const docker = await startDockerd(programs);
  const path = [...programs.tools.map((tool) => dirname(tool)), process.env["PATH"]].join(delimiter);
  const run = (verb: unknown, inputs: Record<string, string>, log: string[] = []) =>
    runVerb(verb as Verb, { policy: policy.uri, ...inputs }, { root, path, log });
  return {
    registry,
    client,
    docker,
    policy: policy.text,
    build: async (folder, language, env = {}, more = {}) => {
      const log: string[] = [];
      const name = basename(folder).replace(/[^a-z0-9._-]/g, "-");
      const inputs = {
        context: folder,
        builder: language ?? "all",
        tags: `${registry.host}/quarantine/${name}:1`,
        env: Object.entries(env)
          .map(([key, value]) => `${key}=${value}`)
          .join("\n"),
        ...more,
      };
      return { ...(await run(buildVerb, inputs, log)), log };
    },
    takeAlong: (image) => takeAlong(image, { registry, keys, run }),
    close: async () => {
      await docker.stop();
      await client.close();
      await registry.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

type Run = (verb: unknown, inputs: Record<string, string>) => Promise<VerbOutcome & { file: string }>;

async function takeAlong(
  image: string,
  { registry, keys, run }: { registry: RegistryServer; keys: TestKeys; run: Run },
) {
  const said: string[] = [];
  const tell = (name: string, { verdict, result }: VerbOutcome): void => {
    const why = [result.error?.message, ...result.violations.map(({ problem }) => problem)].filter(Boolean);
    said.push([`${name}: ${verdict}`, ...why].join(" "));
  };
  tell("attest", await run(attestVerb, { image, key: keys.build.file }));
  for (const [stage, verb, inputs] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const outcome = await run(verb, { image, ...inputs });
    tell(stage, outcome);
    tell("sign", await run(signVerb, { image, results: outcome.file, key: keys[stage].file }));
  }
  tell("verify", await run(verifyVerb, { image, environment: "production" }));
  const name = image.slice(image.lastIndexOf("/") + 1, image.indexOf("@"));
  const promotion = await run(promoteVerb, {
    image,
    to: `${registry.host}/vetted/${name}`,
    tags: "1.0.0",
    environment: "production",
    key: keys.promote.file,
    "policy-signer": keys.platform.publicKeyFile,
  });
  tell("promote", promotion);
  return { said, promoted: promotion.outputs["image"] ?? "" };
}

interface Where {
  registry: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  /** That the builder image's applications may bring. */
  buildpacks: readonly string[];
}

async function writePolicy(root: string, builders: Builders, { registry, client, keys, buildpacks }: Where) {
  const options = { outputDirectory: platformDirectory, ports: silentPorts(), env: process.env };
  const push = async (name: string, image: Parameters<typeof pushImage>[2]) => {
    const repository = parseRepository(`${registry.host}/platform/${name}`);
    return { repository: `${registry.host}/platform/${name}`, digest: await pushImage(client, repository, image) };
  };
  const base = await push("base", await buildGoldenBase(options));
  const lines: string[] = [];
  if (builders === "image") {
    const { repository, digest } = await push("builder", await buildBuilder(options));
    const allowed = buildpacks.length === 0 ? "" : `, allowBuildpacks: ${JSON.stringify(buildpacks)}`;
    lines.push(`    - { name: all, image: ${repository}, digests: ["${digest}"], runImage: golden${allowed} }\n`);
  } else {
    for (const language of builders) {
      const { repository, digest } = await push(language, await buildLanguage(language, options));
      lines.push(`    - { name: ${language}, buildpacks: ["${repository}@${digest}"], runImage: golden }\n`);
    }
  }
  const signers = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((stage) => [stage, keys[stage].publicKey]),
  );
  const text = `version: 1
name: acme
serial: 1
signers:
${renderSigners(signers)}bases:
  - { name: golden, image: ${base.repository}, digests: ["${base.digest}"] }
build:
  strategies: [buildpacks]
  isolation: [${builders === "image" ? "container" : "host"}]
  sources: ["https://github.com/acme/*"]
  builders:
${lines.join("")}scan: { failOn: high, databaseMaxAge: unlimited }
environments:
  production:
    from: ["${registry.host}/quarantine"]
    to: ["${registry.host}/vetted"]
    promoter: promote
    requires:
      - { stage: build, signers: [build], maxAge: 1d }
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
`;
  const file = join(root, "policy.yaml");
  await writeFile(file, text);
  const bytes = Buffer.from(text);
  return { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes), file, text };
}

let counter = 0;

async function runVerb(
  verb: Verb,
  inputs: Record<string, string>,
  { root, path, log }: { root: string; path: string; log: string[] },
): Promise<VerbOutcome & { file: string }> {
  const write = (message: string): void => void log.push(message);
  const ports: Ports = {
    ...silentPorts(),
    log: { debug: () => undefined, info: write, notice: write, warning: write, error: write },
  };
  const temporaryRoot = join(root, "tmp");
  await mkdir(temporaryRoot, { recursive: true });
  const { outcome, resultFile } = await executeVerb(verb, inputs, {
    ports,
    run: {
      builderId: "local",
      sourceRepository: "https://github.com/acme/shop",
      sourceCommit: "c".repeat(40),
      sourceRef: "refs/heads/main",
    },
    workingDirectory: root,
    temporaryRoot,
    defaultResultDirectory: join(root, `results-${++counter}`),
    env: { ...process.env, PATH: path, HOME: root },
    signal: new AbortController().signal,
  });
  return { ...outcome, file: resultFile };
}
