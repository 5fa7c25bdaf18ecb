import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { RunFacts } from "@goldenpath/foundation/ports";
import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { findStrategy, ownPolicy, type StrategyName } from "../build/strategies/find.ts";
import type { Builder, BuildStrategy, FoundBase, Proof, SeenImage, SignedView } from "../build/strategies/strategy.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import type { ProvenanceFacts } from "./provenance.ts";
import type { SignedImage } from "./result-statements.ts";

/** What else there is to tell a build by. */
export interface BuildHints {
  /** Who runs the attesting job knows by which strategy it was built. */
  strategy?: StrategyName | undefined;
  /** One per child. */
  configs?: readonly ImageConfig[];
  /** What the policy's signers have signed about it, where the policy takes builds from elsewhere. */
  signed?: SignedView | undefined;
}

/**
 * What the job that attests a build sees for itself. The source, the commit and the workflow are its own context's,
 * which nobody can set but the runner; what the image proves of its builder is for the strategy to say. The build's own
 * word for either is not asked for: it ran strangers' code.
 * @param bases one per child, undefined for a child that stands on no approved base: then there is no builder, and the
 *   gate says so
 * @throws UserError `source-unknown`, `strategy-unknown`; PolicyViolation `build.strategy`, `build.image`
 */
export function describeBuild(
  image: SignedImage,
  policy: LoadedPolicy,
  run: RunFacts,
  bases: readonly (FoundBase | undefined)[],
  { strategy, configs = [], signed }: BuildHints = {},
): Omit<ProvenanceFacts, "buildEnvironment" | "startedOn" | "finishedOn"> & { isContained: boolean } {
  const found = bases.filter((base) => base !== undefined);
  const children = bases.map((base, index) => ({ base, config: configs[index] }));
  const all = proveAll({ children, signed }, policy.policy);
  const proven = chooseProven(all, policy.policy, strategy);
  const builders = listBuilders(proven, policy.policy);
  return {
    isContained: builders.length > 0 && areContained(proven, all, policy.policy),
    image,
    ...describeSource(proven, run),
    buildType: proven.strategy.buildType,
    builders,
    bases: [
      ...new Map(found.map((base) => [base.digest, { repository: base.repository, digest: base.digest }])).values(),
    ],
    materials: proven.proof.materials,
    buildSays: proven.buildSays,
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    builderId: run.builderId,
    invocationId: run.runUrl === undefined ? undefined : `${run.runUrl}/attempts/${run.runAttempt ?? 1}`,
  };
}

/**
 * Of a build of this run what its own context says; of one elsewhere what is signed, and nothing of the run that takes
 * it in: that has built nothing.
 */
function describeSource(
  { strategy, proof }: Proven,
  run: RunFacts,
): Pick<ProvenanceFacts, "source" | "event" | "callerId"> {
  if (strategy.isElsewhere === true) {
    if (proof.source === undefined) throw nothingProven(strategy, proof.objections ?? []);
    const { repository, version, ref, event, callerId } = proof.source;
    return { source: { repository, commit: version, ref }, event, callerId };
  }
  if (run.sourceRepository === undefined || run.sourceCommit === undefined) {
    throw new UserError("it is not known which commit the image was built from", {
      code: "source-unknown",
      wayOut: "Run this in the workflow that built the image, or in a checkout of its source that has a remote.",
    });
  }
  return {
    source: { repository: run.sourceRepository, commit: run.sourceCommit, ref: run.sourceRef },
    event: run.event,
    callerId: run.callerId,
  };
}

function nothingProven({ name, isRebase }: BuildStrategy, objections: readonly string[]): PolicyViolation {
  const rests =
    isRebase === true
      ? "is of an image that was rebased, by its layers and the build of the old one"
      : "takes what was built elsewhere by what is signed about it";
  return new PolicyViolation(`strategy '${name}' ${rests}: ${objections.join("; ") || "nothing is"}`, {
    code: "origin-unproven",
    rule: "build.image",
    wayOut:
      isRebase === true
        ? "Rebase by goldenpath base rebase what the path has built, or build it again from its source (docs/rebase.md)."
        : "Have the image signed by a pipeline that the policy names, or imported by the platform's signer (docs/images.md).",
  });
}

