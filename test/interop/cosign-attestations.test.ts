import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { signStatement } from "@goldenpath/core/signing/schemes/key/sign";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { buildVerificationSummary } from "@goldenpath/core/signing/verification-summary";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { makeStageKeys, policyWith, type StageKey, type StageName } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const run = promisify(execFile);
const tools = useTools("cosign");
const password = "correct horse battery";

let directory: string;
let keys: Record<StageName, StageKey>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-cosign-"));
  keys = await makeStageKeys();
  for (const name of ["base", "scan", "promote"] as const)
    await writeFile(join(directory, `${name}.pub`), keys[name].publicKeyPem);
  await writeFile(
    join(directory, "signing-config.json"),
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}',
  );
  await writeFile(join(directory, "predicate.json"), '{"found":"something"}');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** In a home of its own, so that no login and no trust root of this machine has a part in it. */
async function cosign(...args: string[]): Promise<string> {
  const env = { HOME: directory, PATH: process.env["PATH"], COSIGN_PASSWORD: password };
  return (await run(tools.cosign, args, { cwd: directory, env, maxBuffer: 64 * 1024 * 1024 })).stdout;
}

/** The statements that cosign verified, from its output. */
async function verifyAttestation(
  key: string,
  type: string,
  image: string,
): Promise<{ predicateType: string; predicate: unknown }[]> {
  const output = await cosign("verify-attestation", "--key", key, "--insecure-ignore-tlog", "--type", type, image);
  return output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString("utf8")));
}

