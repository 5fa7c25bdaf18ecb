import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { findOrigin } from "@goldenpath/core/origin/judge-origin";
import { describe, expect, test } from "vitest";
import { collectPublished } from "../support/published-bundle.ts";

// Attestations that GitHub's own service made for public repositories: vectors/README.md says whose they are.

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

const collect = (bundle: string, change: Partial<typeof signer> = {}) =>
  collectPublished(bundle, `trustedRoot: '${publicRoot}'`, { ...signer, ...change });

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
    expect(statement).toMatchObject({ signers: ["base"], time: new Date(1716578064_000) });
    const rule = {
      signers: ["base"],
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
