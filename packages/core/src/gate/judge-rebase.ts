import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import {
  formatRepository,
  type ImageId,
  isSameRepository,
  parseRepository,
} from "@goldenpath/registry-client/oci/reference";
import { ownPolicy } from "../build/strategies/find.ts";
import { mostRebases, rebase, runImage } from "../build/strategies/rebase.ts";
import type { Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type Provenance, readProvenance } from "../signing/provenance.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { destinationOf } from "./binding.ts";
import type { GateFacts, Problem, StageDecision, StageScope } from "./facts.ts";
import { compareImages, findOldDigest, findPair, findRebased, type LineageImage, listNamedImages } from "./lineage.ts";
import { evidenceAbout } from "./signed-view.ts";
import { describeWithdrawnOld } from "./withdrawn.ts";

/**
 * A rebase counts as the build where the build of the image that was rebased does: that one's evidence is judged at its
 * own digest, by the policy of now, for the same destination. And the image is that one on an approved base, told by
 * the layers of both and of both bases; what is signed only says which images to look at. A rebase of a rebase is
 * judged in the same way, as often as the policy lets it be.
 * @param decideBuild judges the build of an image, this very stage
 */
export function judgeRebase(
  scope: StageScope,
  provenance: Provenance,
  signed: VerifiedStatement,
  decideBuild: (scope: StageScope) => StageDecision,
): Problem[] {
  const { facts } = scope;
  const { policy } = facts.policy;
  const named = ownPolicy(policy, rebase).builders.filter(({ name }) => provenance.builders.includes(name));
  // Who attests names each builder that the image may be of; those count that are the signer's.
  const builders = named.filter((builder) => signed.signers.some((signer) => builder.signers.includes(signer)));
  if (builders.length === 0) {
    const wanted = named.flatMap((builder) => builder.signers).join("', '");
    return [refuse(`the rebase is attested by '${signed.signers.join("', '")}', and '${wanted}' may attest rebases`)];
  }
  const times = (facts.rebases?.times ?? 0) + 1;
  // A later rebase was held to fewer, or to a younger build: an earlier one's builder takes nothing of that back.
  const most = Math.min(facts.rebases?.most ?? mostRebases, ...builders.map((builder) => builder.most));
  if (times > most) return [refuse(`it was rebased ${times} times since its build, and the policy takes ${most}`)];
  const pair = findPair(facts.lineage, facts.image.digest, findRebased(provenance)?.digest);
  if ("problem" in pair) return [refuse(pair.problem)];
  const { now, old } = pair;
  const bases = { now: listNamedImages(provenance, runImage), old: listBases(facts, old) };
  const problems = [
    ...judgeBases(policy, bases.now),
    ...describeWithdrawnOld(old, bases.old, facts.policy),
    ...compareImages(now, old, bases),
  ].map(refuse);
  const digest = findOldDigest(now, old, scope.digest);
  const ages = builders.map(({ buildMaxAge }) => buildMaxAge ?? scope.requirement.maxAge ?? Number.POSITIVE_INFINITY);
  const maxAge = Math.min(...ages, facts.rebases?.maxAge ?? Number.POSITIVE_INFINITY);
  const rebases = { times, most, maxAge };
  return [...problems, ...judgeOldBuild(scope, provenance, { old, digest, rebases }, decideBuild)];
}

function refuse(problem: string): Problem {
  return {
    rule: "gate.builder",
    problem,
    wayOut: "Build the image again from its source, or rebase one whose build counts (docs/rebase.md).",
  };
}

/** Bases by a list have to be in it; what is approved by signatures, the base stage asks for. */
function judgeBases({ bases }: Policy, named: readonly ImageId[]): string[] {
  const isApproved = ({ repository, digest }: ImageId): boolean =>
    bases.some(
      (base) =>
        isSameRepository(parseRepository(base.image), repository) &&
        (base.approval !== undefined || base.digests.includes(digest)),
    );
  return named
    .filter((each) => !isApproved(each))
    .map(
      ({ repository, digest }) => `it was put on ${formatRepository(repository)}@${digest}, which is no approved base`,
    );
}

/** All bases that provenances of builders name: which of them is believed, the judgement of its build says. */
function listBases(facts: GateFacts, old: LineageImage): ImageId[] {
  const { statements } = evidenceAbout(old, old.digest);
  return statements
    .filter(({ statement }) => statement.predicateType === predicateTypes.provenance)
    .filter(({ signers }) =>
      facts.environment.requires.some(
        (each) => each.stage === "build" && signers.some((name) => each.signers.includes(name)),
      ),
    )
    .flatMap(({ statement }) => {
      const read = readProvenance(statement);
      return "problem" in read ? [] : listNamedImages(read, runImage);
    });
}

/** What the gate decides on of the image that was rebased, for the same end as of the new one. */
export function describeOld(
  facts: GateFacts,
  old: LineageImage,
  rebases: NonNullable<GateFacts["rebases"]>,
): GateFacts {
  return {
    ...facts,
    rebases,
    // It is where it is; what it may become is asked of it as of the new one.
    place: "from",
    destination: destinationOf(facts),
    image: {
      repository: old.repository,
      digest: old.digest,
      children: old.children.map(({ digest }) => digest),
      layers: new Map(old.children.map(({ digest, config }) => [digest, config.rootfs.diff_ids])),
      platforms: new Map(old.children.map(({ digest, config }) => [digest, formatPlatform(config)])),
    },
    evidence: old.evidence,
  };
}

function judgeOldBuild(
  scope: StageScope,
  provenance: Provenance,
  { old, digest, rebases }: { old: LineageImage; digest: Digest; rebases: NonNullable<GateFacts["rebases"]> },
  decideBuild: (scope: StageScope) => StageDecision,
): Problem[] {
  const { facts } = scope;
  const evidence = evidenceAbout(old, digest);
  const oldFacts = describeOld(facts, old, rebases);
  const requirement = { ...scope.requirement, maxAge: rebases.maxAge };
  const decision = decideBuild({ ...scope, requirement, facts: oldFacts, digest, evidence });
  const where = `${formatRepository(old.repository)}@${digest}`;
  const isAccepted = decision.accepted.length > 0;
  const problems = decision.problems.map((each) => ({
    ...each,
    problem: `the build of the image that was rebased (${where}) ${isAccepted ? "has a warning" : "does not count"}: ${each.problem}`,
  }));
  const differs = decision.accepted.some((each) => {
    if (each.statement.predicateType !== predicateTypes.provenance) return false;
    const read = readProvenance(each.statement);
    return "problem" in read || !isSameSource(read, provenance);
  });
  const another = "its provenance says another source than that of the image that was rebased";
  return [...problems, ...(differs ? [refuse(another)] : [])];
}

/** `build.sources` is asked of what the provenance says, so it says what was built. */
function isSameSource(a: Provenance, b: Provenance): boolean {
  return (
    a.sourceRepository === b.sourceRepository &&
    a.sourceRef === b.sourceRef &&
    a.sourceCommit === b.sourceCommit &&
    a.event === b.event &&
    a.callerId === b.callerId
  );
}