interface Proven {
  strategy: BuildStrategy;
  proof: Proof;
}

interface ProvenBuild extends Proven {
  buildSays?: { strategy: string };
}

/** What each strategy that the policy allows can say of the image. */
function proveAll(image: SeenImage, policy: Policy): Proven[] {
  return [...new Set(policy.build.strategies)].map((name) => {
    const strategy = findStrategy(name);
    return { strategy, proof: strategy.prove(image, ownPolicy(policy, strategy)) };
  });
}

function listBuilders({ proof }: Proven, { build }: Policy): Policy["build"]["builders"] {
  return build.builders.filter((builder) => proof.builders.includes(builder.name));
}

/**
 * Whether it was built in an image of the policy. Which strategy it was is the build's own word or the caller's where
 * several could have made it: as long as one of those builds on the host, and the policy lets it, it may have been that.
 */
function areContained(chosen: Proven, all: readonly Proven[], policy: Policy): boolean {
  const isHostAllowed = policy.build.isolation.some((each) => each !== "container");
  return (isHostAllowed ? all : [chosen]).every(({ strategy, proof }) =>
    listBuilders({ strategy, proof }, policy).every((builder: Builder) => strategy.isContained?.(builder) === true),
  );
}

/**
 * By the strategy that is named, or the only one that the policy allows; of several, by the one whose mark the image
 * bears, which the build put there.
 */
function chooseProven(proven: readonly Proven[], policy: Policy, named: StrategyName | undefined): ProvenBuild {
  const claimed = proven.filter(({ proof }) => proof.isClaimed);
  const chosen = proven.find(({ strategy }) => strategy.name === named);
  if (chosen !== undefined) return holdToMarks(chosen, claimed, policy);
  if (named !== undefined) throw notAllowed(named, policy);
  const [only] = proven;
  if (only !== undefined && proven.length === 1) return only;
  const [one] = claimed;
  if (one !== undefined && claimed.length === 1) return { ...one, buildSays: { strategy: one.strategy.name } };
  const marks = claimed.map(({ strategy }) => strategy.name).join(" and ") || "none of them";
  throw new UserError(
    `policy '${policy.name}' allows the strategies ${proven.map(({ strategy }) => strategy.name).join(", ")}, and the image bears the mark of ${marks}: it is not known which one built it`,
    { code: "strategy-unknown", wayOut: "Say it by the input 'strategy'." },
  );
}

/**
 * A caller may say which strategy it was where no image says it, and not that it was another than the image says. That
 * is no `buildSays`: the word is the attesting workflow's, as the environment is, and no output of the build's job. A
 * rebased image bears the mark of what built it, whatever is against the rebase: that is for the message to say.
 */
function holdToMarks(named: Proven, claimed: readonly Proven[], policy: Policy): Proven {
  if (named.proof.isClaimed || named.strategy.isRebase === true || claimed.length === 0) return named;
  const marks = claimed.map(({ strategy }) => strategy.name).join(" and ");
  throw new UserError(
    `input 'strategy' is '${named.strategy.name}', and the image bears the mark of ${marks} (policy '${policy.name}' allows both)`,
    { code: "strategy-unknown", wayOut: "Name the strategy that built the image, or none." },
  );
}

function notAllowed(named: string, policy: Policy): PolicyViolation {
  return new PolicyViolation(
    `strategy '${named}' is not one that policy '${policy.name}' allows: ${policy.build.strategies.join(", ")}`,
    {
      code: "build-strategy-not-allowed",
      rule: "build.strategy",
      wayOut: "Build by a strategy that is allowed, or have this one added to the policy's build.strategies.",
    },
  );
}
