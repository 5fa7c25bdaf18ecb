import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import { describe, expect, test } from "vitest";
import { encodeDer, purposes, type SignatureFalsehood, usages } from "../support/constructed-sigstore.ts";
import { expectRefused, passed } from "../support/gate-answers.ts";
import { commit, honest, judge, policy, readPolicy, useKeylessWorld, workflow } from "../support/keyless-world.ts";

// Ways to pass the gate with a signature that nobody of the policy has made, where signers are workflows. Each is the
// honest signature with one thing changed.

useKeylessWorld();

describe("a run of something else than the policy's workflow", () => {
  const by = (change: SignatureFalsehood["identity"]): SignatureFalsehood => ({ identity: change ?? {} });
  const other = "https://github.com/acme/shop/.github/workflows/stage-base.yml@refs/tags/v1.2.0";
  const elsewhere = "https://github.com/acm3/platform/.github/workflows/stage-base.yml@refs/tags/v1.2.0";
  const fork = "f".repeat(40);
  const file = workflow.replace("stage-base", "stage-scan");

  test.each<[string, SignatureFalsehood, RegExp]>([
    ["another repository's of the same file name", by({ buildSignerUri: other }), /was signed by .*acme\/shop\//],
    ["another organisation's of the same name", by({ buildSignerUri: elsewhere }), /was signed by .*acm3/],
    ["another stage's", by({ buildSignerUri: `${file}@refs/tags/v1.2.0` }), /was signed by .*stage-scan/],
    ["a file that begins alike", by({ buildSignerUri: `${workflow}@evil.yml@refs/tags/v1` }), /was signed by/],
    [
      "a longer name",
      by({ buildSignerUri: `https://github.com/acme/platform/${workflow.slice(8)}@${commit}` }),
      /signed by/,
    ],
    [
      "another host's",
      by({ buildSignerUri: honest.buildSignerUri.replace("github.com", "github.com.evil.example") }),
      /signed by/,
    ],
    [
      "a branch's commit",
      by({ buildSignerUri: `${workflow}@refs/heads/main`, buildSignerDigest: fork }),
      /commit f{40}/,
    ],
    [
      "a fork's commit, under our name",
      by({ buildSignerUri: `${workflow}@${fork}`, buildSignerDigest: fork }),
      /commit f{40}/,
    ],
    ["a tag that was moved", by({ buildSignerDigest: fork }), /refs\/tags\/v1\.2\.0, commit f{40}/],
    [
      "a tag that begins like a listed one",
      by({ buildSignerUri: `${workflow}@refs/tags/v9.0.0-x`, buildSignerDigest: fork }),
      /commit f/,
    ],
    ["another organisation with our name", by({ sourceOwnerId: "43210" }), /owner with the ID 43210, and not 4321/],
    ["a repository outside", by({ sourceRepository: "https://github.com/other/shop" }), /ran for .*other\/shop/],
    ["a look-alike of the pattern", by({ sourceRepository: "https://github.com/acme/shop/x" }), /ran for/],
    [
      "one that ends like the pattern",
      by({ sourceRepository: "https://evil.example/https://github.com/acme/shop" }),
      /ran for/,
    ],
    ["another branch", by({ sourceRef: "refs/heads/main2" }), /ran on refs\/heads\/main2/],
    ["a pull request", by({ sourceRef: "refs/pull/7/merge" }), /ran on refs\/pull\/7\/merge/],
    ["a tag of two components", by({ sourceRef: "refs/tags/a/b" }), /ran on refs\/tags\/a\/b/],
    ["a self-hosted runner", by({ runnerEnvironment: "self-hosted" }), /self-hosted, and not github-hosted/],
    ["no environment", by({ environment: undefined }), /had no environment, and not production/],
    ["another environment", by({ environment: "staging" }), /the environment staging, and not production/],
    [
      "another issuer's word",
      by({ issuer: "https://token.actions.githubusercontent.com.evil.example" }),
      /issuer is .*evil/,
    ],
  ])("%s", async (_what, falsehood, says) => {
    await expectRefused(judge(falsehood), new RegExp(`gate\\.signer: .*it is not by 'base': .*${says.source}`));
  });

  test.each<[string, SignatureFalsehood]>([
    ["the policy's own", {}],
    ["by its commit", by({ buildSignerUri: `${workflow}@${commit}` })],
    ["by a branch that is at the listed commit", by({ buildSignerUri: `${workflow}@refs/heads/main` })],
    ["by a listed tag", by({ buildSignerUri: `${workflow}@refs/tags/v9.0.0`, buildSignerDigest: fork })],
    [
      "for another repository of the pattern, from a tag",
      by({ sourceRepository: "https://github.com/acme/x", sourceRef: "refs/tags/v1" }),
    ],
  ])("and is taken: %s", async (_what, falsehood) => {
    expect(await judge(falsehood)).toEqual(passed);
  });

  test("without refs in the policy a pull request's run counts for nothing, and any branch's does", async () => {
    const lax = readPolicy((text) => text.replace(/ {4}refs:.*\n/, ""));
    await expectRefused(judge(by({ sourceRef: "refs/pull/7/merge" }), lax), /and not on a branch or a tag/);
    expect(await judge(by({ sourceRef: "refs/heads/a/b" }), lax)).toEqual(passed);
  });

  test("a self-hosted runner is taken where the policy says so", async () => {
    const own = readPolicy((text) =>
      text.replace("    environment:", "    runnerEnvironments: [self-hosted]\n    environment:"),
    );
    expect(await judge(by({ runnerEnvironment: "self-hosted" }), own)).toEqual(passed);
    await expectRefused(judge({}, own), /github-hosted, and not self-hosted/);
  });
});

describe("a certificate that says less, more, or something else", () => {
  const oid = (number: number): string => `1.3.6.1.4.1.57264.1.${number}`;
  const text = (value: string): Buffer => encodeDer(0x0c, Buffer.from(value));
  const missing = (name: keyof WorkflowIdentity): SignatureFalsehood => ({ identity: { [name]: undefined } });

  test.each<[string, SignatureFalsehood, RegExp]>([
    ["no issuer", missing("issuer"), /does not say its issuer/],
    ["the issuer in the raw extension of before alone", { isIssuerRaw: true }, /does not say its issuer/],
    [
      "no workflow",
      { ...missing("buildSignerUri"), subject: honest.buildSignerUri },
      /does not say its buildSignerUri/,
    ],
    ["no commit", missing("buildSignerDigest"), /does not say its buildSignerDigest/],
    ["no runner", missing("runnerEnvironment"), /does not say its runnerEnvironment/],
    ["no repository", missing("sourceRepository"), /does not say its sourceRepository/],
    ["no ref", missing("sourceRef"), /does not say its sourceRef/],
    ["no owner", missing("sourceOwnerId"), /does not say its sourceOwnerId/],
    ["an extension twice", { extensions: [[oid(17), text("1")]] }, /has the extension .*57264\.1\.17 twice/],
    ["another subject than workflow", { subject: `${workflow}@refs/tags/v2` }, /its subject is .*v2, and its workflow/],
    [
      "text behind the text",
      { ...missing("sourceOwnerId"), extensions: [[oid(17), Buffer.concat([text("4321"), text("1")])]] },
      /not a UTF-8 string/,
    ],
    [
      "a string of another kind",
      { ...missing("sourceOwnerId"), extensions: [[oid(17), encodeDer(0x13, Buffer.from("4321"))]] },
      /not a UTF-8 string/,
    ],
    [
      "a length that could be shorter",
      { ...missing("sourceOwnerId"), extensions: [[oid(17), Buffer.from("0c810434333231", "hex")]] },
      /not a UTF-8 string/,
    ],
    [
      "a letter that looks like the right one",
      { identity: { sourceRepository: "https://github.com/\u0430cme/shop" } },
      /not a UTF-8 string/,
    ],
    ["a blank at its end", { identity: { sourceOwnerId: "4321 " } }, /not a UTF-8 string/],
    ["a zero in it", { identity: { sourceOwnerId: "4321\0" } }, /not a UTF-8 string/],
    [
      "another purpose",
      { purposes: [purposes.serverAuth] },
      /is for 1\.3\.6\.1\.5\.5\.7\.3\.1, and not for signing code/,
    ],
    ["a purpose besides", { purposes: [purposes.codeSigning, purposes.timeStamping] }, /not for signing code/],
    ["any purpose", { purposes: ["2.5.29.37.0"] }, /not for signing code/],
    ["no purpose", { purposes: [] }, /is for nothing that it names/],
    [
      "a purpose that is none",
      { purposes: [], extensions: [["2.5.29.37", encodeDer(0x30, text("x")), false]] },
      /it is malformed/,
    ],
    ["a key for other use", { usages: usages.keyAgreement }, /not for signatures/],
    ["an authority's", { isAuthority: true }, /it is an authority's/],
    ["the use of an authority", { usages: usages.digitalSignature | usages.keyCertSign }, /it is an authority's/],
    [
      "a critical extension that nobody knows",
      { extensions: [["1.2.3.4", text("x"), true]] },
      /critical extension 1\.2\.3\.4/,
    ],
  ])("%s", async (_what, falsehood, says) => {
    await expectRefused(
      judge(falsehood),
      new RegExp(`gate\\.signer: .*certificate counts for nothing: .*${says.source}`),
    );
  });

  test("and one with an extension that is not critical, which nobody need know, is taken", async () => {
    expect(await judge({ extensions: [["1.2.3.4", text("x")]] })).toEqual(passed);
  });
});

describe("a certificate, an entry or a time that proves nothing", () => {
  const minute = 60_000;
  test.each<[string, SignatureFalsehood, RegExp]>([
    ["a certificate of an unknown authority", { by: "another authority" }, /certificate chain/],
    ["one that signs itself", { by: "itself" }, /certificate chain/],
    ["one of an authority whose trust is over", { by: "an authority that is over" }, /certificate chain/],
    ["one that was over when it signed", { validity: [-20 * minute, -10 * minute] }, /not valid or expired/],
    ["one that was not valid yet", { validity: [10 * minute, 20 * minute] }, /not valid or expired/],
    ["one in no certificate log", { isLoggedNowhere: true }, /expected 1 SCTs, got 0/],
    ["one whose log entry is another's", { isLoggedOther: true }, /SCT verification failed/],
    ["no log entry", { entry: "none" }, /expected 1 tlog entries, got 0/],
    ["an entry for another signature", { entry: "for another signature" }, /signature mismatch/],
    ["an entry for another payload", { entry: "for another payload" }, /payload hash mismatch/],
    ["an entry of a foreign log", { entry: "of a foreign log" }, /checkpoint/],
    ["no time", { timestamp: "none" }, /expected 1 timestamps, got 0/],
    ["a foreign authority's time", { timestamp: "foreign" }, /timestamp could not be verified/],
    ["another signature's time", { timestamp: "for another signature" }, /timestamp could not be verified/],
    ["one time twice", { timestamp: "twice" }, /duplicate timestamp/],
    ["a time when the certificate was over", { timestamp: "in the future" }, /not valid or expired/],
  ])("%s", async (_what, falsehood, says) => {
    await expectRefused(judge(falsehood), new RegExp(`gate\\.signer: .*does not hold: .*${says.source}`));
  });

  test("an entry of the first version has a time of its own, and needs no other", async () => {
    expect(await judge({ entry: "of the first version", timestamp: "none" })).toEqual(passed);
  });

  test("a time that is not yet is refused, whatever the certificate holds", async () => {
    const falsehood: SignatureFalsehood = { timestamp: "in the future", validity: [-minute, 90 * minute] };
    await expectRefused(judge(falsehood), /gate\.future: the signature of .* which is in the future/);
  });

  test("a verdict that is old stays old, whenever its signature was given a time", async () => {
    await expectRefused(judge({}, policy, honest, 90 * minute), /gate\.stale/);
  });

  test("a verdict can't be younger than its signature", async () => {
    await expectRefused(judge({}, policy, honest, -20 * minute), /gate\.future/);
  });

  test("without a log where the policy asks for a time alone, and not where it asks for an entry", async () => {
    const timed = readPolicy((policyText) => policyText.replace("proof: log", "proof: timestamp"));
    expect(await judge({ entry: "none" }, timed)).toEqual(passed);
    await expectRefused(judge({ entry: "for another signature" }, timed), /signature mismatch/);
    await expectRefused(judge({ timestamp: "none" }, timed), /expected 1 timestamps, got 0/);
  });
});
