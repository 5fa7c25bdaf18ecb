import type { SourcePlace } from "@goldenpath/foundation/errors";
import type { Rule } from "@goldenpath/foundation/rules";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import type { ImageId } from "@goldenpath/registry-client/oci/reference";
import type { z } from "zod";
import type { WorkflowIdentity } from "../../signing/workflow-identity.ts";
import type { OptionName } from "../options.ts";
import type { Project } from "../project.ts";
import type { Language } from "../survey/ecosystems.ts";
import type { Survey } from "../survey/survey.ts";

/** What every builder of a policy has, of whatever kind. */
export interface Builder {
  /** The strategy that it is for. */
  kind?: string | undefined;
  name: string;
  /** The approved base that it puts applications on. None, where the application says which one: a Dockerfile does. */
  runImage?: string;
  /** Approved bases that the application may choose among, where it chooses. */
  bases?: readonly string[] | undefined;
  /** The repository of the image that it builds in, and its approved versions, the newest last: where it has one. */
  image?: string | undefined;
  digests?: readonly Digest[] | undefined;
  /** Who must have approved the version that new builds use, where the policy's list is not enough. */
  approval?: { signers: readonly string[]; maxAge?: number | undefined; tag?: string | undefined } | undefined;
  /** Images that it builds with instead of in one. */
  buildpacks?: readonly string[] | undefined;
  /** The day (UTC) on which its newest version was approved. */
  approved?: string | undefined;
  /** The last day (UTC) on which anything is built with it. */
  until?: string | undefined;
  /** Languages of applications that it builds; undefined, where the policy does not say. */
  languages?: readonly Language[] | undefined;
}

/** A base of a policy, as far as a strategy has to know it. */
export interface ApprovedBase {
  name: string;
  /** Its repository. */
  image: string;
  /** The approved versions; new builds go on the last one. */
  digests: readonly string[];
  /** The last day (UTC) on which images may stand on it. */
  until?: string | undefined;
}

/** By what an application can ask for a strategy, what tells most first. */
export const evidenceOrder = ["descriptor", "plugin", "language", "dockerfile", "pages"] as const;
export type Evidence = (typeof evidenceOrder)[number];

/** What an application's project.toml says, for strategies that go by it. */
export interface DescribedApplication {
  project: Project;
  /** From the checkout's root. */
  file: string;
}

/**
 * A way of making images: the half that decides, from facts alone. `verify` and `promote` load it, so it knows no
 * registry, no file and no process; what builds is a {@link StrategyRunner} in `runners.ts`.
 */
export interface BuildStrategy<Own extends Builder = Builder, Plan extends object = object> {
  /** In a policy's `build.strategies`, in its builders' `kind`, and in the input `strategy`. */
  readonly name: string;
  /** A builder in a policy: an object with a `kind` of this name, and with what every builder has. */
  readonly builderSchema: z.ZodType<Own>;
  /** Of its provenance: a URI under which its fields are explained. */
  readonly buildType: string;
  /** The inputs that it takes besides `context`, `tags` and `builder`. */
  readonly takes: readonly OptionName[];
  /** The programs that it can build with, by the values of the input `engine`. Whoever has one alone takes no input. */
  readonly engines: readonly string[];
  /**
   * What its `detect` goes by: a plugin of the application's build that makes images, its language, its Dockerfile. Where
   * several strategies apply, what tells most goes first.
   */
  readonly evidence: Exclude<Evidence, "descriptor" | "pages">;
  /**
   * The application's build gets this machine's Docker daemon, with which it can do what root can: a policy has to
   * allow `host-unisolated`, and the provenance says so.
   */
  readonly hasDaemon?: true;
  /**
   * It builds nothing: something else has built the image, elsewhere, and its bytes are taken as they are. It has no
   * runner, and no environment of the policy is where it was built.
   */
  readonly isElsewhere?: true;
  /**
   * It puts what was built on another base, and rests on the build of the image that was rebased: the gate judges that
   * one, and that nothing but the base is another.
   */
  readonly isRebase?: true;
  /**
   * What is in an application's folder → what speaks for this strategy, one clause each: `package.json (Node.js)`.
   * Empty: nothing does.
   */
  detect(survey: Survey): string[];
  /** Where what would speak for it is told to do nothing. */
  findIdle?(survey: Survey): SourcePlace | undefined;
  /**
   * Whether strangers' code runs only where the root is an image that the policy governs: `container` in
   * `build.isolation`. Without it, it runs on the host.
   */
  isContained?(builder: Own): boolean;
  /**
   * What this strategy needs besides the base and the tags, before anything runs.
   * @param bases the policy's, for strategies whose applications choose among them
   * @param application undefined where only the policy's part is asked for
   * @throws PolicyViolation where the application's project.toml asks for what the builder does not allow
   */
  plan(builder: Own, bases: readonly ApprovedBase[], application?: DescribedApplication): Plan;
  /** What the job that attests saw of an image for itself. */
  prove(image: SeenImage, policy: OwnPolicy<Own>): Proof;
  /**
   * What is against a provenance of this build type. Whatever is not understood is an objection.
   * @param signed what others have signed about the image, for a strategy whose builds rest on that
   */
  judge(build: JudgedBuild, policy: OwnPolicy<Own>, signed?: SignedView): Objection[];
}

/** What of a policy is a strategy's: its own builders, and no other's. */
export interface OwnPolicy<Own extends Builder> {
  name: string;
  builders: readonly Own[];
}

