import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type ImageId, type Repository } from "@goldenpath/registry-client/oci/reference";
import { dayBefore } from "../policy/day.ts";
import { listDeferred } from "../policy/enforcement.ts";
import { isOfRepository } from "../policy/exceptions.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { isCounted, type StageResult } from "../result.ts";
import { isSignable, type Stage, stageEvidence, stages } from "../stages.ts";
import { buildStatement, buildSubjects } from "./statement.ts";
import type { Statement } from "./types.ts";
import { buildVerificationSummary, imageUri, type SummaryExceptions } from "./verification-summary.ts";

/** The image that is signed, as the registry has it now. */
export interface SignedImage extends ImageId {
  /** What runs of it. */
  children: readonly Digest[];
}

/** A result that may be signed: of a stage that judges, about this image, under this policy, with a finding. */
export interface SignableResult {
  stage: Stage;
  result: StageResult;
  predicateType: string;
  predicate: Record<string, unknown>;
}

/**
 * Holds a result file to what it is to be signed for. A signature makes a result evidence: one about another image,
 * under another policy, or of work that ended in an error is none.
 * @throws UserError `result-not-signable`
 */
export function checkSignable(
  result: StageResult,
  where: string,
  image: SignedImage,
  policy: LoadedPolicy,
): SignableResult {
  const refuse = (why: string, wayOut: string): UserError =>
    new UserError(`result ${where} cannot be signed: ${why}`, { code: "result-not-signable", wayOut });
  const { stage } = result;
  const known = stages.find((each) => each === stage);
  if (known !== undefined && stageEvidence(known).judge === "gate") {
    throw refuse(
      `it is of stage ${stage}, which has no verdict`,
      `Attest the ${stage} with attest, which takes no results.`,
    );
  }
  if (known === undefined || !isSignable(known)) {
    const wayOut = `Sign the results of ${stages.filter(isSignable).join(" and ")}.`;
    throw refuse(`it is of stage ${stage}, which leaves no finding to sign`, wayOut);
  }
  const { findings } = stageEvidence(known);
  if (result.verdict === "error" || result.subject === undefined) {
    throw refuse(
      `its verdict is error (${result.error?.message ?? "unknown"})`,
      `Run ${stage} again, and sign what it then says.`,
    );
  }
  const again = `Run ${stage} on ${formatRepository(image.repository)}@${image.digest} under this policy, and sign that result.`;
  const { subject } = result;
  if (subject.digest !== image.digest || subject.repository !== formatRepository(image.repository)) {
    throw refuse(
      `it is about ${subject.repository}@${subject.digest}, and the image is ${formatRepository(image.repository)}@${image.digest}`,
      again,
    );
  }
  const judged = new Set<string>(subject.children.map((child) => child.digest));
  if (judged.size !== new Set(image.children).size || image.children.some((child) => !judged.has(child))) {
    throw refuse("the images that it judged are not the image's children", again);
  }
  if (
    result.policy === undefined ||
    result.policy.digest !== policy.digest ||
    result.policy.serial !== policy.policy.serial
  ) {
    const under = result.policy === undefined ? "no policy" : `serial ${result.policy.serial}, ${result.policy.digest}`;
    throw refuse(
      `it was made under ${under}, and the policy given is serial ${policy.policy.serial}, ${policy.digest}`,
      again,
    );
  }
  if (
    result.predicateType === undefined ||
    result.predicate === undefined ||
    !findings.includes(result.predicateType)
  ) {
    throw refuse(`it has no finding of type ${findings.join(" or ")}`, again);
  }
  return { stage: known, result, predicateType: result.predicateType, predicate: result.predicate };
}

/** What the stage found, as it stands in the result. */
export function buildFindingStatement(signable: SignableResult, image: SignedImage): Statement {
  return buildStatement(
    buildSubjects(image.repository, [image.digest, ...image.children]),
    signable.predicateType,
    signable.predicate,
  );
}

/**
 * The stage's verdict, resting on its finding: the bundle by digest, and the referrer to fetch it by. Its time is when
 * the stage was done: signing the same result again gives the same statement.
 * @param countsFrom of a rescan's failure: from when on it counts
 */
export function buildVerdictStatement(
  signable: SignableResult,
  image: SignedImage,
  policy: LoadedPolicy,
  finding: { bundle: Digest; referrer: Digest },
  countsFrom?: Date,
): Statement {
  const { result } = signable;
  const counted = result.violations.filter(isCounted).length;
  const exceptions = summariseExceptions(result, image.repository);
  return buildVerificationSummary({
    stage: signable.stage,
    image,
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    passed: result.verdict === "pass",
    violations: counted,
    excepted: result.violations.length - counted,
    ...(exceptions === undefined ? {} : { exceptions }),
    countsFrom,
    timeVerified: new Date(result.finishedAt),
    inputs: [{ digest: finding.bundle, uri: imageUri(image.repository, finding.referrer) }],
    tools: result.tools,
  });
}

/**
 * The first of the last days of what a pass rests on, exceptions and warnings; and the repository, where one of them was
 * granted to it: those of the base stage's rules are, and those that were signed beside the policy; those of
 * `scan.severity` in the policy are for a vulnerability.
 */
export function summariseExceptions(
  { violations }: Pick<StageResult, "violations">,
  repository: Repository,
): SummaryExceptions | undefined {
  const applied = violations.flatMap(({ rule, exception }) =>
    exception === undefined ? [] : [{ rule, expires: exception.expires, isBound: exception.repository !== undefined }],
  );
  const deferred = listDeferred(violations);
  const [until] = [...applied.map(({ expires }) => expires), ...deferred.map(({ from }) => dayBefore(from))].sort();
  if (until === undefined) return undefined;
  return {
    until,
    ...(deferred.length === 0 ? {} : { deferred }),
    ...(applied.some(({ rule, isBound }) => isBound || isOfRepository(rule))
      ? { repository: formatRepository(repository) }
      : {}),
  };
}
