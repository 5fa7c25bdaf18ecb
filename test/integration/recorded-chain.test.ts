import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildpacks, listBuildpacks } from "@goldenpath/core/build/strategies/buildpacks";
import { ownPolicy } from "@goldenpath/core/build/strategies/find";
import { runGate } from "@goldenpath/core/gate/verify";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { buildPointerStatement, findPointerRepository, planActivation } from "@goldenpath/core/policy/pointer";
import { fetchPointer, parsePolicySigners } from "@goldenpath/core/policy/pointer-artifact";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { createPointerReader } from "@goldenpath/core/promote/in-force";
import { preparePromotion } from "@goldenpath/core/promote/promote";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildProvenance } from "@goldenpath/core/signing/provenance";
import { encodeStatement } from "@goldenpath/core/signing/statement";
import type { Statement, VerifiedStatement } from "@goldenpath/core/signing/types";
import {
  buildVerificationSummary,
  readVerificationSummary,
  summaryVerifierId,
} from "@goldenpath/core/signing/verification-summary";
import type { Stage } from "@goldenpath/core/stages";
import { stageVerifierId } from "@goldenpath/core/stages";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { connect } from "@goldenpath/testing/promotion";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { pushLayout, recordedAt, recordedHost, recordedPolicyUri, relocate } from "../support/recorded-chain.ts";

// Evidence outlives the code that made it: a chain that an earlier version recorded counts with this one, and the same
// facts give the same statements.

const directory = join(import.meta.dirname, "../fixtures/recorded-chain");
const digest: Digest = "sha256:02b4fc4d8ddbc1ec927e7dee94e8276f51dd06ee699a92375f8268711e32ad38";
const [quarantine, vetted] = [
  parseReference(`${recordedHost}/quarantine/shop@${digest}`),
  parseReference(`${recordedHost}/vetted/shop@${digest}`),
];

let policy: LoadedPolicy;
let platform: string;
let server: RegistryServer;
let client: RegistryClient;

beforeAll(async () => {
  const bytes = await readFile(join(directory, "policy.yaml"));
  policy = { policy: parsePolicy(bytes, "policy.yaml"), uri: recordedPolicyUri, digest: digestOf(bytes) };
  platform = await readFile(join(directory, "platform.pub"), "utf8");
});
async function open(): Promise<void> {
  server = await startRegistry();
  client = relocate(connect(), server.host);
}
async function close(): Promise<void> {
  await client.close();
  await server.close();
}

const prepare = () =>
  preparePromotion(
    client,
    {
      image: quarantine,
      to: parseRepository(`${recordedHost}/vetted/shop`),
      tags: ["1.0.0"],
      environmentName: "production",
      policy,
      pointers: createPointerReader(client, policy, platform),
    },
    {
      ports: silentPorts(),
      run: { builderId: "a test" },
      workingDirectory: directory,
      temporaryDirectory: directory,
      env: {},
      signal: new AbortController().signal,
      now: () => recordedAt,
    },
  );

describe("a recorded chain with one byte changed is refused", () => {
  beforeEach(open);
  afterEach(close);

  interface BundleJson {
    dsseEnvelope: { payload: string; signatures: { sig: string }[] };
  }
  /** Base64 with one letter of what it says changed. */
  const changeText = (text: string): string =>
    Buffer.from(Buffer.from(text, "base64").toString("utf8").replace("shop", "shap")).toString("base64");
  const changeByte = (text: string): string =>
    Buffer.from(Buffer.from(text, "base64").map((byte, at) => (at === 40 ? byte ^ 1 : byte))).toString("base64");
  const changed = (bytes: Buffer, change: (json: BundleJson) => void): Buffer => {
    const json = JSON.parse(bytes.toString("utf8")) as BundleJson;
    change(json);
    return Buffer.from(JSON.stringify(json));
  };

  describe.each<[string, (json: BundleJson) => void]>([
    [
      "the payload",
      ({ dsseEnvelope }) => {
        dsseEnvelope.payload = changeText(dsseEnvelope.payload);
      },
    ],
    [
      "the signature",
      ({ dsseEnvelope }) => {
        for (const each of dsseEnvelope.signatures) each.sig = changeByte(each.sig);
      },
    ],
  ])("in %s", (_where, change) => {
    test.each<[string, string]>([
      ["provenance", predicateTypes.provenance],
      ["SBOM", predicateTypes.cyclonedx],
      ["base", predicateTypes.base],
      ["scan", predicateTypes.vulnerabilities],
      ["a stage's verdict", predicateTypes.verificationSummary],
    ])("of %s", async (_what, type) => {
      await pushLayout(directory, client, (bytes, { mediaType }) =>
        mediaType === mediaTypes.sigstoreBundle && predicateTypeOf(bytes) === type ? changed(bytes, change) : bytes,
      );
      const { violations, prepared } = await prepare();
      expect([...new Set(violations.map((each) => each.rule))]).toEqual(["gate.signer"]);
      expect(prepared).toBeUndefined();
      const promoted = await runGate(client, vetted, "running", policy, recordedAt);
      expect(promoted.verdict).toBe(
        type === predicateTypes.verificationSummary || type === predicateTypes.vulnerabilities ? "fail" : "pass",
      );
    });
  });

  test("in the policy", async () => {
    await pushLayout(directory, client);
    const changed = { ...policy, digest: digestOf("another") };
    expect((await runGate(client, quarantine, "production", changed, recordedAt)).verdict).toBe("fail");
  });

  test("and, whole, a week later", async () => {
    await pushLayout(directory, client);
    const later = new Date(recordedAt.getTime() + 8 * 86_400_000);
    expect((await runGate(client, quarantine, "production", policy, later)).verdict).toBe("fail");
  });
});

