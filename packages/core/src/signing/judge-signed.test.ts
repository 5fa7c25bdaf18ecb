import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { ImageManifest } from "@goldenpath/registry-client/oci/manifest";
import { verdictAbout } from "@goldenpath/testing/evidence-registry";
import { describe, expect, test } from "vitest";
import { stageVerifierId } from "../stages.ts";
import { isMislabelled, type JudgedBy, judgeSigned, takeEachOnce } from "./judge-signed.ts";
import { predicateAnnotation, predicateTypes, unknownKeyReason } from "./predicates.ts";
import type { FoundReferrer, SignedPayload } from "./schemes/scheme.ts";
import { buildStatement, buildSubjects, encodeStatement } from "./statement.ts";
import type { VerifiedStatement } from "./types.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

const repository = { registry: "registry.example", name: "quarantine/shop" };
const subject = digestOf("image");
const now = new Date("2026-11-26T12:00:00Z");
const before = new Date("2026-11-25T12:00:00Z");
const after = new Date("2026-11-27T12:00:00Z");
const bundle = { mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", digest: digestOf("bundle"), size: 6 };
const descriptor = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("referrer"), size: 8 };
const statement = buildStatement(buildSubjects(repository, [subject]), predicateTypes.base, { found: "something" });
const claims = { claimedPredicateType: predicateTypes.base };

const signed = (change: Partial<SignedPayload> = {}): SignedPayload => ({
  ...{ payload: encodeStatement(statement), signers: ["base"], bundle },
  ...change,
});
const anyTime: JudgedBy = { signers: { base: {}, scan: {} }, now };
const judge = (change?: Partial<SignedPayload>, by = anyTime, tag?: string) =>
  judgeSigned(signed(change), { subject, ...(tag === undefined ? {} : { tag }) }, { descriptor }, by);

const verified = { subject, signers: ["base"], statement, bundle, referrer: descriptor };
const rejected = { subject, referrer: descriptor.digest };

describe("what is signed", () => {
  test("is evidence where a signer of the policy has signed it about the image", () => {
    expect(judge()).toStrictEqual({ statement: verified });
    expect(judge({ signers: ["base", "scan"] })).toEqual({ statement: { ...verified, signers: ["base", "scan"] } });
    expect(judge({}, anyTime, "sha256-1.att")).toEqual({ statement: { ...verified, tag: "sha256-1.att" } });
  });

  test("is nothing where it is no statement", () => {
    const nothing = judge({ payload: new TextEncoder().encode("{}") });
    expect(nothing).toEqual({ rejected: { ...rejected, reason: expect.stringMatching(/not an in-toto statement/) } });
    expect(judge({ payload: new TextEncoder().encode("{}") }, anyTime, "t").rejected?.tag).toBe("t");
  });

  test("may name an image twice in a manifest that is signed as one, as BuildKit writes it, and nowhere else", () => {
    const subjects = [...statement.subject, ...statement.subject];
    const payload = encodeStatement({ ...statement, subject: subjects });
    expect(judge({ payload }).rejected?.reason).toContain("twice");
    const { statement: taken } = judge({ payload, isInSignedManifest: true });
    expect(taken).toMatchObject({ signers: ["base"], isInSignedManifest: true, statement: { subject: subjects } });
  });

  test("is no broken statement where something else goes wrong", () => {
    const broken = Object.defineProperty(signed(), "payload", {
      get: () => {
        throw new RangeError("out of memory");
      },
    });
    expect(() => judgeSigned(broken, { subject }, { descriptor }, anyTime)).toThrow(RangeError);
  });

  test("is nobody's where no signer's signature holds, by the scheme's reason or for want of one", () => {
    const nobody = { ...rejected, ...claims, isByNobody: true };
    expect(judge({ signers: [] })).toEqual({ rejected: { ...nobody, reason: unknownKeyReason } });
    expect(judge({ signers: [], reason: "it is another's" })).toEqual({
      rejected: { ...nobody, reason: "it is another's" },
    });
  });

  test("is nothing where it is about another image, whoever signed it", () => {
    const other = buildStatement(buildSubjects(repository, [digestOf("another")]), predicateTypes.base, { a: 1 });
    expect(judge({ payload: encodeStatement(other) })).toEqual({
      rejected: { ...rejected, ...claims, reason: "its statement is about another image" },
    });
  });

  test("says what it claims to be, with the verifier of a verdict", () => {
    const verdict = verdictAbout(repository, [subject], true);
    expect(judge({ payload: encodeStatement(verdict), signers: [] }).rejected).toMatchObject({
      claimedPredicateType: predicateTypes.verificationSummary,
      claimedVerifierId: stageVerifierId("scan"),
    });
    expect(judge({ signers: [] }).rejected).not.toHaveProperty("claimedVerifierId");
  });
});

test("what others say of it is kept: the time, the run, and what is below its referrer", () => {
  const identity = { issuer: "https://issuer.example" } as WorkflowIdentity;
  expect(judge({ time: before, identity })).toEqual({ statement: { ...verified, time: before, identity } });
  const part = (digest: string, of?: string): FoundReferrer => ({
    descriptor: { ...descriptor, digest: digestOf(digest) },
    manifest: (of === undefined ? {} : { subject: { digest: digestOf(of) } }) as ImageManifest,
    below: [],
  });
  expect(judge({ below: [part("signature", "referrer"), part("stray")] }).statement?.below).toEqual([
    { subject: digestOf("referrer"), descriptor: { ...descriptor, digest: digestOf("signature") } },
    { subject, descriptor: { ...descriptor, digest: digestOf("stray") } },
  ]);
  expect(judge({ below: [] }).statement).not.toHaveProperty("below");
});

