import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { findOrigin } from "@goldenpath/core/origin/judge-origin";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { withBundles } from "@goldenpath/core/signing/bundles-beside";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { readClaim } from "@goldenpath/core/signing/sigstore";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";

// Attestations that GitHub's own service made for public repositories: vectors/README.md says whose they are. What they
// are about is no image, so a client that knows nothing else stands in for the registry; nothing else does.

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, "vectors/github-attestations.json"), "utf8"),
) as Readonly<Record<"reusable-workflow-attestation" | "custom-issuer", string>>;
const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("@sigstore/tuf/seeds.json"), "utf8"));
const publicRoot = JSON.stringify(
  JSON.parse(Buffer.from(seeds["https://tuf-repo-cdn.sigstore.dev"].targets["trusted_root.json"], "base64").toString()),
);

const signer = {
  workflow: "https://github.com/github/artifact-attestations-workflows/.github/workflows/attest.yml",
  at: "09b495c3f12c7881b3cc17209a327792065c1a1d",
  ownerId: "16248153",
  repositories: "https://github.com/malancas/*",
};

/** What a bundle counts for under a policy whose one signer is such a workflow. */
async function collect(bundle: string, change: Partial<typeof signer> = {}) {
  const { workflow, at, ownerId, repositories } = { ...signer, ...change };
  const text = `version: 1
name: acme
serial: 1
sigstore:
  public: { trustedRoot: '${publicRoot}' }
signers:
  vendor:
    kind: keyless
    sigstore: public
    workflow: ${workflow}
    at: ["${at}"]
    ownerId: "${ownerId}"
    repositories: ["${repositories}"]
`;
  const bytes = Buffer.from(bundle);
  const { predicateType, subject: subjects } = readClaim(bytes);
  const subject = `sha256:${subjects[0]?.digest["sha256"]}` as Digest;
  const nothing = {
    listReferrers: async () => [],
    fetchManifest: async () => ({ kind: "image", mediaType: "x/y", bytes: new Uint8Array(1), manifest: {} }),
  };
  const source = async (asked: Digest) => (asked === subject ? [{ bytes, predicateType }] : []);
  const client = withBundles(nothing as unknown as RegistryClient, source, new Date());
  const repository = { registry: "registry.test", name: "shop" };
  const { signers } = parsePolicy(Buffer.from(text), "policy.yaml");
  return { subject, evidence: await collectEvidence(client, repository, subject, signers, { now: new Date() }) };
}

const real = vectors["reusable-workflow-attestation"];

describe("an attestation of GitHub's by a reusable workflow", () => {
  test.each<[string, Partial<typeof signer>, RegExp]>([
    ["another commit of it", { at: "0".repeat(40) }, /the workflow was .*, and 0{40} counts/],
    ["another file", { workflow: signer.workflow.replace("attest.yml", "other.yml") }, /not by a version of/],
    ["another owner", { ownerId: "1" }, /owner with the ID 16248153, and not 1/],
    ["other repositories", { repositories: "https://github.com/acme/*" }, /it ran for .*attest-demo, and not for/],
  ])("counts for nothing where the policy names %s", async (_what, change, says) => {
    const { evidence } = await collect(real, change);
    expect(evidence.statements).toEqual([]);
    expect(evidence.rejected).toMatchObject([{ reason: expect.stringMatching(says) }]);
  });

  test.each([
    ["signature", (text: string) => text.replace('"sig":"MEYCIQDr', '"sig":"MEYCIQDs')],
    ["entry's time", (text: string) => text.replace('"1716578064"', '"1716578065"')],
    ["entry's place", (text: string) => text.replace('"logIndex":"92601054"', '"logIndex":"92601053"')],
  ])("with another %s counts for nothing", async (_what, spoil) => {
    const spoilt = spoil(real);
    expect(spoilt).not.toBe(real);
    const { evidence } = await collect(spoilt);
    expect(evidence).toMatchObject({ statements: [], rejected: [{ reason: expect.stringMatching(/does not hold/) }] });
  });

  test("of another issuer's counts for nothing", async () => {
    const { evidence } = await collect(vectors["custom-issuer"], {
      workflow: "https://github.com/too-legit/attest/.github/workflows/integration.yml",
      ownerId: "180348046",
      repositories: "https://github.com/too-legit/*",
    });
    expect(evidence).toMatchObject({
      statements: [],
      rejected: [{ reason: expect.stringMatching(/its issuer is https:\/\/\S+\/hammer-time/) }],
    });
  });

  test("counts where the policy names that workflow, and says of which source the artifact is", async () => {
    const { subject, evidence } = await collect(real);
    expect(evidence.rejected).toEqual([]);
    const [statement] = evidence.statements;
    expect(statement).toMatchObject({ signers: ["vendor"], time: new Date(1716578064_000) });
    const rule = {
      signers: ["vendor"],
      builders: ["https://github.com/actions/runner/github-hosted"],
      buildTypes: ["https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"],
    };
    const view = { digest: subject, children: [subject], statements: evidence.statements, now: new Date() };
    const ask = (provenance: typeof rule) => findOrigin(view as never, [{ name: "github", provenance }]);
    const elsewhere = ask({ ...rule, builders: ["https://github.com/acme/builder/.github/workflows/build.yml@*"] });
    expect(elsewhere).toMatchObject({ objections: [{ problem: expect.stringContaining("github-hosted, and") }] });
    expect(ask({ ...rule, buildTypes: ["https://example.com/other"] })).toHaveProperty("objections");
    expect(ask(rule)).toMatchObject({
      builders: ["github"],
      source: {
        repository: "https://github.com/malancas/attest-demo",
        version: "95baf27389e83e6a5c48f42e190d48d7abcea19e",
        ref: "refs/heads/main",
        event: "workflow_dispatch",
      },
    });
  });
});
