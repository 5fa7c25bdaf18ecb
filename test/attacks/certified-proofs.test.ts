import { openCertified, verifyCertified } from "@goldenpath/core/signing/certified-bundle";
import { findSigners, groupByInstance } from "@goldenpath/core/signing/certified-signers";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { TrustedSigner } from "@goldenpath/core/signing/schemes/scheme";
import { readTrust, type SigstoreInstance } from "@goldenpath/core/signing/sigstore-instance";
import { buildStatement, buildSubjects, encodeStatement } from "@goldenpath/core/signing/statement";
import type { WorkflowIdentity } from "@goldenpath/core/signing/workflow-identity";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type ConstructedSigstore,
  constructSigstore,
  type SignatureFalsehood,
} from "../support/constructed-sigstore.ts";

// What a certificate, a log's entry and a timestamp prove, asked without a registry and a gate: quick enough to be tried
// for each change that `npm run mutants` makes to what asks it. The whole way is in keyless.test.ts.

const minute = 60_000;
const commit = "c".repeat(40);
const workflow = "https://github.com/acme/platform/.github/workflows/stage-base.yml";
const honest: WorkflowIdentity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: `${workflow}@refs/tags/v1.2.0`,
  buildSignerDigest: commit,
  runnerEnvironment: "github-hosted",
  sourceRepository: "https://github.com/acme/shop",
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: "d".repeat(40),
  buildConfigUri: "https://github.com/acme/shop/.github/workflows/golden-path.yml@refs/heads/main",
  buildTrigger: "push",
};
const payload = encodeStatement(
  buildStatement(buildSubjects({ registry: "r.example", name: "shop" }, [digestOf("shop")]), predicateTypes.base, {}),
);

let sigstore: ConstructedSigstore;
let another: ConstructedSigstore;
beforeAll(async () => {
  [sigstore, another] = [await constructSigstore(), await constructSigstore()];
});

const instanceOf = ({ trustedRoot }: ConstructedSigstore, proof: SigstoreInstance["proof"] = "log") =>
  ({ trustedRoot, proof, rekorVersion: 2, privateNames: false }) as SigstoreInstance;
const open = async (falsehood: SignatureFalsehood = {}, by = sigstore, identity = honest) =>
  openCertified(Buffer.from(await by.sign(payload, identity, falsehood)));
/** A trusted root, changed. */
const without = (...lists: string[]): ConstructedSigstore => ({
  ...sigstore,
  trustedRoot: JSON.stringify({
    ...JSON.parse(sigstore.trustedRoot),
    ...Object.fromEntries(lists.map((list) => [list, []])),
  }),
});