describe("a recorded chain", () => {
  beforeAll(async () => {
    await open();
    await pushLayout(directory, client);
  });
  afterAll(close);

  test("passes the gate where it was made, and is there whole where it was promoted to", async () => {
    const { violations, prepared } = await prepare();
    expect(violations).toEqual([]);
    expect(prepared?.plan.manifests.map(({ action }) => action)).not.toContain("copy");
    expect(prepared?.plan).toMatchObject({ leftBehind: [], tags: [{ tag: "1.0.0", action: "unchanged" }] });
  });

  test("passes the gate that asks for the promotion", async () => {
    expect(await runGate(client, vetted, "running", policy, recordedAt)).toMatchObject({
      verdict: "pass",
      violations: [],
    });
  });

  describe("has the statements, byte for byte, that the same facts give now", () => {
    const statements = async (): Promise<VerifiedStatement[]> => {
      const { evidence } = await runGate(client, vetted, "running", policy, recordedAt);
      return evidence.get(digest)?.statements ?? [];
    };
    const recorded = async ({ bundle }: VerifiedStatement): Promise<string> =>
      payloadOf(Buffer.from(await client.fetchBlob(vetted, bundle))).toString();
    const children = (statement: Statement): Digest[] =>
      statement.subject.slice(1).map((subject) => `sha256:${subject.digest["sha256"]}` as Digest);

    test.each<Stage>(["base", "scan", "promote"])("the verdict of %s", async (stage) => {
      const found = (await statements()).find(
        ({ statement }) => summaryVerifierId(statement) === stageVerifierId(stage),
      );
      if (found === undefined) return expect.unreachable();
      const summary = readVerificationSummary(found.statement);
      if ("problem" in summary) return expect.unreachable(summary.problem);
      const inputs = found.statement.predicate["inputAttestations"] as { uri: string; digest: { sha256: string } }[];
      const repository = stage === "promote" ? vetted : quarantine;
      const made = buildVerificationSummary({
        stage,
        image: {
          repository: { registry: repository.registry, name: repository.name },
          digest,
          children: children(found.statement),
        },
        policy: { uri: policy.uri, digest: policy.digest, serial: 5 },
        passed: true,
        violations: 0,
        excepted: 0,
        ...(stage === "promote" ? { environment: "production" } : {}),
        timeVerified: summary.timeVerified,
        inputs: inputs.map((input) => ({ uri: input.uri, digest: `sha256:${input.digest.sha256}` as Digest })),
        tools: [],
      });
      expect(Buffer.from(encodeStatement(made)).toString()).toBe(await recorded(found));
    });

    test("what the build was made from", async () => {
      const found = (await statements()).find(({ statement }) => statement.predicateType === predicateTypes.provenance);
      if (found === undefined) return expect.unreachable();
      const time = new Date(recordedAt.getTime() - 60_000);
      const made = buildProvenance({
        image: {
          repository: { registry: quarantine.registry, name: quarantine.name },
          digest,
          children: children(found.statement),
        },
        source: { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/main" },
        buildEnvironment: "host",
        buildType: buildpacks.buildType,
        builders: policy.policy.build.builders,
        bases: [],
        materials: listBuildpacks(ownPolicy(policy.policy, buildpacks).builders),
        policy: { uri: policy.uri, digest: policy.digest, serial: 5 },
        builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
        startedOn: time,
        finishedOn: time,
      });
      expect(Buffer.from(encodeStatement(made)).toString()).toBe(await recorded(found));
    });

    test("which policy is in force", async () => {
      const where = findPointerRepository(vetted);
      const { manifest, pointer } = await fetchPointer(client, where, parsePolicySigners(platform));
      const data = manifest.kind === "image" ? manifest.manifest.layers[0]?.data : undefined;
      const made = planActivation({
        repository: where,
        aliases: [],
        current: undefined,
        next: policy,
        artifact: pointer.artifact,
        revoke: [],
        isFirst: true,
        now: recordedAt,
      });
      if (made === undefined) return expect.unreachable();
      expect(Buffer.from(encodeStatement(buildPointerStatement(made))).toString()).toBe(
        payloadOf(Buffer.from(data ?? "", "base64")).toString(),
      );
    });

    test("every statement that was read, written again", async () => {
      const all = await statements();
      expect(all).toHaveLength(7);
      for (const each of all)
        expect(Buffer.from(encodeStatement(each.statement)).toString()).toBe(await recorded(each));
    });
  });
});

function payloadOf(bundle: Buffer): Buffer {
  const { dsseEnvelope } = JSON.parse(bundle.toString("utf8")) as { dsseEnvelope: { payload: string } };
  return Buffer.from(dsseEnvelope.payload, "base64");
}

function predicateTypeOf(bundle: Buffer): string {
  return (JSON.parse(payloadOf(bundle).toString("utf8")) as Statement).predicateType;
}
