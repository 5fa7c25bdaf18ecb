import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { predicateTypes } from "../signing/predicates.ts";
import type { Statement } from "../signing/types.ts";
import { isCommit, type OriginSource, readOnlyCommit } from "./git-commits.ts";
import { provenanceTypeV02, readProvenanceV02 } from "./read-slsa-v02.ts";

/** What is read of a provenance that somebody else's build signed. */
export interface ForeignProvenance {
  buildType: string;
  builderId: string;
  source: OriginSource;
  /** When it was built, as far as it says. */
  finishedOn?: Date | undefined;
}

/** GitHub's own provenance: https://actions.github.io/buildtypes/workflow/v1 */
export const githubBuildType = "https://actions.github.io/buildtypes/workflow/v1";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const provenanceSchema = z.object({
  buildDefinition: z.object({
    buildType: z.string().min(1),
    externalParameters: z.record(z.string(), z.unknown()),
    internalParameters: z.record(z.string(), z.unknown()).optional(),
    resolvedDependencies: z
      .array(z.object({ uri: z.string().optional(), digest: z.record(z.string(), z.string()).optional() }))
      .default([]),
  }),
  runDetails: z.object({
    builder: z.object({ id: z.string().min(1) }),
    metadata: z.object({ startedOn: time.optional(), finishedOn: time.optional() }).optional(),
  }),
});
type Parsed = z.output<typeof provenanceSchema>["buildDefinition"];

const httpsRepository = /^https:\/\/[^\s@?#]+$/;

/** SLSA asks who verifies to refuse external parameters that they do not know. */
const githubParameters = z.strictObject({
  workflow: z.strictObject({ repository: z.string(), ref: z.string(), path: z.string() }),
});
const githubInternal = z.object({ github: z.object({ event_name: z.string() }) });

/** The predicates that are read: https://slsa.dev/provenance */
export const foreignTypes: readonly string[] = [predicateTypes.provenance, provenanceTypeV02];

/**
 * The predicate of a SLSA provenance that is not one of ours → what is decided on. GitHub's own is read by what its
 * build type defines. Of a type that a policy names besides, it is asked that exactly one of what it resolved is a commit
 * of a Git repository: which of several was built, a type that is not known here does not tell.
 * https://slsa.dev/spec/v1.1/provenance
 */
export function readForeignProvenance({
  predicateType,
  predicate,
}: Pick<Statement, "predicateType" | "predicate">): ForeignProvenance | { problem: string } {
  const read = predicateType === provenanceTypeV02 ? readProvenanceV02(predicate) : readV1(predicate);
  if ("problem" in read) return read;
  // What a vendor's image is of, an import says, and no build.
  if (!httpsRepository.test(read.source.repository))
    return { problem: `its source ${read.source.repository} is no repository at an https URL` };
  return read;
}

function readV1(predicate: Readonly<Record<string, unknown>>): ForeignProvenance | { problem: string } {
  const parsed = provenanceSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildDefinition, runDetails } = parsed.data;
  const { buildType } = buildDefinition;
  const source =
    buildType === githubBuildType ? readGithub(buildDefinition) : readOnlyCommit(buildDefinition.resolvedDependencies);
  if ("problem" in source) return source;
  const { startedOn, finishedOn = startedOn } = runDetails.metadata ?? {};
  return { buildType, builderId: runDetails.builder.id, source, finishedOn };
}

function readGithub({
  externalParameters,
  internalParameters,
  resolvedDependencies,
}: Parsed): OriginSource | { problem: string } {
  const external = githubParameters.safeParse(externalParameters);
  if (!external.success) return { problem: `externalParameters: ${describeIssues(external.error)}` };
  const { repository, ref, path } = external.data.workflow;
  const uri = `git+${repository}@${ref}`;
  const versions = resolvedDependencies.filter((each) => each.uri === uri).map(({ digest }) => digest?.["gitCommit"]);
  const [version, ...others] = new Set(versions);
  if (version === undefined || others.length > 0 || !isCommit(version))
    return { problem: `it names no commit of ${uri}` };
  const internal = githubInternal.safeParse(internalParameters);
  // A run whose event is not known may be a pull request's.
  if (!internal.success) return { problem: "it does not name the event that started the run" };
  return { repository, version, ref, event: internal.data.github.event_name, callerId: `${repository}/${path}@${ref}` };
}
