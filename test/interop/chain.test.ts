import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { Stage } from "@goldenpath/core/stages";
import { stageVerifierId } from "@goldenpath/core/stages";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { reportVerb } from "@goldenpath/core/verbs/report";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  activatePlatformPolicy,
  buildPlatformImages,
  installPlatform,
  type Platform,
  type PlatformImages,
} from "../../examples/golden-platform/platform.ts";
import { startDockerd } from "../support/dockerd.ts";
import { startDistribution, startEmbedded, startOlareg, type TestServer } from "../support/servers.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// The chain with real parts at every point: Debian's packages as the base, the lifecycle with the example's buildpack,
// syft and grype, keys as cosign reads them; and cosign, crane and Docker to say whether what came out is what it
// should be.
const examples = fileURLToPath(new URL("../../examples/", import.meta.url));
const database = join(examples, "vulnerability-data/grype-db");
const tools = useTools("lifecycle", "launcher", "syft", "grype", "crane", "cosign", "olareg");

let directory: string;
let images: PlatformImages;
let env: NodeJS.ProcessEnv;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const program of ["apt-get", "dpkg-deb", "docker-registry"]) await requireCommand(program, suite);
  directory = await mkdtemp(join(tmpdir(), "goldenpath-chain-"));
  env = { ...process.env, DOCKER_CONFIG: join(directory, "docker") };
  images = await buildPlatformImages({ directory, ports: silentPorts(), env });
});
afterAll(async () => {
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

interface Where {
  start(): Promise<TestServer>;
  /**
   * Pull the promoted image with Docker, too: what Docker does not look at is how a registry keeps referrers, so one of
   * them is enough.
   */
  withDocker?: boolean;
}

describe.each<[string, Where]>([
  [
    "CNCF distribution, without a referrers API",
    { start: async () => startDistribution(await requireCommand("docker-registry")), withDocker: true },
  ],
  ["olareg, with it", { start: () => startOlareg(tools.olareg) }],
  ["the embedded registry", { start: startEmbedded }],
])("%s", (_name, { start, withDocker = false }) => {
  let server: TestServer;
  let client: RegistryClient;
  let platform: Platform;
  let own: string;
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  async function run(verb: Verb, inputs: Readonly<Record<string, string>>): Promise<Execution> {
    return executeVerb(
      verb,
      { policy: platform.policy, ...inputs },
      {
        ports: silentPorts(),
        run: {
          builderId: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/chain.yml@refs/heads/main",
          sourceRepository: "https://github.com/goldenpath-ci/goldenpath",
          sourceCommit: "c".repeat(40),
          sourceRef: "refs/heads/main",
        },
        workingDirectory: examples,
        temporaryRoot: own,
        defaultResultDirectory: join(own, "results"),
        env,
        signal: new AbortController().signal,
      },
    );
  }

  async function pass(verb: Verb, inputs: Readonly<Record<string, string>>): Promise<Execution> {
    const execution = await run(verb, inputs);
    const { outcome } = execution;
    expect({ verdict: outcome.verdict, error: outcome.result.error, violations: outcome.result.violations }).toEqual({
      verdict: "pass",
      error: undefined,
      violations: [],
    });
    return execution;
  }

  const call = (program: "crane" | "cosign", ...args: string[]) =>
    runProcess(tools[program], args, { env: { ...env, COSIGN_PASSWORD: "" }, timeoutMs: 60_000 });
  const digestBy = async (reference: string): Promise<string> =>
    (await call("crane", "digest", reference)).stdout.trim();

  /** What cosign accepts of a type, by a stage's key: the statements; none where it refuses. */
  async function verified(
    image: string,
    type: string,
    stage: Stage,
  ): Promise<{ subject: unknown[]; predicateType: string; predicate: Record<string, unknown> }[]> {
    const { exitCode, stdout, stderr } = await call(
      "cosign",
      ...[
        "verify-attestation",
        "--key",
        platform.keys[stage].publicKeyFile,
        "--insecure-ignore-tlog",
        "--type",
        type,
        image,
      ],
    );
    if (exitCode !== 0) {
      // A refusal, and not a machine without this or that.
      expect(stderr).toMatch(/no matching attestations|none of the attestations matched/);
      return [];
    }
    const envelopes = stdout.split("\n").filter((line) => line.startsWith("{"));
    return envelopes.map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString()));
  }

  let quarantine: string;
  let digest: Digest;
  let early: Execution;
  let promoted: string;
  const promotion = (): Record<string, string> => ({
    image: quarantine,
    to: `${server.host}/vetted/web`,
    tags: "1.0.0",
    environment: "production",
    "policy-signer": platform.keys.policy.publicKeyFile,
    key: platform.keys.promote.file,
  });

  // The whole path; the tests ask what it left.
  beforeAll(async () => {
    server = await start();
    client = createRegistryClient({ ports: silentPorts(), env });
    own = await mkdtemp(join(directory, "registry-"));
    platform = await installPlatform(images, {
      directory: own,
      registry: server.host,
      client,
      ports: silentPorts(),
      env,
    });
    await activatePlatformPolicy(platform, `${server.host}/vetted`, { client, ports: silentPorts(), env });
    const built = await pass(buildVerb, { context: "apps/web", tags: `${server.host}/quarantine/web:candidate` });
    quarantine = built.outcome.outputs["image"] ?? "";
    digest = parseReference(quarantine).digest ?? expect.unreachable("a build without a digest");
    await pass(attestVerb, { image: quarantine, key: platform.keys.build.file });
    const base = await pass(enforceVerb, { image: quarantine });
    expect(base.outcome.outputs["base"]).toBe(platform.base);
    await pass(signVerb, { image: quarantine, results: base.resultFile, key: platform.keys.base.file });
    const scan = await pass(scanVerb, { image: quarantine, database });

    early = await run(promoteVerb, promotion());
    expect((await call("crane", "ls", `${server.host}/vetted/web`)).stdout.trim()).toBe("");
    expect((await call("crane", "manifest", `${server.host}/vetted/web@${digest}`)).exitCode).not.toBe(0);

    await pass(signVerb, { image: quarantine, results: scan.resultFile, key: platform.keys.scan.file });
    const verify = await pass(verifyVerb, { image: quarantine, environment: "production" });
    expect(JSON.parse(verify.outcome.outputs["missing"] ?? "")).toEqual([]);
    promoted = (await pass(promoteVerb, promotion())).outcome.outputs["image"] ?? "";
  });

  test("nothing was promoted while a stage was missing", () => {
    expect(early.outcome.verdict).toBe("fail");
    expect(early.outcome.result.violations.map(({ rule, thing }) => `${rule}: ${thing}`)).toEqual([
      `gate.missing: scan of ${digest}`,
    ]);
  });

  test("what was promoted is what was built", () => {
    expect(promoted).toBe(`${server.host}/vetted/web@${digest}`);
  });

  test("crane gives the same digest in quarantine and in vetted, by tag and by digest, and finds the image whole", async () => {
    for (const reference of [
      quarantine,
      `${server.host}/quarantine/web:candidate`,
      promoted,
      `${server.host}/vetted/web:1.0.0`,
    ]) {
      expect(await digestBy(reference)).toBe(digest);
    }
    expect(await call("crane", "validate", "--remote", promoted)).toMatchObject({ exitCode: 0 });
  });

  test.each<[string, string, Stage, Stage]>([
    ["build's provenance", predicateTypes.provenance, "build", "scan"],
    ["build's SBOM", predicateTypes.cyclonedx, "build", "base"],
    ["base's finding", predicateTypes.base, "base", "build"],
    ["scan's finding", predicateTypes.vulnerabilities, "scan", "promote"],
  ])(
    "cosign verifies %s on the promoted image with that stage's key, and rejects it with another's",
    async (_what, type, stage, other) => {
      expect(await verified(promoted, type, other)).toEqual([]);
      const statements = await verified(promoted, type, stage);
      expect(statements.length).toBeGreaterThan(0);
      for (const statement of statements) {
        expect(statement.predicateType).toBe(type);
        expect(statement.subject).toContainEqual(expect.objectContaining({ digest: { sha256: digestHex(digest) } }));
      }
    },
  );

  test("cosign verifies each stage's verdict with its own key, and none of them with another's", async () => {
    expect(await verified(promoted, predicateTypes.verificationSummary, "build")).toEqual([]);
    for (const stage of ["base", "scan", "promote"] as const) {
      const verdicts = await verified(promoted, predicateTypes.verificationSummary, stage);
      expect(verdicts.map(({ predicate }) => [predicate["verifier"], predicate["verificationResult"]])).toEqual([
        [expect.objectContaining({ id: stageVerifierId(stage) }), "PASSED"],
      ]);
    }
  });

  test("the second promotion finds everything there", async () => {
    const again = await pass(promoteVerb, promotion());
    expect(again.outcome.result.notes).toEqual(
      expect.arrayContaining([
        "0 blobs mounted, 0 blobs and 0 manifests copied, 0 bytes sent",
        "the promotion was signed before",
      ]),
    );
  });

  test("the report shows each stage of the promoted image's chain, by its signer", async () => {
    const { outcome } = await pass(reportVerb, { image: promoted });
    for (const stage of ["build", "base", "scan", "promote"]) expect(outcome.summary).toContain(stage);
    expect(outcome.summary).not.toContain("missing");
  });

  if (!withDocker) return;
  test("dockerd pulls the promoted image by its digest, and the container answers", async () => {
    const docker = await startDockerd({
      dockerd: await requireCommand("dockerd"),
      docker: await requireCommand("docker"),
    });
    try {
      await docker.docker("pull", promoted);
      expect(JSON.parse(await docker.docker("inspect", "--format", "{{json .RepoDigests}}", promoted))).toEqual([
        promoted,
      ]);
      const { status, text } = await docker.askForPage(promoted);
      expect(status).toBe(200);
      expect(text).toContain("Hello, world");
    } finally {
      await docker.stop();
    }
  });
});
