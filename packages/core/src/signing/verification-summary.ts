import { z } from "zod";
import type { Digest } from "../oci/digest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import type { Stage } from "../policy/schema.ts";
import { predicateTypes, stageLevel, stageVerifierId } from "./predicates.ts";
import { buildStatement, buildSubjects, digestSet } from "./statement.ts";
import type { Statement } from "./types.ts";

/** The field by which goldenpath extends the verification summary; SLSA lets producers add fields whose names are URIs. */
export const summaryExtension = "https://github.com/goldenpath-ci/goldenpath/predicates/verification-summary/v1";

export interface SummaryFacts {
  stage: Stage;
  image: { repository: Repository; digest: Digest; children: readonly Digest[] };
  policy: { uri: string; digest: Digest; serial: number };
  passed: boolean;
  /** Violations that count. With a pass there are none. */
  violations: number;
  /** Violations that an exception of the policy set aside. */
  excepted: number;
  /** When the stage judged: not when it was signed. */
  timeVerified: Date;
  /** The bundles of what the verdict rests on. */
  inputs: readonly { digest: Digest; uri: string }[];
  /** Name → version, of the tools that took part. */
  tools: readonly { name: string; version: string }[];
}

/**
 * A stage's verdict as a SLSA verification summary: https://slsa.dev/spec/v1.1/verification_summary. The level is the stage's own custom one
 * (custom levels must not start with `SLSA_`), or `FAILED`.
 */
export function buildVerificationSummary(facts: SummaryFacts): Statement {
  const { image, policy } = facts;
  const predicate = {
    verifier: {
      id: stageVerifierId(facts.stage),
      ...(facts.tools.length === 0 ? {} : { version: Object.fromEntries(facts.tools.map((tool) => [tool.name, tool.version])) }),
    },
    timeVerified: facts.timeVerified.toISOString(),
    resourceUri: imageUri(image.repository, image.digest),
    policy: { uri: policy.uri, digest: digestSet(policy.digest) },
    inputAttestations: facts.inputs.map((input) => ({ uri: input.uri, digest: digestSet(input.digest) })),
    verificationResult: facts.passed ? "PASSED" : "FAILED",
    verifiedLevels: [facts.passed ? stageLevel(facts.stage) : "FAILED"],
    slsaVersion: "1.1",
    [summaryExtension]: { policySerial: policy.serial, violations: facts.violations, excepted: facts.excepted },
  };
  return buildStatement(buildSubjects(image.repository, [image.digest, ...image.children]), predicateTypes.verificationSummary, predicate);
}

/** An image as a package URL (https://github.com/package-url/purl-spec, type oci). */
export function imageUri(repository: Repository, digest: Digest): string {
  const name = repository.name.slice(repository.name.lastIndexOf("/") + 1);
  return `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(formatRepository(repository))}`;
}

const digestSetSchema = z.record(z.string(), z.string());

const summarySchema = z.object({
  verifier: z.object({ id: z.string() }),
  timeVerified: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
  policy: z.object({ uri: z.string(), digest: digestSetSchema }),
  inputAttestations: z.array(z.object({ digest: digestSetSchema })),
  verificationResult: z.enum(["PASSED", "FAILED"]),
  verifiedLevels: z.array(z.string()),
  [summaryExtension]: z.object({ policySerial: z.number().int().positive() }),
});

/** What the gate decides on. */
export interface VerificationSummary {
  timeVerified: Date;
  policyDigest: Readonly<Record<string, string>>;
  policySerial: number;
  inputs: readonly Readonly<Record<string, string>>[];
  result: "PASSED" | "FAILED";
  levels: readonly string[];
}

/** The `verifier.id` that a statement claims, when it is a verification summary. */
export function summaryVerifierId(statement: Statement): string | undefined {
  if (statement.predicateType !== predicateTypes.verificationSummary) return undefined;
  const verifier = statement.predicate["verifier"];
  const id = typeof verifier === "object" && verifier !== null && "id" in verifier ? verifier.id : undefined;
  return typeof id === "string" ? id : undefined;
}

/** A summary's predicate → what the gate decides on, or what is wrong with it. */
export function readVerificationSummary(statement: Statement): VerificationSummary | { problem: string } {
  const parsed = summarySchema.safeParse(statement.predicate);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error).replaceAll("\n", " ") };
  const { timeVerified, policy, inputAttestations, verificationResult, verifiedLevels, [summaryExtension]: extension } = parsed.data;
  return {
    timeVerified,
    policyDigest: policy.digest,
    policySerial: extension.policySerial,
    inputs: inputAttestations.map((input) => input.digest),
    result: verificationResult,
    levels: verifiedLevels,
  };
}
