import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Descriptor, formatPlatform, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  formatRepository,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { planTarget } from "../build/plan-target.ts";
import { type PlatformBuild, renderIndex, takeChildren } from "../build/platforms/merge.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { code, escapeMarkdown } from "../report/markdown.ts";
import { withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import type { VerbOutcome } from "./verb.ts";

interface Merge {
  builds: readonly PlatformBuild[];
  /** References in quarantine. */
  tags: readonly string[];
  remarks: readonly string[];
}

/**
 * Makes one index of what jobs built, one a platform, each named by its digest. Nothing is built here, and no stranger's
 * code runs: the children stay what they are, and the index is pushed under the tags.
 * @throws UserError, PolicyViolation as the plan of a build; InfrastructureError `platform-differs`, the client's errors
 */
export async function mergeBuilds(
  { builds, tags, remarks }: Merge,
  policy: LoadedPolicy,
  context: Context,
): Promise<VerbOutcome> {
  const startedAt = context.now();
  const target = planTarget(policy.policy, tags, "input 'tags'");
  return withClient(context, policy, async (client) => {
    const image = await pushMerged(builds, target, client);
    const notes = [
      `merged from ${builds.map(({ platform, digest }) => `${platform} ${digest}`).join(", ")}`,
      ...target.remarks,
      ...remarks,
    ];
    const subject = resultSubject(image, () => "pass");
    const result = buildResult(context, { stage: "build", startedAt, subject, violations: [], policy, notes });
    const name = formatReference(image.reference);
    context.ports.log.info(`merged ${name}`);
    const outputs = { image: name, digest: image.reference.digest, layout: "", artifact: "", strategy: "", sbom: "" };
    return { verdict: "pass", result, outputs, summary: renderMerge(image, target.tags, notes) };
  });
}

/** One index of images that are in the repository, under its tags. */
export async function pushMerged(
  builds: readonly PlatformBuild[],
  target: { repository: Repository; tags: readonly Reference[] },
  client: RegistryClient,
): Promise<ImageFacts> {
  const children: Descriptor[][] = [];
  for (const build of builds) children.push(await fetchChildren(build, target.repository, client));
  return pushIndex(renderIndex(children), target, client);
}

async function fetchChildren(
  build: PlatformBuild,
  repository: Repository,
  client: RegistryClient,
): Promise<Descriptor[]> {
  const reference = { ...repository, digest: build.digest };
  return takeChildren(build, await client.fetchManifest(reference), await fetchImageFacts(client, reference));
}

/** By its digest first, and looked at as every later stage will, before it has a name. */
async function pushIndex(
  bytes: Uint8Array,
  { repository, tags }: { repository: Repository; tags: readonly Reference[] },
  client: RegistryClient,
): Promise<ImageFacts> {
  const digest = await client.pushManifest(repository, bytes, mediaTypes.ociIndex);
  const image = await fetchImageFacts(client, { ...repository, digest });
  for (const { tag } of tags) await client.pushManifest(repository, bytes, mediaTypes.ociIndex, tag);
  return image;
}

function renderMerge(image: ImageFacts, tags: readonly Reference[], notes: readonly string[]): string {
  const rows = [
    ["Image", code(formatReference(image.reference))],
    ["Repository", code(formatRepository(image.reference))],
    ["Tags", tags.map(({ tag }) => code(tag ?? "")).join(" ")],
    ...image.children.map(({ platform, digest }) => [escapeMarkdown(formatPlatform(platform)), code(digest)]),
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
  return `### Merged\n\n| | |\n| --- | --- |\n${table}\n\n${notes.map((note) => `- ${escapeMarkdown(note)}`).join("\n")}\n`;
}
