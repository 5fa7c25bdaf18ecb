import { cleanLine } from "@goldenpath/foundation/text/clean";
import { parseJson } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { isSameRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { lifecycleLabel } from "../label.ts";

/** Labels by name. */
type Labels = Readonly<Record<string, string>>;

/** A run image, as far as the metadata of what buildpacks made tell of it. */
export interface RunImage {
  /** `HOST/NAME@sha256:…` of the platform's own image. */
  name: string;
  /** The last of its layers, unpacked. */
  topLayer: Digest | undefined;
  labels: Labels;
}

const stackId = "io.buildpacks.stack.id";
const stackMixins = "io.buildpacks.stack.mixins";
const distribution = ["io.buildpacks.base.distro.name", "io.buildpacks.base.distro.version"];
/** What an image has of its run image, and gets from the new one (the Platform API's rebaser, from 0.12 on). */
const ofRunImage = ["io.buildpacks.stack.", "io.buildpacks.base."];

const names = { image: z.string().optional(), mirrors: z.array(z.string()).nullish() };
const metadataSchema = z.looseObject({
  runImage: z.looseObject({ topLayer: z.custom<Digest>(isDigest), ...names }),
  stack: z.looseObject({ runImage: z.looseObject(names).optional() }).nullish(),
});
type Metadata = z.infer<typeof metadataSchema>;

const show = (text: string): string => `'${cleanLine(text, 100)}'`;

function readMetadata(labels: Labels): Metadata | undefined {
  try {
    const read = parseJson(labels[lifecycleLabel] ?? "");
    // As it was read: what the schema makes of it has its keys in another order.
    return metadataSchema.safeParse(read).success ? (read as Metadata) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What the labels of buildpacks' images say against another run image; nothing of an image that has none. They were
 * written by who built it and decide nothing alone: what is found here refuses besides what packages and files say.
 * The lifecycle's rebaser asks the same of them.
 */
export function judgeBuildpacks(labels: Labels, old: Pick<RunImage, "topLayer">, next: Labels): string[] {
  if (!Object.hasOwn(labels, lifecycleLabel)) return [];
  const metadata = readMetadata(labels);
  if (metadata === undefined) return [`its label ${lifecycleLabel} is not the lifecycle's metadata`];
  const { topLayer } = metadata.runImage;
  const found =
    topLayer === old.topLayer
      ? []
      : [
          `by its label ${lifecycleLabel} its run image ends with layer ${topLayer}, and the base that it stands on with ${old.topLayer}: an extension has changed its run image, or it is another one`,
        ];
  return [...found, ...judgeStack(labels, next), ...judgeDistribution(labels, next)];
}

function judgeStack(labels: Labels, next: Labels): string[] {
  const stack = labels[stackId];
  if (stack === undefined) return [];
  if (stack !== next[stackId])
    return [
      `it is of stack ${show(stack)} (label ${stackId}), and the new base of ${next[stackId] === undefined ? "none" : show(next[stackId])}`,
    ];
  const [needed, given] = [readMixins(labels), readMixins(next)];
  if (needed === undefined || given === undefined) return [`label ${stackMixins} is no list of names`];
  const missing = needed.filter((each) => !given.includes(each));
  return missing.length === 0
    ? []
    : [`the new base lacks mixins of its stack (label ${stackMixins}): ${missing.slice(0, 10).map(show).join(", ")}`];
}

/** Of a run image: those that only a build image has are of no concern. */
function readMixins(labels: Labels): string[] | undefined {
  const text = labels[stackMixins];
  if (text === undefined || text === "") return [];
  try {
    // Go writes null for a list without entries.
    const read = z.array(z.string()).nullable().parse(parseJson(text)) ?? [];
    return read.filter((each) => !each.startsWith("build:")).map((each) => each.replace(/^run:/, ""));
  } catch {
    return undefined;
  }
}

function judgeDistribution(labels: Labels, next: Labels): string[] {
  return distribution.flatMap((label) => {
    const [own, wanted] = [labels[label], next[label]];
    if (wanted === undefined || wanted === "" || own === wanted) return [];
    return [`its label ${label} is ${own === undefined ? "not there" : show(own)}, and the new base's ${show(wanted)}`];
  });
}

/**
 * The labels with the new run image in them. Its name stays what it was where that is of the same repository; where the
 * policy's base has another one, it is that base's, and the old one's mirrors are none of it: what `pack rebase` does,
 * in the second case with `--force`.
 */
export function planBuildpacksLabels(labels: Labels, next: RunImage): Labels {
  const metadata = readMetadata(labels);
  if (metadata === undefined) return labels;
  const { runImage, stack } = metadata;
  const isKnown = [runImage, stack?.runImage]
    .flatMap((each) => [each?.image ?? [], each?.mirrors ?? []].flat())
    .some((name) => isOfRepository(name, next.name));
  const { mirrors: _mirrors, ...unnamed } = runImage;
  const told = {
    ...metadata,
    runImage: {
      ...(isKnown ? runImage : { ...unnamed, image: next.name }),
      topLayer: next.topLayer,
      reference: next.name,
    },
    ...(isKnown ? {} : { stack: { runImage: { image: next.name } } }),
  };
  const isOfRunImage = ([name]: [string, string]): boolean => ofRunImage.some((prefix) => name.startsWith(prefix));
  return Object.fromEntries([
    ...Object.entries({ ...labels, [lifecycleLabel]: JSON.stringify(told) }).filter((each) => !isOfRunImage(each)),
    ...Object.entries(next.labels).filter(isOfRunImage),
  ]);
}

function isOfRepository(name: string, image: string): boolean {
  try {
    return isSameRepository(parseReference(name), parseReference(image));
  } catch {
    return false;
  }
}
