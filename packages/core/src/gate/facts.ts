import type { Rule } from "@goldenpath/foundation/rules";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageId, Repository } from "@goldenpath/registry-client/oci/reference";
import type { OwnDay } from "../policy/enforcement.ts";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";
import type { Verdict, Violation } from "../result.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import type { Stage } from "../stages.ts";
import type { Lineage } from "./lineage.ts";

/** Everything that the gate decides on. */
export interface GateFacts {
  environmentName: string;
  environment: PolicyEnvironment;
  policy: LoadedPolicy;
  now: Date;
  /**
   * Which of the environment's lists the image's repository must be in: `from` before a promotion, `to` at its
   * destination.
   */
  place: "from" | "to";
  /** Where a promotion is to take it; unknown where it is only looked at. */
  destination?: Repository | undefined;
  image: ImageId & {
    /**
     * What runs: for an index every runnable child, for a single image that image. Never empty for an image that may
     * pass.
     */
    children: readonly Digest[];
    /** What the config of each child says that its layers unpack to, the lowest first. */
    layers: ReadonlyMap<Digest, readonly Digest[]>;
    /** `linux/amd64`, by child, as its config says: for messages, and for the policy's own rules. */
    platforms?: ReadonlyMap<Digest, string>;
  };
  /** What was collected, for the image's digest and for each child's. */
  evidence: ReadonlyMap<Digest, CollectedEvidence>;
  /** Where somebody says that it was rebased: the image, and what it was rebased from. */
  lineage?: Lineage | undefined;
  /**
   * Of an image that was rebased: so many rebases after it lies the one that the gate was asked for; how many the
   * builders of all of these take, and how old a build, in milliseconds.
   */
  rebases?: { times: number; most: number; maxAge: number };
}

/** What a message says beside a digest. A single image is its own child: its platform says nothing that its digest does not. */
export function platformToTell({ digest: own, platforms }: GateFacts["image"], digest: Digest): string | undefined {
  return digest === own ? undefined : platforms?.get(digest);
}

/** One stage whose evidence about one digest is not accepted, and why. */
export interface MissingEvidence {
  stage: Stage;
  digest: Digest;
  platform?: string;
  /** The rules that refuse it: `gate.missing`, `gate.failed`, … */
  rules: Rule[];
  /** Whose word would count. */
  signers: string[];
  problem: string;
}

export interface GateDecision {
  verdict: Exclude<Verdict, "error">;
  /** What the answer rests on: each statement once, of the stages that are accepted. */
  accepted: VerifiedStatement[];
  missing: MissingEvidence[];
  violations: Violation[];
}

/** A reason against a stage's evidence about one digest. */
export interface Problem {
  rule: Rule;
  problem: string;
  wayOut: string;
  /** It refuses at once, though others of its rule may wait for a day. */
  isFirm?: true;
  /** Its own day, where what refuses it has one. */
  own?: OwnDay;
}

/** One required stage, about one digest. */
export interface StageScope {
  facts: GateFacts;
  digest: Digest;
  stage: Stage;
  requirement: PolicyEnvironment["requires"][number];
  evidence: CollectedEvidence;
}

export interface StageDecision {
  /** Empty where one of the problems counts. */
  accepted: VerifiedStatement[];
  /** Those besides that warn until a day. */
  problems: Problem[];
}
