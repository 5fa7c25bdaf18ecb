import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { FactValues } from "../policy/custom-rules/facts.ts";
import { type BrokenRule, judgeRules } from "../policy/custom-rules/judge-rules.ts";
import type { CustomRule } from "../policy/custom-rules/section.ts";
import { deferViolation } from "../policy/enforcement.ts";
import type { Violation } from "../result.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type Provenance, readProvenance } from "../signing/provenance.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Stage } from "../stages.ts";
import { type GateFacts, platformToTell } from "./facts.ts";

/** What the gate accepted about one digest. */
export interface AcceptedEvidence {
  stage: Stage;
  signed: VerifiedStatement;
}

/**
 * The policy's `rules` of stage gate, asked about each platform's image with what is accepted about it. No exception
 * sets them aside; they may wait for their day. Rule: `gate.rule`.
 */
export function judgeOwnRules(
  facts: GateFacts,
  accepted: ReadonlyMap<Digest, readonly AcceptedEvidence[]>,
): Violation[] {
  const { environmentName, policy, now, image } = facts;
  const days = { enforceFrom: policy.policy.enforceFrom, now };
  return image.children.flatMap((digest) => {
    const platform = image.platforms?.get(digest);
    const about = accepted.get(digest) ?? [];
    const thing = `${formatRepository(image.repository)}@${digest}`;
    const values = listGateFacts({
      image: {
        repository: formatRepository(image.repository),
        digest,
        ...(platform === undefined ? {} : { platform }),
      },
      ...{ environment: environmentName, accepted: about, source: findSource(about), now },
    });
    const told = platformToTell(image, digest);
    return askEnvironment(policy.policy.rules, environmentName, values).map(({ name: _name, own, ...each }) =>
      deferViolation({ ...each, thing, ...(told === undefined ? {} : { platform: told }) }, days, own),
    );
  });
}

/** Those of an environment, and of all. */
export function askEnvironment(rules: readonly CustomRule[], environment: string, values: FactValues): BrokenRule[] {
  return judgeRules(
    rules.filter(({ environments }) => environments === undefined || environments.includes(environment)),
    "gate",
    values,
  );
}

export type BuildSource = Partial<
  Pick<Provenance, "sourceRepository" | "sourceRef" | "sourceCommit" | "event" | "builderId">
>;

interface GateRuleFacts {
  image: { repository: string; digest: string; platform?: string };
  environment: string;
  accepted: readonly AcceptedEvidence[];
  source: BuildSource | undefined;
  now: Date;
}

/** What rules of stage gate can ask for; `policy/custom-rules/facts.ts` says what each is. */
export function listGateFacts({ image, environment, accepted, source, now }: GateRuleFacts): FactValues {
  return {
    ...{ image, environment, now },
    evidence: accepted.map(({ stage, signed: { statement, signers, time } }) => ({
      ...{ stage, signers, predicateType: statement.predicateType },
      ...(time === undefined ? {} : { signedAt: time }),
    })),
    ...(source === undefined ? {} : { source: tellSource(source) }),
  };
}

function tellSource({ sourceRepository, sourceRef, sourceCommit, event, builderId }: BuildSource): object {
  const told = { repository: sourceRepository, ref: sourceRef, commit: sourceCommit, event, workflow: builderId };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined && value !== ""));
}

/** Of the accepted provenance; where there are several, none that a rule could ask for. */
function findSource(accepted: readonly AcceptedEvidence[]): BuildSource | undefined {
  const [first, ...others] = accepted
    .filter(({ stage, signed }) => stage === "build" && signed.statement.predicateType === predicateTypes.provenance)
    .map(({ signed }) => readProvenance(signed.statement));
  return first === undefined || others.length > 0 || "problem" in first ? undefined : first;
}
