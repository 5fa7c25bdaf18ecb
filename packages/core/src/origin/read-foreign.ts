import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";

/** Which source an image is of, as a statement about it says. */
export interface OriginSource {
  /** `https://HOST/OWNER/REPO`; of an image that was imported `oci://HOST/NAME`. */
  repository: string;
  /** Which version of it, in hexadecimal digits: a commit; of an image its digest. */
  version: string;
  ref?: string | undefined;
  /** The event that started the build, and the workflow that this started, where the statement says so. */
  event?: string | undefined;
  callerId?: string | undefined;
}

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

/**
 * The predicate of a SLSA provenance v1 that is not one of ours → what is decided on. GitHub's own is read by what its
 * build type defines. Of a type that a policy names besides, it is asked that exactly one of what it resolved is a commit
 * of a Git repository: which of several was built, a type that is not known here does not tell.
 * https://slsa.dev/spec/v1.1/provenance
 */
export function readForeignProvenance(
  predicate: Readonly<Record<string, unknown>>,
): ForeignProvenance | { problem: string } {
  const parsed = provenanceSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildDefinition, runDetails } = parsed.data;
  const { buildType } = buildDefinition;
  const source = buildType === githubBuildType ? readGithub(buildDefinition) : readOnlyCommit(buildDefinition);
  if ("problem" in source) return source;
  // What a vendor's image is of, an import says, and no build.
  if (!httpsRepository.test(source.repository))
    return { problem: `its source ${source.repository} is no repository at an https URL` };
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

/** `git+https://HOST/PATH[.git][@REF]`, as in-toto's resource descriptors and SPDX have it. */
const gitUri = /^git\+(https:\/\/[^\s@?#]+?)(?:\.git)?\/?(?:@(refs\/[^\s@?#]+))?$/;

/**
 * Ways to write a repository of Git besides `git+…`: of what a SHA-1 names at another URI, it may be a file's own. A
 * commit that is called so (`gitCommit`) is one under any URI.
 */
const gitLike = /^(?:git[+:@]|ssh:|pkg:(?:github|gitlab|bitbucket)\/)|\.git(?:$|[/@#?])/i;

function readOnlyCommit({ resolvedDependencies }: Parsed): OriginSource | { problem: string } {
  const commits = resolvedDependencies.flatMap(({ uri = "", digest = {} }) => {
    const version = digest["gitCommit"] ?? (gitLike.test(uri) ? digest["sha1"] : undefined);
    if (version === undefined && !uri.startsWith("git+")) return [];
    const [, repository, ref] = gitUri.exec(uri) ?? [];
    return [{ repository, ref, version }];
  });
  const [only, ...others] = commits;
  if (only === undefined || others.length > 0)
    return { problem: `it names ${commits.length} commits of Git repositories, and not the one that was built` };
  const { repository, ref, version } = only;
  if (repository === undefined || version === undefined || !isCommit(version))
    return { problem: "what it was built from is no commit of a repository at an https URL" };
  return { repository, version, ref };
}

function isCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
