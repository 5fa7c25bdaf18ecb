import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin } from "@goldenpath/registry-client/oci/reference";
import { deferViolation } from "../policy/enforcement.ts";
import { isCounted, type Violation, verdictOf } from "../result.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { stageEvidence } from "../stages.ts";
import { judgePromotedSource } from "./binding.ts";
import { type GateDecision, type GateFacts, type MissingEvidence, platformToTell, type StageScope } from "./facts.ts";
import { decideBuildStage } from "./judge-build.ts";
import { judgePromotedOrigin } from "./judge-origin.ts";
import { type AcceptedEvidence, judgeOwnRules } from "./judge-own-rules.ts";
import { decideVerdictStage } from "./judge-verdict.ts";
import { evidenceAbout } from "./signed-view.ts";
import { judgeWithdrawals } from "./withdrawn.ts";

/** Whoever judges a stage, what is left is held to that here. */
const judges = { gate: decideBuildStage, itself: decideVerdictStage };

/**
 * The gate: for the image and for each of its children, the evidence of every stage that the environment requires, by
 * signers whose word counts for that stage, about that digest, under this policy, and fresh. Whatever is not there, or
 * not understood, refuses. Rules: `gate.missing`, `gate.signer`, `gate.failed`, `gate.stale`, `gate.future`,
 * `gate.policy-serial`, `gate.incomplete`, `gate.malformed`, `gate.builder`, `gate.source`, `gate.destination`,
 * `gate.build-environment`, `gate.origin`, `gate.exception`, `gate.environment`, `gate.layers`, `gate.import`,
 * `gate.withdrawn`, `gate.finding`, `gate.deferred`, `gate.repository`, `gate.rule`. Of these, some may warn until a day
 * of the policy's.
 */
export function decideGate(facts: GateFacts): GateDecision {
  const accepted = new Map<string, VerifiedStatement>();
  const about = new Map<Digest, AcceptedEvidence[]>();
  const missing: MissingEvidence[] = [];
  const violations: Violation[] = [
    ...judgeOrigin(facts),
    ...judgeWithdrawals(facts),
    ...judgePromotedSource(facts, evidenceAbout(facts, facts.image.digest)),
    ...judgePromotedOrigin(facts, evidenceAbout(facts, facts.image.digest)),
  ];
  if (facts.image.children.length === 0) {
    violations.push({
      rule: "gate.missing",
      thing: `${formatRepository(facts.image.repository)}@${facts.image.digest}`,
      problem: "the index has no image that runs, so there is nothing that evidence could be about",
      wayOut: "Build an image for at least one platform.",
    });
  }
  const days = { enforceFrom: facts.policy.policy.enforceFrom, now: facts.now };
  for (const digest of new Set([facts.image.digest, ...facts.image.children])) {
    const evidence = evidenceAbout(facts, digest);
    const platform = platformToTell(facts.image, digest);
    for (const requirement of facts.environment.requires) {
      const scope: StageScope = { facts, digest, stage: requirement.stage, requirement, evidence };
      const decision = judges[stageEvidence(scope.stage).judge](scope);
      // Under cosign's older tags several statements lie in one manifest.
      for (const statement of decision.accepted)
        accepted.set(`${digest} ${statement.referrer.digest} ${statement.bundle.digest}`, statement);
      const known = about.get(digest) ?? [];
      about.set(digest, [...known, ...decision.accepted.map((signed) => ({ stage: scope.stage, signed }))]);
      const place = platform === undefined ? {} : { platform };
      const told = decision.problems.map(
        ({ own, ...problem }): Violation =>
          deferViolation({ ...problem, thing: `${scope.stage} of ${digest}`, ...place }, days, own),
      );
      violations.push(...told);
      if (!told.some(isCounted)) continue;
      missing.push({
        stage: scope.stage,
        digest,
        ...place,
        rules: [...new Set(decision.problems.map((problem) => problem.rule))],
        signers: [...requirement.signers],
        problem: decision.problems.map((problem) => problem.problem).join("; "),
      });
    }
  }
  violations.push(...judgeOwnRules(facts, about));
  return { verdict: verdictOf(violations), accepted: [...accepted.values()], missing, violations };
}

function judgeOrigin(facts: GateFacts): Violation[] {
  const allowed = facts.environment[facts.place];
  if (allowed.some((prefix) => isWithin(facts.image.repository, prefix))) return [];
  const repository = formatRepository(facts.image.repository);
  const direction = facts.place === "from" ? "takes images from" : "puts images in";
  return [
    {
      rule: "gate.origin",
      thing: repository,
      problem: `environment '${facts.environmentName}' ${direction} ${allowed.join(", ")}, and the image is in ${repository}`,
      wayOut:
        facts.place === "from"
          ? `Push the image to ${allowed.join(" or ")}, and take it along the path there.`
          : `Promote to ${allowed.join(" or ")}.`,
    },
  ];
}