describe.each([
  ["with the referrers API", true],
  ["with the fallback tag", false],
])("cosign %s", (_name, referrers) => {
  let registry: EvidenceRegistry;
  let policy: LoadedPolicy;
  beforeAll(async () => {
    registry = await startEvidenceRegistry(referrers);
    policy = policyWith(keys, registry.server.host);
  });
  afterAll(() => registry.close());

  const nameOf = (repository: Repository, digest: Digest): string => `${formatRepository(repository)}@${digest}`;

  /** A finding and the verdict that rests on it, by scan; a finding by base. */
  async function attachAll(repository: Repository, image: Descriptor, children: Descriptor[]): Promise<void> {
    const target = { repository, image, children };
    const digests = children.map((child) => child.digest);
    const subjects = buildSubjects(repository, [image.digest, ...digests]);
    const now = new Date();
    const vulnerabilities = buildStatement(subjects, predicateTypes.vulnerabilities, {
      scanner: { uri: "pkg:generic/grype" },
    });
    const { bundle } = await attachStatement(registry.client, target, vulnerabilities, keys.scan.signer, now);
    const verdict = buildVerificationSummary({
      stage: "scan",
      image: { repository, digest: image.digest, children: digests },
      policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
      passed: true,
      violations: 0,
      excepted: 0,
      timeVerified: now,
      inputs: [{ digest: bundle.digest, uri: "pkg:oci/bundle" }],
      tools: [],
    });
    await attachStatement(registry.client, target, verdict, keys.scan.signer, now);
    await attachStatement(
      registry.client,
      target,
      statementAbout(repository, [image.digest, ...digests]),
      keys.base.signer,
      now,
    );
  }

  test("rejects our statements with another stage's key, of a type that is not there, and on another image", async () => {
    const { repository, image } = await registry.newImage();
    const other = await registry.newImage();
    await attachAll(repository, image, []);
    const name = nameOf(repository, image.digest);
    await expect(verifyAttestation("promote.pub", "vuln", name)).rejects.toThrow(/failed to verify signature/);
    await expect(verifyAttestation("base.pub", "vuln", name)).rejects.toThrow(/none of the attestations matched/);
    await expect(verifyAttestation("scan.pub", predicateTypes.base, name)).rejects.toThrow(
      /none of the attestations matched/,
    );
    await expect(verifyAttestation("scan.pub", "cyclonedx", name)).rejects.toThrow(/none of the attestations matched/);
    const replayed = await signStatement(
      statementAbout(repository, [image.digest], predicateTypes.vulnerabilities),
      keys.scan.signer,
    );
    await registry.pushReferrer(other.repository, other.image, replayed);
    const elsewhere = nameOf(other.repository, other.image.digest);
    await expect(verifyAttestation("scan.pub", "vuln", elsewhere)).rejects.toThrow(/no matching attestations/);
  });

  test("verifies our statements with their stage's key, on the index and on each child", async () => {
    const { repository, image, children } = await registry.newIndex();
    await attachAll(repository, image, children);
    for (const { digest } of [image, ...children]) {
      const name = nameOf(repository, digest);
      expect(await verifyAttestation("scan.pub", "vuln", name)).toMatchObject([
        { predicateType: predicateTypes.vulnerabilities },
      ]);
      expect(await verifyAttestation("scan.pub", predicateTypes.verificationSummary, name)).toMatchObject([
        { predicate: { verificationResult: "PASSED", verifiedLevels: ["GOLDENPATH_SCAN"] } },
      ]);
      expect(await verifyAttestation("base.pub", predicateTypes.base, name)).toMatchObject([
        { predicate: { found: "something" } },
      ]);
    }
  });

  test("'s own attestations are read, of version 0.1 of the statement, and are of whose key it is", async () => {
    const { repository, image } = await registry.newImage();
    await writeFile(join(directory, "scan.pem"), keys.scan.privateKeyPem, { mode: 0o600 });
    await rm(join(directory, "import-cosign.key"), { force: true });
    await rm(join(directory, "import-cosign.pub"), { force: true });
    await cosign("import-key-pair", "--key", "scan.pem", "--output-key-prefix", "import-cosign", "--yes");
    const name = nameOf(repository, image.digest);
    const attest = [
      "attest",
      "--key",
      "import-cosign.key",
      "--predicate",
      "predicate.json",
      "--signing-config",
      "signing-config.json",
    ];
    await cosign(...attest, "--type", predicateTypes.base, name);
    const { statements, rejected } = await collectEvidence(
      registry.client,
      repository,
      image.digest,
      policy.policy.signers,
      { now: new Date() },
    );
    expect(rejected).toEqual([]);
    expect(statements).toMatchObject([
      {
        signers: ["scan"],
        statement: {
          _type: "https://in-toto.io/Statement/v0.1",
          predicateType: predicateTypes.base,
          predicate: { found: "something" },
        },
      },
    ]);
    const { scan: _, ...others } = policy.policy.signers;
    expect(await collectEvidence(registry.client, repository, image.digest, others, { now: new Date() })).toMatchObject(
      {
        statements: [],
        rejected: [
          { reason: expect.stringContaining("not in this policy"), claimedPredicateType: predicateTypes.base },
        ],
      },
    );
  });

  test("'s own signatures are statements that no stage asks for", async () => {
    const { repository, image } = await registry.newImage();
    await rm(join(directory, "sig.key"), { force: true });
    await rm(join(directory, "sig.pub"), { force: true });
    await cosign("generate-key-pair", "--output-key-prefix", "sig");
    await cosign(
      "sign",
      "--key",
      "sig.key",
      "--signing-config",
      "signing-config.json",
      nameOf(repository, image.digest),
    );
    const signers = { theirs: { publicKey: await readFile(join(directory, "sig.pub"), "utf8") } };
    const { statements } = await collectEvidence(registry.client, repository, image.digest, signers, {
      now: new Date(),
    });
    expect(statements.map((each) => each.statement.predicateType)).toEqual(["https://sigstore.dev/cosign/sign/v1"]);
  });
});

describe("cosign's key files", () => {
  const context = (env: Record<string, string>) => ({ ports: silentPorts(), env, workingDirectory: directory });
  beforeAll(async () => {
    await cosign("generate-key-pair", "--output-key-prefix", "made");
  });

  test("are refused with another passphrase", async () => {
    await expect(loadSigner({ key: "made.key", passphrase: "wrong" }, context({}))).rejects.toThrow(
      "passphrase is wrong",
    );
    await expect(loadSigner({ key: "made.key" }, context({}))).rejects.toThrow("no passphrase was given");
  });

  test("are read as they are, and what they sign is verified by cosign", async () => {
    const signer = await loadSigner({ key: "made.key" }, context({ COSIGN_PASSWORD: password }));
    expect(signer.publicKeyPem).toBe(await readFile(join(directory, "made.pub"), "utf8"));
    const registry = await startEvidenceRegistry(true);
    try {
      const { repository, image } = await registry.newImage();
      const target = { repository, image, children: [] };
      await attachStatement(registry.client, target, statementAbout(repository, [image.digest]), signer, new Date());
      const name = `${formatRepository(repository)}@${image.digest}`;
      expect(await verifyAttestation("made.pub", predicateTypes.base, name)).toHaveLength(1);
    } finally {
      await registry.close();
    }
  });
});