/** An approved base of the policy that an image's layers start with. */
export interface FoundBase extends ImageId {
  /** Every name by which the policy approves these very layers. */
  names: readonly string[];
}

/** An image as the attesting job sees it. */
export interface SeenImage {
  /** What runs of it: of a single image that image. */
  children: readonly {
    /** Proven by the layers' own bytes; undefined on no approved base. */
    base: FoundBase | undefined;
    /** Written by whoever built it: hints. */
    config?: ImageConfig | undefined;
  }[];
  /** Undefined where the policy allows no strategy that goes by it. */
  signed?: SignedView | undefined;
}

/** A statement about an image or one of its children, whose signature holds. */
export interface SignedStatement {
  /** The digest that it is about. */
  subject: Digest;
  /** Names of the policy's signers. */
  signers: readonly string[];
  statement: { predicateType: string; predicate: Readonly<Record<string, unknown>> };
  /** When it was signed at the latest, where somebody else says so. */
  time?: Date | undefined;
  /** Of a certificate: the run that signed it. */
  identity?: WorkflowIdentity | undefined;
  /** The blob that holds it. */
  bundle: { digest: Digest };
  /** What is signed is the manifest that it lies in: of the run that signed, the certificate alone tells. */
  isInSignedManifest?: true;
}

/** An image that was rebased, as the attesting job sees it. */
export interface RebasedView {
  /** What was rebased, and what that was rebased from, as far as it goes: the newest first. */
  images: readonly ImageId[];
  /** Of the build of the last of them; undefined where something is against it. */
  source?: Proof["source"];
  objections: readonly string[];
}

/** What the policy's signers have signed about an image and about what runs of it. */
export interface SignedView extends ImageId {
  children: readonly Digest[];
  statements: readonly SignedStatement[];
  /** Of signers whose word has ended since, or whose signature no longer holds: no pass, and a failure still. */
  lapsed?: readonly SignedStatement[];
  /** What counts for nothing, and why: for messages alone. */
  rejected?: readonly { subject: Digest; reason: string; claimedPredicateType?: string }[];
  /** Where somebody says that it was rebased. */
  rebased?: RebasedView | undefined;
  now: Date;
}

/** What went into an image, by digest. */
export interface Material extends ImageId {
  /** What it was for: `buildpack`. */
  name: string;
}

export interface Proof {
  /** Names of the policy's builders that can have made it: several where the image cannot tell them apart. */
  builders: readonly string[];
  /** What they put into it besides the base, as the policy pins it. */
  materials: readonly Material[];
  /**
   * Whether the image says of itself that it was made so, as a label does. That is the build's own word: it is asked
   * only where the policy allows several strategies and nobody else says which one it was, and the provenance marks it
   * as what it is.
   */
  isClaimed: boolean;
  /** Of a build elsewhere: what it was built from, and by which event and workflow, by who signed that. */
  source?:
    | {
        repository: string;
        version: string;
        ref?: string | undefined;
        event?: string | undefined;
        callerId?: string | undefined;
      }
    | undefined;
  /** Of a build elsewhere of which nothing is proven: why, a sentence each. */
  objections?: readonly string[];
}

/** What of a provenance a strategy judges. */
export interface JudgedBuild {
  /** Names of the policy's builders. */
  builders: readonly string[];
  /** The base is `run-image`, materials have the names that {@link Proof} gave them, the source has none. */
  dependencies: readonly {
    name?: string | undefined;
    uri?: string | undefined;
    digest?: Readonly<Record<string, string>> | undefined;
  }[];
  sourceRepository?: string | undefined;
  /** Or what else names the version of the source. */
  sourceCommit?: string | undefined;
  sourceRef?: string | undefined;
  /** The event that started the run, and the workflow that it started. */
  event?: string | undefined;
  callerId?: string | undefined;
}

/** Why a build does not count, and what to do besides attesting it again. */
export interface Objection {
  problem: string;
  wayOut: string;
  /** Default: `gate.builder`. */
  rule?: Extract<Rule, "gate.import">;
}

/**
 * The builders that put applications on the base that was found. None, where a part of the image stands on no approved
 * base.
 */
export function listBuildersOnBase<Own extends Builder>({ children }: SeenImage, builders: readonly Own[]): Own[] {
  const found = children.flatMap(({ base }) => base ?? []);
  const names = new Set(found.flatMap((base) => base.names));
  const isWhole = found.length > 0 && found.length === children.length;
  return isWhole ? builders.filter(({ runImage }) => runImage !== undefined && names.has(runImage)) : [];
}

/** Whether each part of it, of which there is one, bears a strategy's mark. */
export function isMarked({ children }: SeenImage, bearsMark: (config: ImageConfig | undefined) => boolean): boolean {
  return children.length > 0 && children.every(({ config }) => bearsMark(config));
}

/** Against a provenance that names a builder which the policy does not have, or none. */
export function judgeBuilders(build: JudgedBuild, { builders }: OwnPolicy<Builder>): Objection[] {
  const known = new Set(builders.map((builder) => builder.name));
  const foreign = build.builders.filter((name) => !known.has(name));
  if (build.builders.length > 0 && foreign.length === 0) return [];
  const found = foreign.length > 0 ? `builder '${foreign.join("', '")}'` : "no builder of the policy";
  return [
    {
      problem: `the provenance names ${found}`,
      wayOut: `Build with a builder of the policy (${[...known].join(", ")}).`,
    },
  ];
}