describe("a bundle with a certificate", () => {
  const verify = async (falsehood: SignatureFalsehood = {}, instance = instanceOf(sigstore)) =>
    verifyCertified((await open(falsehood)).bundle, readTrust(instance), instance);

  test("holds, and was signed at the earliest time that somebody says", async () => {
    const before = Date.now();
    const answer = await verify();
    expect(answer).toEqual({ time: expect.any(Date) });
    const { time } = answer as { time: Date };
    expect(Math.abs(time.getTime() - before)).toBeLessThan(minute);
    expect(await verify({ timestamp: "twice" })).toHaveProperty("reason");
  });

  test("has the log's time beside a timestamp, where the log has one, and the earlier of both", async () => {
    const first = await verify({ entry: "of the first version", timestamp: "none" });
    expect(first).toEqual({ time: expect.any(Date) });
    let logged = 0;
    const change = (text: string): string => {
      logged = Number(JSON.parse(text).verificationMaterial.tlogEntries[0].integratedTime) * 1000;
      return text;
    };
    // The stand-in for a timestamp authority says one time alone.
    const { time: stamped } = (await verify()) as { time: Date };
    let both: Awaited<ReturnType<typeof verify>>;
    // Both are whole seconds, and the log's is that of now.
    do both = await verify({ entry: "of the first version", change });
    while (logged === stamped.getTime());
    expect(both).toEqual({ time: new Date(Math.min(logged, stamped.getTime())) });
    const validity = [-minute, 90 * minute] as const;
    expect(await verify({ entry: "of the first version", timestamp: "in the future", validity, change })).toEqual({
      time: new Date(logged),
    });
    // An entry of the second version has none.
    expect(await verify({ timestamp: "none" })).toHaveProperty("reason");
  });

  test("has no time of a log that has not promised it", async () => {
    const unpromised = (text: string): string => {
      const bundle = JSON.parse(text);
      const [entry] = bundle.verificationMaterial.tlogEntries;
      delete entry.inclusionPromise;
      // Whoever writes the bundle can write this as well.
      entry.integratedTime = "1000";
      return JSON.stringify(bundle);
    };
    const first = { entry: "of the first version", change: unpromised } as const;
    expect(await verify({ ...first, timestamp: "none" })).toEqual({ reason: "expected 1 timestamps, got 0" });
    expect(await verify(first)).toEqual(await verify());
  });

  test.each<[string, SignatureFalsehood, string]>([
    [
      "by an authority that nobody trusts",
      { by: "another authority" },
      "Failed to verify certificate chain: no valid certificate path found",
    ],
    ["by itself", { by: "itself" }, "Failed to verify certificate chain: no trusted certificate path found"],
    [
      "by an authority that was trusted until before",
      { by: "an authority that is over" },
      "Failed to verify certificate chain: no valid certificate path found",
    ],
    [
      "signed before its certificate began",
      { validity: [5 * minute, 9 * minute] },
      "Failed to verify certificate chain: certificate is not valid or expired at the specified date",
    ],
    [
      "signed after its certificate ended",
      { validity: [-9 * minute, -5 * minute] },
      "Failed to verify certificate chain: certificate is not valid or expired at the specified date",
    ],
    ["whose certificate is in no log", { isLoggedNowhere: true }, "expected 1 SCTs, got 0"],
    ["whose certificate log speaks of another", { isLoggedOther: true }, "SCT verification failed"],
    ["without an entry of the log", { entry: "none" }, "expected 1 tlog entries, got 0"],
    ["with an entry of another signature", { entry: "for another signature" }, "tlog entry signature mismatch"],
    ["with an entry of another payload", { entry: "for another payload" }, "DSSE payload hash mismatch"],
    ["with an entry of a foreign log", { entry: "of a foreign log" }, "invalid checkpoint signature"],
    ["with a foreign timestamp", { timestamp: "foreign" }, "timestamp could not be verified"],
    [
      "with a timestamp of another signature",
      { timestamp: "for another signature" },
      "timestamp could not be verified",
    ],
    [
      "with a timestamp of later than its certificate",
      { timestamp: "in the future" },
      "Failed to verify certificate chain: certificate is not valid or expired at the specified date",
    ],
    [
      "with a foreign timestamp, beside a log's time",
      { entry: "of the first version", timestamp: "foreign" },
      "timestamp could not be verified",
    ],
  ])("counts for nothing %s", async (_what, falsehood, reason) => {
    expect(await verify()).toHaveProperty("time");
    expect(await verify(falsehood)).toEqual({ reason });
  });

  test("needs no entry where the instance asks for a time alone, but one that is there has to hold", async () => {
    const alone = instanceOf(sigstore, "timestamp");
    expect(await verify({ entry: "none" }, alone)).toHaveProperty("time");
    expect(await verify({ entry: "none", timestamp: "none" }, alone)).toHaveProperty("reason");
    expect(await verify({ entry: "for another signature" }, alone)).toHaveProperty("reason");
  });

  test("needs no certificate log where the trusted root names none, and one where it does", async () => {
    const unlogged = instanceOf(without("ctlogs"));
    expect(await verify({ isLoggedNowhere: true }, unlogged)).toHaveProperty("time");
    expect(await verify({ isLoggedNowhere: true })).toEqual({ reason: expect.stringMatching(/SCT/i) });
  });

  test("that is malformed counts for nothing", async () => {
    const malformed = (text: string) => {
      const bundle = JSON.parse(text);
      bundle.verificationMaterial.timestampVerificationData.rfc3161Timestamps = [{ signedTimestamp: "AAAA" }];
      return JSON.stringify(bundle);
    };
    expect(await verify({ change: malformed })).toEqual({
      reason: "a certificate, timestamp or log entry of it is malformed",
    });
  });
});

