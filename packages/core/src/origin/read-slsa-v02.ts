import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { isCommit, type NamedDigest, type OriginSource, readOnlyCommit } from "./git-commits.ts";

/** The type of SLSA's provenance before version 1, which builders in use still write. https://slsa.dev/spec/v0.2/provenance */
export const provenanceTypeV02 = "https://slsa.dev/provenance/v0.2";

/** slsa-github-generator's of images: what it puts where, its own workflow says. */
export const slsaGeneratorType = "https://github.com/slsa-framework/slsa-github-generator/container@v1";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const digests = z.record(z.string(), z.string());
const schema = z.object({
  builder: z.object({ id: z.string().min(1) }),
  buildType: z.string().min(1),
  invocation: z
    .object({
      configSource: z
        .object({ uri: z.string().optional(), digest: digests.optional(), entryPoint: z.string().optional() })
        .optional(),
      environment: z.record(z.string(), z.unknown()).nullish(),
    })
    .optional(),
  metadata: z.object({ buildStartedOn: time.optional(), buildFinishedOn: time.optional() }).optional(),
  materials: z.array(z.object({ uri: z.string().optional(), digest: digests.optional() })).nullish(),
});
type Parsed = z.output<typeof schema>;

/** What is read of it: as of version 1. */
export interface ProvenanceV02 {
  buildType: string;
  builderId: string;
  source: OriginSource;
  finishedOn?: Date | undefined;
}

/**
 * The predicate of a SLSA provenance v0.2 → what is decided on. Of slsa-github-generator's build type repository, ref,
 * commit, workflow and event are read; of any other, as of version 1, exactly one commit of a Git repository among its
 * materials and its configuration's source.
 */
export function readProvenanceV02(predicate: Readonly<Record<string, unknown>>): ProvenanceV02 | { problem: string } {
  const parsed = schema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildType, builder, metadata } = parsed.data;
  const source = buildType === slsaGeneratorType ? readGenerator(parsed.data) : readMaterials(parsed.data);
  if ("problem" in source) return source;
  const { buildStartedOn, buildFinishedOn = buildStartedOn } = metadata ?? {};
  return { buildType, builderId: builder.id, source, finishedOn: buildFinishedOn };
}

/** `git+https://HOST/OWNER/REPO@REF` */
const generatorUri = /^git\+(https:\/\/[^\s@?#]+)@(refs\/[^\s@?#]+)$/;

function readGenerator({ invocation, materials }: Parsed): OriginSource | { problem: string } {
  const { uri = "", digest, entryPoint } = invocation?.configSource ?? {};
  const [, repository, ref] = generatorUri.exec(uri) ?? [];
  const version = digest?.["sha1"];
  if (repository === undefined || version === undefined || !isCommit(version))
    return { problem: "what it was built from is no commit of a repository at an https URL" };
  if ((materials ?? []).some((each) => each.uri === uri && each.digest?.["sha1"] !== version))
    return { problem: `it names two commits of ${uri}` };
  const event = invocation?.environment?.["github_event_name"];
  // A run whose event is not known may be a pull request's.
  if (typeof event !== "string" || event === "") return { problem: "it does not name the event that started the run" };
  if (entryPoint === undefined) return { problem: "it does not name the workflow that was started" };
  return { repository, version, ref, event, callerId: `${repository}/${entryPoint}@${ref}` };
}

function readMaterials({ invocation, materials }: Parsed): OriginSource | { problem: string } {
  const { uri, digest } = invocation?.configSource ?? {};
  const all: NamedDigest[] = [{ uri, digest }, ...(materials ?? [])];
  // The source is a material as well, as the specification has it.
  const commitOf = ({ digest: of }: NamedDigest): string | undefined => of?.["gitCommit"] ?? of?.["sha1"];
  const once = new Map(all.map((each) => [JSON.stringify([each.uri, commitOf(each)]), each]));
  return readOnlyCommit([...once.values()]);
}
