import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { openCertified, verifyCertified } from "@goldenpath/core/signing/certified-bundle";
import { openWithCertificate } from "@goldenpath/core/signing/sigstore";
import { readTrust } from "@goldenpath/core/signing/sigstore-instance";
import { readEmbeddedRoot } from "@goldenpath/core/signing/trust-roots/embedded";
import { describe, expect, test } from "vitest";
import { collectPublished } from "../support/published-bundle.ts";

// The trusted roots that goldenpath brings, held to what their instances have signed for others: vectors/README.md says
// whose that is.

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, "vectors/github-attestations.json"), "utf8"),
) as Readonly<Record<"reusable-workflow-attestation" | "private-repository" | "release", string>>;

test("the public instance's is the one that the field's own TUF client ships", () => {
  const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("@sigstore/tuf/seeds.json"), "utf8"));
  const target = seeds["https://tuf-repo-cdn.sigstore.dev"].targets["trusted_root.json"] as string;
  expect(JSON.parse(readEmbeddedRoot("public"))).toEqual(JSON.parse(Buffer.from(target, "base64").toString("utf8")));
});

const privateSigner = {
  workflow: "https://github.com/github/artifact-attestations-opa-provider/.github/workflows/docker.yaml",
  at: "f492e8cf01446c41f376aa07656dc4266f154739",
  ownerId: "9919",
  repositories: "https://github.com/github/*",
  refs: "refs/pull/*/merge",
};

/** What a private repository's attestation counts for, by one Sigstore and one signer. */
async function collect(
  sigstore: string,
  change: Partial<typeof privateSigner> = {},
  bundle = vectors["private-repository"],
) {
  return (await collectPublished(bundle, sigstore, { ...privateSigner, ...change })).evidence;
}

describe("a private repository's attestation by GitHub's own instance", () => {
  test.each<[string, string, Partial<typeof privateSigner>, RegExp]>([
    ["the public instance", "embedded: public", {}, /does not hold/],
    ["the public instance, without its log", "embedded: public, proof: timestamp", {}, /does not hold/],
    ["a log, which GitHub's has none of", "embedded: github", {}, /does not hold: .*tlog/],
    [
      "another commit of the workflow",
      "embedded: github, proof: timestamp",
      { at: "0".repeat(40) },
      /and 0{40} counts/,
    ],
    ["another owner", "embedded: github, proof: timestamp", { ownerId: "1" }, /ID 9919, and not 1/],
    ["other refs", "embedded: github, proof: timestamp", { refs: "refs/heads/main" }, /refs\/pull\/31\/merge/],
  ])("counts for nothing where the policy asks for %s", async (_what, sigstore, change, says) => {
    const { statements, rejected } = await collect(sigstore, change);
    expect(statements).toEqual([]);
    expect(rejected).toMatchObject([{ reason: expect.stringMatching(says) }]);
  });

  test("counts for nothing with another signature", async () => {
    const spoilt = vectors["private-repository"].replace('"sig":"MEQCIFdF', '"sig":"MEQCIFdG');
    expect(spoilt).not.toBe(vectors["private-repository"]);
    const { statements, rejected } = await collect("embedded: github, proof: timestamp", {}, spoilt);
    expect({ statements, rejected }).toMatchObject({
      statements: [],
      rejected: [{ reason: expect.stringMatching(/does not hold/) }],
    });
  });

  test("counts by the root that goldenpath brings, at the time that GitHub's authority says", async () => {
    const { statements, rejected } = await collect("embedded: github, proof: timestamp");
    expect(rejected).toEqual([]);
    expect(statements).toMatchObject([{ signers: ["base"], time: new Date("2025-05-07T08:05:10Z") }]);
  });
});

test("GitHub's word of a release holds by its root, is of no workflow, and holds by no other root", () => {
  const bytes = Buffer.from(vectors.release);
  const { bundle } = openWithCertificate(bytes);
  const judge = (name: "public" | "github") =>
    verifyCertified(bundle, readTrust({ trustedRoot: readEmbeddedRoot(name) }), { proof: "timestamp" });
  expect(judge("public")).toHaveProperty("reason");
  expect(judge("github")).toEqual({ time: expect.any(Date) });
  expect(openCertified(bytes).identity).toEqual({ problem: expect.stringMatching(/does not say its issuer/) });
});