describe("whose a bundle with a certificate is", () => {
  const signer = (name: string, instance: SigstoreInstance | undefined, change: object = {}): TrustedSigner => ({
    name,
    material: {
      kind: "workflow",
      rule: {
        ...{ issuer: honest.issuer, workflow, at: [commit], ownerId: "4321" },
        ...{ repositories: ["https://github.com/acme/*"], runnerEnvironments: ["github-hosted"] },
        ...change,
      },
      instance,
    },
  });
  const find = async (signers: readonly TrustedSigner[], falsehood: SignatureFalsehood = {}) =>
    findSigners(await open(falsehood), groupByInstance(signers));

  test("is every signer's whose rule it meets, by an instance that vouches for it", async () => {
    const own = instanceOf(sigstore);
    const signers = [
      signer("base", own),
      signer("twin", own),
      signer("other", own, { ownerId: "1" }),
      signer("elsewhere", instanceOf(another)),
      signer("nowhere", undefined),
    ];
    expect(await find(signers)).toEqual({ signers: ["base", "twin"], time: expect.any(Date), identity: honest });
    // The same instance by another name vouches as well, and the time is the earliest of both.
    const twice = [signer("a", own), signer("b", instanceOf(sigstore, "timestamp"))];
    expect(await find(twice)).toMatchObject({ signers: ["a", "b"] });
  });

  test("is nobody's of an instance that does not vouch, whoever else does", async () => {
    const foreign = [signer("elsewhere", instanceOf(another))];
    expect(await find(foreign)).toEqual({
      signers: [],
      reason: expect.stringMatching(/^its certificate or its proof does not hold: /),
    });
    const both = [signer("other", instanceOf(sigstore), { ownerId: "1" }), ...foreign];
    expect(await find(both)).toEqual({ signers: [], reason: expect.stringMatching(/^it is not by 'other': /) });
    expect(await find(both.toReversed())).toMatchObject({ reason: expect.stringMatching(/^it is not by 'other': /) });
  });

  test("tells the signer that it is nearest to", async () => {
    const own = instanceOf(sigstore);
    const far = signer("far", own, { ownerId: "1", repositories: ["https://github.com/x/*"] });
    for (const signers of [
      [far, signer("near", own, { ownerId: "1" })],
      [signer("near", own, { ownerId: "1" }), far],
    ])
      expect(await find(signers)).toEqual({
        signers: [],
        reason: "it is not by 'near': it ran for the owner with the ID 4321, and not 1",
      });
    const worse = [signer("far", own, { ownerId: "1", at: ["f".repeat(40)] })];
    expect((await find(worse)).reason).toContain("; ");
  });

  test("is nobody's where its certificate says no run, or nobody is trusted by certificates", async () => {
    const [own] = [signer("base", instanceOf(sigstore))];
    expect(await find([own], { identity: { sourceOwnerId: undefined } })).toEqual({
      signers: [],
      reason: expect.stringMatching(/^its certificate counts for nothing: /),
    });
    const nobody = { signers: [], reason: "the policy trusts nobody's certificates" };
    expect(await find([])).toEqual(nobody);
    const { publicKey: key } = await import("node:crypto").then(({ generateKeyPairSync }) =>
      generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
    );
    expect(await find([{ name: "key", material: { kind: "key", key } }, signer("nowhere", undefined)])).toEqual(nobody);
  });
});
