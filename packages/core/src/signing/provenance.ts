import { oncePer } from "@goldenpath/foundation/once-per";
import { describeIssues } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ImageId } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { runImage } from "../build/strategies/rebase.ts";
import type { JudgedBuild, Material } from "../build/strategies/strategy.ts";
import { imageSourcePrefix } from "../origin/read-import.ts";
import type { PolicyBuilder } from "../policy/schema.ts";
import { predicateTypes } from "./predicates.ts";
import { buildStatement, buildSubjects, digestSet } from "./statement.ts";
import type { Statement } from "./types.ts";
import { imageUri } from "./verification-summary.ts";

export const buildEnvironments = ["host", "container", "host-unisolated"] as const;
export type BuildEnvironment = (typeof buildEnvironments)[number];

/** As a provenance says it: what nothing here has built was built elsewhere. */
export type ProvenEnvironment = BuildEnvironment | "elsewhere";

export interface BuildSays {
  strategy?: string;
  /** Labels by platform. */
  runners?: Readonly<Record<string, string | string[]>>;
}

/**
 * What the attesting job sees for itself: its own context, the image's layers, and the policy. docs/build-type.md says
 * where each comes from.
 */
export interface ProvenanceFacts {
  image: ImageId & { children: readonly Digest[] };
  /** The commit, or the hexadecimal digits of an image's digest, where `repository` is one of images (`oci://…`). */
  source: { repository: string; commit: string; ref?: string | undefined };
  buildEnvironment: ProvenEnvironment;
  /** The strategy's. */
  buildType: string;
  /**
   * The policy's builders that can have made it: several where the image cannot tell them apart, none on a foreign
   * base.
   */
  builders: readonly PolicyBuilder[];
  /** The approved bases that the image's layers start with. */
  bases: readonly ImageId[];
  /** What those builders put into it besides. */
  materials: readonly Material[];
  /**
   * What nobody saw: the strategy, which is taken from the image that the build wrote, where the policy leaves it open;
   * and where the builds of the platforms ran, as the workflow was told.
   */
  buildSays?: BuildSays | undefined;
  /** Under which the attesting job saw that the base and the builder are approved. */
  policy: { uri: string; digest: Digest; serial: number };
  builderId: string;
  invocationId?: string | undefined;
  /** Of the run: the event that started it (`push`), and the workflow that this started. */
  event?: string | undefined;
  callerId?: string | undefined;
  startedOn: Date;
  finishedOn: Date;
}

/** SLSA provenance v1: https://slsa.dev/spec/v1.1/provenance. */
export function buildProvenance(facts: ProvenanceFacts): Statement {
  const { source } = facts;
  const predicate = {
    buildDefinition: {
      buildType: facts.buildType,
      externalParameters: {
        source: { repository: source.repository, ...(source.ref === undefined ? {} : { ref: source.ref }) },
      },
      internalParameters: {
        buildEnvironment: facts.buildEnvironment,
        builders: facts.builders.map((builder) => builder.name),
        policy: { uri: facts.policy.uri, digest: digestSet(facts.policy.digest), serial: facts.policy.serial },
        ...(facts.event === undefined ? {} : { event: facts.event }),
        ...(facts.callerId === undefined ? {} : { workflow: facts.callerId }),
        ...(facts.buildSays === undefined ? {} : { buildSays: facts.buildSays }),
      },
      resolvedDependencies: [
        describeSource(source),
        ...[...facts.bases.map((base) => ({ ...base, name: runImage })), ...facts.materials].map(describeMaterial),
      ],
    },
    runDetails: {
      builder: { id: facts.builderId },
      metadata: {
        ...(facts.invocationId === undefined ? {} : { invocationId: facts.invocationId }),
        startedOn: facts.startedOn.toISOString(),
        finishedOn: facts.finishedOn.toISOString(),
      },
    },
  };
  return buildStatement(
    buildSubjects(facts.image.repository, [facts.image.digest, ...facts.image.children]),
    predicateTypes.provenance,
    predicate,
  );
}

function describeSource({ repository, commit, ref }: ProvenanceFacts["source"]): Record<string, unknown> {
  const { uri, algorithm } = sourceUri(repository, ref);
  return { uri, digest: { [algorithm]: commit } };
}

