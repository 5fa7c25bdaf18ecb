import { oncePer } from "@goldenpath/foundation/once-per";
import { describeIssues } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatRepository,
  type ImageId,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { type Stage, stageLevel, stageVerifierId } from "../stages.ts";
import { predicateTypes } from "./predicates.ts";
import { buildStatement, buildSubjects, digestSet } from "./statement.ts";
import type { Statement } from "./types.ts";

/**
 * The field by which goldenpath extends the verification summary; SLSA lets producers add fields whose names are URIs.
 */
export const summaryExtension = "https://github.com/goldenpath-ci/goldenpath/predicates/verification-summary/v1";

export interface SummaryFacts {
  stage: Stage;
  image: ImageId & { children: readonly Digest[] };
  policy: { uri: string; digest: Digest; serial: number };
  passed: boolean;
  /** Violations that count. With a pass there are none. */
  violations: number;
  /** Violations that an exception of the policy set aside, or that warn until a day. */
  excepted: number;
  /**
   * Of those exceptions: until when all of them hold, and the repository that one of them is for alone. Required where
   * `excepted` is not 0.
   */
  exceptions?: SummaryExceptions;
  /** Of a rescan that fails: the time from which on its failure counts; undefined: at once. */
  countsFrom?: Date | undefined;
  /** Of promote: the environment that the image was let into. */
  environment?: string;
  /**
   * Of promote: tags that were moved to an image of an earlier run, or of an unknown one, because somebody said so; and
   * from where.
   */
  tagRollbacks?: readonly { tag: string; from: Digest; reason: string }[];
  /** Of promote: who approved its run, by the word of GitHub's API. It decides nothing. */
  approvals?: readonly SummaryApproval[];
  /** When the stage judged: not when it was signed. */
  timeVerified: Date;
  /** The bundles of what the verdict rests on. */
  inputs: readonly { digest: Digest; uri: string }[];
  /** Name → version, of the tools that took part. */
  tools: readonly { name: string; version: string }[];
}

export interface SummaryApproval {
  by: string;
  environments: readonly string[];
}

export interface SummaryExceptions {
  /** The last day (UTC, `YYYY-MM-DD`) on which every exception that was applied holds. */
  until: string;
  /** `HOST/NAME`: one of them is granted to this repository, and to no other that has the same image. */
  repository?: string;
  /**
   * Rules whose violations were warnings, and from when on each refuses. The day before is a last day in `until`, so
   * that a gate which does not know this takes the verdict no longer than that either.
   */
  deferred?: readonly { rule: string; from: string }[];
}

/**
 * A stage's verdict as a SLSA verification summary: https://slsa.dev/spec/v1.1/verification_summary. The level is the
 * stage's own custom one (custom levels must not start with `SLSA_`), or `FAILED`.
 */
export function buildVerificationSummary(facts: SummaryFacts): Statement {
  const { image, policy } = facts;
  const predicate = {
    verifier: {
      id: stageVerifierId(facts.stage),
      ...(facts.tools.length === 0
        ? {}
        : { version: Object.fromEntries(facts.tools.map((tool) => [tool.name, tool.version])) }),
    },
    timeVerified: facts.timeVerified.toISOString(),
    resourceUri: imageUri(image.repository, image.digest),
    policy: { uri: policy.uri, digest: digestSet(policy.digest) },
    inputAttestations: facts.inputs.map((input) => ({ uri: input.uri, digest: digestSet(input.digest) })),
    verificationResult: facts.passed ? "PASSED" : "FAILED",
    verifiedLevels: [facts.passed ? stageLevel(facts.stage) : "FAILED"],
    slsaVersion: "1.1",
    [summaryExtension]: {
      policySerial: policy.serial,
      violations: facts.violations,
      excepted: facts.excepted,
      ...(facts.exceptions === undefined ? {} : { exceptions: facts.exceptions }),
      ...(facts.countsFrom === undefined ? {} : { countsFrom: facts.countsFrom.toISOString() }),
      ...(facts.environment === undefined ? {} : { environment: facts.environment }),
      ...(facts.tagRollbacks === undefined || facts.tagRollbacks.length === 0
        ? {}
        : { tagRollbacks: facts.tagRollbacks }),
      ...(facts.approvals === undefined || facts.approvals.length === 0 ? {} : { approvals: facts.approvals }),
    },
  };
  return buildStatement(
    buildSubjects(image.repository, [image.digest, ...image.children]),
    predicateTypes.verificationSummary,
    predicate,
  );
}

/** An image as a package URL (https://github.com/package-url/purl-spec, type oci). */
export function imageUri(repository: Repository, digest: Digest): string {
  const name = repository.name.slice(repository.name.lastIndexOf("/") + 1);
  return `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(formatRepository(repository))}`;
}

