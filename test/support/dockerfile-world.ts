import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { type RunFacts, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll } from "vitest";
import { debianRelease, dpkgStanza, libcVersions } from "./scan-world.ts";
import { shellLayer } from "./shell-base.ts";
import { requireCommand, requireTool, useTools } from "./tools.ts";

/** What a policy for Dockerfiles may have besides the usual, in YAML. */
export interface DockerfilePolicy {
  /** Of the builder, in flow style, each line with its comma: `images: […],`. */
  builder?: string;
  /** Which of the two strategies; `dockerfile`, unless told. */
  strategy?: "dockerfile" | "kaniko";
  until?: string;
  /** The digest of another base in the golden one's repository. */
  base?: string;
  /** `none`, unless told. */
  cache?: "unverified" | "verified";
}

export interface DockerfileWorld {
  root: string;
  host: string;
  server: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  base: string;
  /** Of the base, by digest. */
  baseDigest: string;
  /** A repository with a compiler in it that the policy lists, and its tag. */
  compiler: string;
  /** One that no policy lists. */
  stranger: string;
  /** What runs say of themselves besides the usual. */
  facts: Partial<RunFacts>;
  writePolicy(parts?: DockerfilePolicy): Promise<{ file: string; text: string }>;
  /** An application's folder. */
  writeApp(files: Readonly<Record<string, string>>): Promise<string>;
  /** What the log has so far, of the run that is on its way. */
  logged(): string;
  run(
    verb: unknown,
    policy: { file: string },
    inputs: Record<string, string>,
    env?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Ended>;
  build(
    policy: { file: string },
    context: string,
    inputs?: Record<string, string>,
    env?: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<Ended>;
}

export interface Ended extends Execution {
  log: string;
}

/** A registry with an approved base, a compiler and a stranger's image, and the real BuildKit: for one test file. */
export function useDockerfileWorld(...more: ("syft" | "grype" | "kaniko")[]): DockerfileWorld {
  const tools = useTools("buildkitd", "buildctl", ...more);
  const world = { facts: {} } as DockerfileWorld;
  let counter = 0;
  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    await requireCommand("runc", suite);
    for (const name of ["buildkitd", "buildctl"]) await requireTool(name, suite);
    const root = await mkdtemp(join(tmpdir(), "goldenpath-dockerfile-"));
    const server = await startRegistry();
    const client = createRegistryClient({ ports: silentPorts(), env: {} });
    const programs = ["dash", "cat", "cp", "id", "ls", "curl", "chmod"] as const;
    const push = async (name: string, files: Record<string, string>, tag: string): Promise<string> => {
      const layer = await shellLayer([...programs], files);
      const { digest } = await pushTinyImage(client, { registry: server.host, name }, [layer], { tag });
      return digest;
    };
    const baseDigest = await push(
      "bases/golden",
      {
        "etc/os-release": debianRelease,
        "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc"),
      },
      "latest",
    );
    await push("tools/compiler", { "etc/compiler": "1" }, "1");
    await push("strangers/image", { "etc/stranger": "1" }, "1");
    Object.assign(world, {
      ...{ root, server, client, baseDigest, host: server.host, keys: await makeKeys(root) },
      base: `${server.host}/bases/golden`,
      compiler: `${server.host}/tools/compiler:1`,
      stranger: `${server.host}/strangers/image:1`,
    });
  });
  afterAll(async () => {
    await world.client?.close();
    await world.server?.close();
    if (world.root !== undefined) await rm(world.root, { recursive: true, force: true });
  });
  world.writePolicy = async (parts = {}) => {
    const text = renderPolicy(world, parts);
    const file = join(world.root, `policy-${++counter}.yaml`);
    await writeFile(file, text);
    return { file, text };
  };
  world.writeApp = async (files) => {
    const folder = join(world.root, `app-${++counter}`);
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    return folder;
  };
  world.run = async (verb, policy, inputs, more = {}, signal = new AbortController().signal) => {
    const lines: string[] = [];
    world.logged = () => lines.join("\n");
    const say = (message: string): void => void lines.push(message);
    const ports = { ...silentPorts(), log: { debug: say, info: say, notice: say, warning: say, error: say } };
    const path = [...Object.values(tools).map((tool) => dirname(tool)), process.env["PATH"]].join(delimiter);
    const ended = await executeVerb(
      verb as Verb,
      { policy: policy.file, ...inputs },
      {
        ports,
        run: {
          builderId: "local",
          sourceRepository: "https://github.com/acme/shop",
          sourceCommit: "c".repeat(40),
          sourceRef: "refs/heads/main",
          ...world.facts,
        },
        workingDirectory: world.root,
        temporaryRoot: join(world.root, "tmp"),
        defaultResultDirectory: join(world.root, `results-${++counter}`),
        env: { ...process.env, PATH: path, HOME: world.root, ...more },
        signal,
      },
    );
    return { ...ended, log: lines.join("\n") };
  };
  world.build = (policy, context, inputs = {}, env = {}) =>
    world.run(buildVerb, policy, { context, tags: `${world.host}/quarantine/app-${++counter}:1`, ...inputs }, env);
  return world;
}

function renderPolicy({ keys, base, baseDigest, host }: DockerfileWorld, parts: DockerfilePolicy): string {
  const { builder = `images: ["${host}/tools/compiler"],`, until, strategy = "dockerfile", cache = "none" } = parts;
  const digest = parts.base ?? baseDigest;
  const signers = Object.fromEntries(
    (["build", "base", "scan", "promote"] as const).map((name) => [name, keys[name].publicKey]),
  );
  const ends = until === undefined ? "" : `, until: ${until}`;
  return `version: 1
name: acme
serial: 7
signers:
${renderSigners(signers)}bases:
  - { name: golden, image: ${base}, digests: ["${digest}"]${ends} }
build:
  strategies: [${strategy}]
  isolation: [${strategy === "kaniko" ? "host" : "container"}]
  sources: ["https://github.com/acme/*"]
  cache: ${cache}
  builders:
    - { kind: ${strategy}, ${builder} name: files }
scan: { failOn: high, databaseMaxAge: unlimited }
environments:
  production:
    from: ["${host}/quarantine"]
    to: ["${host}/vetted"]
    promoter: promote
    requires:
      - { stage: build, signers: [build], maxAge: 1d }
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
`;
}