/** Of a Git repository its commit is named, and of a repository of images the image. */
function sourceUri(repository: string, ref: string | undefined): { uri: string; algorithm: string } {
  if (repository.startsWith(imageSourcePrefix)) return { uri: repository, algorithm: "sha256" };
  return { uri: `git+${repository}${ref === undefined ? "" : `@${ref}`}`, algorithm: "gitCommit" };
}

function describeMaterial({ name, repository, digest }: Material): Record<string, unknown> {
  return { uri: imageUri(repository, digest), digest: digestSet(digest), name };
}

const provenanceSchema = z.object({
  buildDefinition: z.object({
    buildType: z.string(),
    // SLSA asks verifiers to refuse external parameters that they do not know.
    externalParameters: z.strictObject({
      source: z.strictObject({ repository: z.string(), ref: z.string().optional() }),
    }),
    internalParameters: z.object({
      buildEnvironment: z.string(),
      builders: z.array(z.string()),
      policy: z.object({ serial: z.number().int().positive(), digest: z.record(z.string(), z.string()) }),
      event: z.string().optional(),
      workflow: z.string().optional(),
    }),
    resolvedDependencies: z.array(
      z.object({
        uri: z.string().optional(),
        digest: z.record(z.string(), z.string()).optional(),
        // What is no name tells nobody anything, and is not what makes a provenance wrong.
        name: z.string().optional().catch(undefined),
      }),
    ),
  }),
  runDetails: z.object({
    builder: z.object({ id: z.string().min(1) }),
    metadata: z.object({
      invocationId: z.string().optional(),
      finishedOn: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
    }),
  }),
});

/** A workflow run of the source repository: IDs rise, and a run that is run again keeps its own. */
export interface RunNumber {
  id: number;
  attempt: number;
}

/** What the gate decides on. */
export interface Provenance extends JudgedBuild {
  buildType: string;
  builderId: string;
  sourceRepository: string;
  sourceRef?: string | undefined;
  /** The event that started the run, and the workflow that it started; undefined outside of GitHub. */
  event?: string | undefined;
  callerId?: string | undefined;
  /** The run that attested it; undefined outside of GitHub. */
  run?: RunNumber | undefined;
  /**
   * 40 (or, with SHA-256, 64) hex digits; undefined where no dependency names a commit of the source. Of a source of
   * images (`oci://…`) the digest's.
   */
  sourceCommit: string | undefined;
  buildEnvironment: string;
  policySerial: number;
  policyDigest: Readonly<Record<string, string>>;
  finishedOn: Date;
}

/** A provenance statement of one of our build types → what the gate decides on, or what is wrong with it. */
export function readProvenance({ predicate }: Pick<Statement, "predicate">): Provenance | { problem: string } {
  return readPredicate(predicate);
}

const readPredicate = oncePer((predicate: Statement["predicate"]): Provenance | { problem: string } => {
  const parsed = provenanceSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildDefinition, runDetails } = parsed.data;
  const { source } = buildDefinition.externalParameters;
  const { uri, algorithm } = sourceUri(source.repository, source.ref);
  const commit = buildDefinition.resolvedDependencies.find((dependency) => dependency.uri === uri)?.digest?.[algorithm];
  return {
    buildType: buildDefinition.buildType,
    builderId: runDetails.builder.id,
    sourceRepository: source.repository,
    sourceRef: source.ref,
    event: buildDefinition.internalParameters.event,
    callerId: buildDefinition.internalParameters.workflow,
    run: readRun(source.repository, runDetails.metadata.invocationId),
    sourceCommit: commit !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit) ? commit : undefined,
    buildEnvironment: buildDefinition.internalParameters.buildEnvironment,
    builders: buildDefinition.internalParameters.builders,
    dependencies: buildDefinition.resolvedDependencies,
    policySerial: buildDefinition.internalParameters.policy.serial,
    policyDigest: buildDefinition.internalParameters.policy.digest,
    finishedOn: runDetails.metadata.finishedOn,
  };
});

/** `https://github.com/acme/shop/actions/runs/123/attempts/1`, of the source repository itself. */
function readRun(repository: string, invocationId: string | undefined): RunNumber | undefined {
  const prefix = `${repository}/actions/runs/`;
  if (invocationId?.startsWith(prefix) !== true) return undefined;
  const numbers = /^([1-9]\d{0,14})\/attempts\/([1-9]\d{0,5})$/.exec(invocationId.slice(prefix.length));
  return numbers === null ? undefined : { id: Number(numbers[1]), attempt: Number(numbers[2]) };
}