/** The image that such a package URL and a digest set name, where both are of one image as it is written here. */
export function readImageUri(uri: string | undefined, set: Readonly<Record<string, string>> = {}): ImageId | undefined {
  const encoded = /^pkg:oci\/[^?]+\?repository_url=([^&]+)$/.exec(uri ?? "")?.[1];
  const digest = Object.entries(set)
    .map(([algorithm, hex]) => `${algorithm}:${hex}`)
    .find(isDigest);
  if (encoded === undefined || digest === undefined) return undefined;
  try {
    const repository = parseRepository(decodeURIComponent(encoded));
    return imageUri(repository, digest) === uri ? { repository, digest } : undefined;
  } catch {
    return undefined;
  }
}

const digestSetSchema = z.record(z.string(), z.string());

const summarySchema = z.object({
  verifier: z.object({ id: z.string() }),
  timeVerified: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
  policy: z.object({ uri: z.string(), digest: digestSetSchema }),
  inputAttestations: z.array(z.object({ digest: digestSetSchema })),
  verificationResult: z.enum(["PASSED", "FAILED"]),
  verifiedLevels: z.array(z.string()),
  [summaryExtension]: z
    .object({
      policySerial: z.number().int().positive(),
      excepted: z.number().int().nonnegative(),
      exceptions: z
        .object({
          until: z.iso.date(),
          repository: z.string().optional(),
          deferred: z.array(z.object({ rule: z.string(), from: z.iso.date() })).optional(),
        })
        .optional(),
      countsFrom: z.iso
        .datetime({ offset: true })
        .transform((text) => new Date(text))
        .optional(),
      environment: z.string().optional(),
      // For the record alone: what is not as it should be is nothing, and no reason against the verdict.
      approvals: z
        .array(z.object({ by: z.string(), environments: z.array(z.string()) }))
        .catch([])
        .default([]),
      tagRollbacks: z
        .array(z.object({ tag: z.string(), from: z.string() }))
        .catch([])
        .default([]),
    })
    .refine(
      (extension) => extension.excepted === 0 || extension.exceptions !== undefined,
      "exceptions were applied, and it does not say until when they hold",
    ),
});

/** What the gate decides on. */
export interface VerificationSummary {
  timeVerified: Date;
  policyDigest: Readonly<Record<string, string>>;
  policySerial: number;
  inputs: readonly Readonly<Record<string, string>>[];
  result: "PASSED" | "FAILED";
  levels: readonly string[];
  /** How many violations exceptions set aside. */
  excepted: number;
  /** Where exceptions were applied. */
  exceptions?: SummaryExceptions;
  /** Of a failure that its signer lets count only from then on. */
  countsFrom?: Date;
  /** Of promote. */
  environment?: string;
  /** Of promote, for the record: nothing is decided on them. */
  approvals: readonly SummaryApproval[];
  tagRollbacks: readonly { tag: string; from: string }[];
}

/** The `verifier.id` that a statement claims, when it is a verification summary. */
export function summaryVerifierId(statement: Pick<Statement, "predicateType" | "predicate">): string | undefined {
  if (statement.predicateType !== predicateTypes.verificationSummary) return undefined;
  const verifier = statement.predicate["verifier"];
  const id = typeof verifier === "object" && verifier !== null && "id" in verifier ? verifier.id : undefined;
  return typeof id === "string" ? id : undefined;
}

/** A summary's predicate → what the gate decides on, or what is wrong with it. */
export function readVerificationSummary({
  predicate,
}: Pick<Statement, "predicate">): VerificationSummary | { problem: string } {
  return readPredicate(predicate);
}

const readPredicate = oncePer((predicate: Statement["predicate"]): VerificationSummary | { problem: string } => {
  const parsed = summarySchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const {
    timeVerified,
    policy,
    inputAttestations,
    verificationResult,
    verifiedLevels,
    [summaryExtension]: extension,
  } = parsed.data;
  return {
    timeVerified,
    policyDigest: policy.digest,
    policySerial: extension.policySerial,
    inputs: inputAttestations.map((input) => input.digest),
    result: verificationResult,
    levels: verifiedLevels,
    excepted: extension.excepted,
    approvals: extension.approvals,
    tagRollbacks: extension.tagRollbacks,
    ...(extension.exceptions === undefined
      ? {}
      : {
          exceptions: {
            until: extension.exceptions.until,
            ...(extension.exceptions.repository === undefined ? {} : { repository: extension.exceptions.repository }),
            ...(extension.exceptions.deferred === undefined ? {} : { deferred: extension.exceptions.deferred }),
          },
        }),
    ...(extension.countsFrom === undefined ? {} : { countsFrom: extension.countsFrom }),
    ...(extension.environment === undefined ? {} : { environment: extension.environment }),
  };
});