describe("a signature that does not hold now", () => {
  test.each([
    ["any more", { until: before }, /its signature held until 2026-11-25T12:00:00/],
    ["yet", { from: after }, /its signature holds from 2026-11-27T12:00:00/],
  ])("has lapsed where it does not %s", (_when, holds, says) => {
    const reason = expect.stringMatching(says);
    expect(judge({ holds })).toEqual({ lapsed: verified, rejected: { ...rejected, ...claims, reason } });
    const tagged = judge({ holds }, anyTime, "sha256-1.att");
    expect(tagged.lapsed?.tag).toBe("sha256-1.att");
    expect(tagged.rejected?.tag).toBe("sha256-1.att");
  });

  test("counts within its time", () => {
    expect(judge({ holds: { from: before, until: after } })).toEqual({ statement: verified });
  });
});

describe("a signer whose word counts for a time", () => {
  const ended: JudgedBy = { signers: { base: { until: before }, scan: {} }, now };

  test("has lapsed outside of it, and is nobody's word", () => {
    expect(judge({}, ended)).toEqual({
      lapsed: verified,
      rejected: {
        ...{ ...rejected, ...claims, isByNobody: true },
        reason: expect.stringMatching(/^it is signed by 'base', whose word counts until 2026-11-25/),
      },
    });
    expect(judge({}, ended, "sha256-1.att").rejected?.tag).toBe("sha256-1.att");
    expect(judge({}, ended)).not.toHaveProperty("statement");
    expect(judge({}, ended).rejected).not.toHaveProperty("tag");
  });

  test("speaks for those who have signed it as well, and are in time, alone", () => {
    expect(judge({ signers: ["base", "scan"] }, ended)).toEqual({
      statement: { ...verified, signers: ["scan"] },
      lapsed: { ...verified, signers: ["base"] },
    });
    const both = { signers: { base: { until: before }, scan: { from: after } }, now };
    expect(judge({ signers: ["base", "scan"] }, both).rejected?.reason).toMatch(/'base'.*; it is signed by 'scan'/);
  });

  test("is asked at the verified time where there is one", () => {
    const time = new Date(before.getTime() - 1);
    expect(judge({ time }, ended)).toEqual({ statement: { ...verified, time } });
  });

  test("is looked up among the policy's own names", () => {
    const signers = Object.create({ base: { until: before } }) as JudgedBy["signers"];
    expect(judge({}, { signers, now })).toEqual({ statement: verified });
  });
});

describe("several wrappings", () => {
  const labelled = (label: string | undefined, change: Partial<VerifiedStatement> = {}): VerifiedStatement => {
    const annotations = label === undefined ? {} : { annotations: { [predicateAnnotation]: label } };
    return { ...verified, referrer: { ...descriptor, ...annotations, digest: digestOf(String(label)) }, ...change };
  };
  const right = labelled(predicateTypes.base);
  const wrong = labelled(predicateTypes.vulnerabilities);

  test("of one bundle by the same signers are one statement, the honest one wherever it stands", () => {
    expect(isMislabelled(right)).toBe(false);
    expect(isMislabelled(wrong)).toBe(true);
    expect(isMislabelled(labelled(undefined))).toBe(false);
    expect(isMislabelled({ statement, referrer: { ...descriptor, annotations: {} } })).toBe(false);
    for (const all of [
      [right, wrong],
      [wrong, right],
      [right, labelled(undefined)],
    ])
      expect(takeEachOnce(all)).toEqual([right]);
    expect(takeEachOnce([wrong, labelled("x")])).toEqual([wrong]);
  });

  test("of other bundles, or by others, are statements of their own", () => {
    const byAnother = labelled(predicateTypes.base, { signers: ["scan"] });
    const another = labelled(predicateTypes.base, { bundle: { ...bundle, digest: digestOf("another") } });
    expect(takeEachOnce([right, byAnother, another])).toEqual([right, byAnother, another]);
    const [one, two] = [
      ["ab", "c"],
      ["a", "bc"],
    ].map((signers) => labelled(predicateTypes.base, { signers }));
    expect(takeEachOnce([one, two] as VerifiedStatement[])).toHaveLength(2);
    expect(takeEachOnce([])).toEqual([]);
  });

  test("of another proof are statements of their own: none lends another its time or its certificate", () => {
    const at = (day: number) => labelled(predicateTypes.base, { time: new Date(Date.UTC(2026, 0, day)) });
    const run = (sourceRef: string) =>
      labelled(predicateTypes.base, { identity: { sourceRef } as NonNullable<VerifiedStatement["identity"]> });
    const all = [at(1), at(2), run("refs/heads/main"), run("refs/heads/next"), labelled(predicateTypes.base)];
    expect(takeEachOnce([...all, at(1), run("refs/heads/main")])).toEqual(all);
  });
});
