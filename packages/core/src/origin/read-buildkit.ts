import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { WorkflowIdentity } from "../signing/workflow-identity.ts";
import { readOnlyCommit } from "./git-commits.ts";
import type { ForeignProvenance } from "./read-foreign.ts";
import { provenanceTypeV02 } from "./read-slsa-v02.ts";

/** BuildKit's build types, in SLSA's provenance v1 and v0.2. */
const buildTypeV1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const buildTypeV02 = "https://mobyproject.org/buildkit@v1";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const configSource = z.object({
  uri: z.string().optional(),
  digest: z.record(z.string(), z.string()).optional(),
});

const schemaV1 = z.object({
  buildDefinition: z.object({
    buildType: z.string(),
    externalParameters: z.object({ configSource }),
  }),
  runDetails: z.object({
    metadata: z.object({ startedOn: time.optional(), finishedOn: time.optional() }).optional(),
  }),
});
const schemaV02 = z.object({
  buildType: z.string(),
  invocation: z.object({ configSource }),
  metadata: z.object({ buildStartedOn: time.optional(), buildFinishedOn: time.optional() }).optional(),
});

interface Told {
  buildType: string;
  configSource: z.output<typeof configSource>;
  startedOn?: Date | undefined;
  finishedOn?: Date | undefined;
}

/**
 * What BuildKit says of a build, where who signs has signed the manifest that it lies in → what is decided on. BuildKit
 * runs what it is given, a frontend and its options, and writes down what it was told of who runs it: `builder.id` is the
 * address of a run. So the builder is the workflow of the certificate, and of the source there has to be the commit that
 * the build began with, for the certificate to be compared with it. What a Dockerfile fetches besides, another commit
 * too, is no source.
 */
export function readBuildKitProvenance(
  { predicateType, predicate }: { predicateType: string; predicate: Readonly<Record<string, unknown>> },
  identity: WorkflowIdentity | undefined,
): ForeignProvenance | { problem: string } {
  const told = predicateType === provenanceTypeV02 ? readV02(predicate) : readV1(predicate);
  if ("problem" in told) return told;
  const { buildType, startedOn, finishedOn = startedOn } = told;
  if (buildType !== (predicateType === provenanceTypeV02 ? buildTypeV02 : buildTypeV1))
    return { problem: `it lies in a manifest that is signed, and is of build type ${buildType}, not BuildKit's` };
  if (identity === undefined) return { problem: "nobody certifies the run that signed the manifest that it lies in" };
  const source = readOnlyCommit([told.configSource]);
  if ("problem" in source)
    return {
      problem: `the build did not begin with a commit of a repository at an https URL, but with ${told.configSource.uri ?? "files of its machine"}`,
    };
  return { buildType, builderId: identity.buildSignerUri, source, finishedOn };
}

function readV1(predicate: Readonly<Record<string, unknown>>): Told | { problem: string } {
  const parsed = schemaV1.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildDefinition, runDetails } = parsed.data;
  const { startedOn, finishedOn } = runDetails.metadata ?? {};
  const { buildType, externalParameters } = buildDefinition;
  return { buildType, configSource: externalParameters.configSource, startedOn, finishedOn };
}

function readV02(predicate: Readonly<Record<string, unknown>>): Told | { problem: string } {
  const parsed = schemaV02.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { buildType, invocation, metadata } = parsed.data;
  const { buildStartedOn: startedOn, buildFinishedOn: finishedOn } = metadata ?? {};
  return { buildType, configSource: invocation.configSource, startedOn, finishedOn };
}
