import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference, Reference } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { compareImages, type Difference } from "../build/reproducible/compare.ts";
import { listImages } from "../build/reproducible/gather.ts";
import { copySource, readSource, type Source } from "../build/source.ts";
import type { Target } from "../build/strategies/runner.ts";
import type { StageResult, Violation } from "../result.ts";

/** What a strategy made, and what the registry has of it. */
export interface BuiltImage {
  image: ImageFacts;
  sbom: string | undefined;
  tools: StageResult["tools"];
  notes: string[];
  /** What it left for later builds, where that was kept. */
  cache?: PinnedReference | undefined;
}

interface Twice {
  to: Target;
  source: Source;
  context: Context;
  client: RegistryClient;
  build(to: Target, source: Source): Promise<BuiltImage>;
}

/** Differences that a result has one by one; the rest is counted. */
const maxViolations = 50;

/**
 * Builds twice, from the folder that was given and from a copy of it elsewhere, and compares what came out: to the file
 * of the layer, and how it differs. Both images stay in quarantine under tags of their own, and the tags are only
 * given to what is the same twice. Of an index its images are compared, and not the attestations beside them, which say
 * when they were made.
 * @returns the first image; no violation where it is reproducible
 */
export async function buildTwice(work: Twice): Promise<BuiltImage & { violations: Violation[] }> {
  const { to, source, context, client } = work;
  const first = await work.build(withTag(to, "first"), source);
  const elsewhere = join(context.temporaryDirectory, "second-place", "application");
  try {
    await mkdir(elsewhere, { recursive: true });
    await copySource(source, elsewhere, context.signal);
    const second = await work.build(withTag(to, "second"), await readSource(elsewhere, elsewhere));
    const violations = await compareBuilds(first.image, second.image, work);
    const built = [first, second].map(({ image }) => image.reference.digest).join(" and ");
    if (violations.length > 0)
      return {
        ...first,
        notes: [...first.notes, `built twice, in two places: ${built}; neither has the tags`],
        violations,
      };
    await tag(first.image, to.tags, client);
    const same =
      first.image.reference.digest === second.image.reference.digest
        ? "the same digest"
        : `the same images, in an index that is another each time (the second: ${second.image.reference.digest})`;
    return { ...first, notes: [...first.notes, `built twice, in two places: ${same}`], violations };
  } finally {
    await rm(join(context.temporaryDirectory, "second-place"), { recursive: true, force: true });
  }
}

function withTag({ repository, tags }: Target, which: "first" | "second"): Target {
  const [{ tag = "" }] = tags;
  return { repository, tags: [{ ...repository, tag: `${tag.slice(0, 100)}-${which}-build` }] };
}

async function compareBuilds(first: ImageFacts, second: ImageFacts, { client, context }: Twice): Promise<Violation[]> {
  const { registry, name } = first.reference;
  const violations: Violation[] = [];
  for (const [index, child] of first.children.entries()) {
    const other = second.children[index];
    if (other?.digest === child.digest) continue;
    const place = { client, repository: { registry, name }, signal: context.signal };
    const differences =
      other === undefined
        ? [{ thing: "image", how: ["the second build has none for this platform"] }]
        : compareImages(...(await listImages(child, other, place)));
    const platform = first.children.length > 1 ? { platform: formatPlatform(child.platform) } : {};
    violations.push(...describeDifferences(differences).map((each) => ({ ...each, ...platform })));
  }
  if (first.children.length < second.children.length)
    violations.push(...describeDifferences([{ thing: "image", how: ["the second build has one more"] }]));
  return violations;
}

/** @returns at least one: the digests differ, whatever could be seen of that */
function describeDifferences(differences: readonly Difference[]): Violation[] {
  const told =
    differences.length === 0 ? [{ thing: "manifest", how: ["its own fields, such as annotations"] }] : differences;
  const violations = told.slice(0, maxViolations).map(({ thing, how }) => ({
    rule: "build.reproducible" as const,
    thing,
    problem: `It differs between two builds of the same source: ${how.join("; ")}.`,
    wayOut: wayOutOf(how),
  }));
  const more = told.length - violations.length;
  const [last] = violations.slice(-1);
  if (more > 0 && last !== undefined) last.problem += ` ${more} more differ.`;
  return violations;
}

function wayOutOf(how: readonly string[]): string {
  const starts = (name: string): boolean => how.every((each) => each.startsWith(`${name}:`));
  if (starts("mtime")) return "Have the build set times to a fixed one, such as the commit's (SOURCE_DATE_EPOCH).";
  if (starts("order")) return "Have the build write files in a sorted order.";
  if (starts("owner") || starts("mode")) return "Have the build set owners and modes, and not take the machine's.";
  if (starts("compression")) return "Compress by one program of one version.";
  return "Find what of the build writes the time, a random number, a path of the machine or an unpinned dependency there.";
}

async function tag(image: ImageFacts, tags: readonly Reference[], client: RegistryClient): Promise<void> {
  const { bytes, mediaType } = await client.fetchManifest(image.reference);
  const { registry, name } = image.reference;
  for (const each of tags) await client.pushManifest({ registry, name }, bytes, mediaType, each.tag);
}
