import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { describeError, isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { LoadedPolicy } from "../policy/schema.ts";
import {
  type ResultSubject,
  resultSchemaVersion,
  type StageResult,
  stageResultSchema,
  type Verdict,
  type Violation,
  verdictOf,
} from "../result.ts";
import type { ResultStage } from "../stages.ts";

export interface ResultFields {
  stage: ResultStage;
  startedAt: Date;
  subject: ResultSubject;
  violations: Violation[];
  /** Without a place and a digest where nobody's policy was given: the result then names none. */
  policy: Pick<LoadedPolicy, "policy"> & Partial<LoadedPolicy>;
  predicateType?: string;
  predicate?: Record<string, unknown>;
  comparison?: StageResult["comparison"];
  tools?: StageResult["tools"];
  notes?: string[];
}

/**
 * A stage's result with its verdict worked out from the violations, and the run's facts filled in. Throws where it
 * contradicts itself: a bug, not input.
 */
export function buildResult(context: Context, fields: ResultFields): StageResult {
  return stageResultSchema.parse({
    schemaVersion: resultSchemaVersion,
    stage: fields.stage,
    verdict: verdictOf(fields.violations),
    subject: fields.subject,
    violations: fields.violations,
    ...(fields.predicateType === undefined ? {} : { predicateType: fields.predicateType, predicate: fields.predicate }),
    ...(fields.comparison === undefined ? {} : { comparison: fields.comparison }),
    ...(fields.policy.digest === undefined
      ? {}
      : { policy: { uri: fields.policy.uri, digest: fields.policy.digest, serial: fields.policy.policy.serial } }),
    ...runFields(context),
    tools: fields.tools ?? [],
    notes: fields.notes ?? [],
    startedAt: fields.startedAt.toISOString(),
    finishedAt: context.now().toISOString(),
  });
}

/**
 * The result of work that threw: verdict `error` with what went wrong, or `fail` where it was the policy that said no
 * before there was an image to judge.
 */
export function buildErrorResult(context: Context, stage: ResultStage, startedAt: Date, error: unknown): StageResult {
  return stageResultSchema.parse({
    schemaVersion: resultSchemaVersion,
    stage,
    ...(error instanceof PolicyViolation ? refusal(stage, error) : failure(error)),
    ...runFields(context),
    tools: [],
    startedAt: startedAt.toISOString(),
    finishedAt: context.now().toISOString(),
  });
}

function refusal(stage: ResultStage, error: PolicyViolation): Pick<StageResult, "verdict" | "violations"> {
  const wayOut = error.wayOut ?? "Change what the rule names, or ask the policy's owners for a change of the policy.";
  return { verdict: "fail", violations: [{ rule: error.rule, thing: stage, problem: error.message, wayOut }] };
}

function failure(error: unknown): Pick<StageResult, "verdict" | "violations" | "error"> {
  const known = isKnownError(error);
  return {
    verdict: "error",
    violations: [],
    error: {
      code: (known ? error.code : "unexpected") satisfies ErrorCode,
      message: known ? error.message : describeError(error),
      ...(known && error.wayOut !== undefined ? { wayOut: error.wayOut } : {}),
    },
  };
}

function runFields(context: Context): Pick<StageResult, "run" | "source"> {
  const { run } = context;
  return {
    run: {
      builderId: run.builderId,
      ...(run.runId === undefined ? {} : { id: run.runId }),
      ...(run.runAttempt === undefined ? {} : { attempt: run.runAttempt }),
      ...(run.runUrl === undefined ? {} : { url: run.runUrl }),
    },
    ...(run.sourceRepository === undefined || run.sourceCommit === undefined
      ? {}
      : { source: { repository: run.sourceRepository, commit: run.sourceCommit } }),
  };
}

/** The subject of a result, each child with the verdict that `verdictFor` gives it. */
export function resultSubject(image: ImageFacts, verdictFor: (childDigest: string) => Verdict): ResultSubject {
  return {
    repository: formatRepository(image.reference),
    digest: image.reference.digest,
    mediaType: image.mediaType,
    children: image.children.map((child) => ({
      platform: child.platform,
      digest: child.digest,
      mediaType: child.descriptor.mediaType,
      verdict: verdictFor(child.digest),
    })),
  };
}
