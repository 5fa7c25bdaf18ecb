import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  parseReference,
  parseRepository,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { parseReplaced } from "../promote/replaced.ts";
import { isEvidenceTag } from "../tags/evidence-tag.ts";

/** One image to be promoted. */
export interface PromotionJob {
  image: Reference;
  to: Repository;
  /** Without repeats. */
  tags: readonly string[];
  /** The one image that they move from; absent, any. */
  replaces?: Digest;
}

export interface JobInputs {
  image?: string | undefined;
  to?: string | undefined;
  tags: readonly string[];
  replaces?: string | undefined;
  /** `IMAGE TO [TAG …]`, one a line. */
  images: readonly string[];
}

/**
 * The inputs → what is to be promoted: one image by `image`, `to`, `tags` and `replaces`, or several by `images`.
 * @throws UserError `input-invalid` for both or neither, a line that is none, an image twice to one place, two images
 *   under one tag; `reference-invalid`, `digest-invalid`
 */
export function planJobs({ image, to, tags, replaces, images }: JobInputs): PromotionJob[] {
  const invalid = (message: string, wayOut: string): UserError =>
    new UserError(message, { code: "input-invalid", wayOut });
  if (images.length > 0) {
    const given = [
      image === undefined ? [] : ["image"],
      to === undefined ? [] : ["to"],
      tags.length === 0 ? [] : ["tags"],
      replaces === undefined ? [] : ["replaces"],
    ].flat();
    if (given.length > 0) {
      throw invalid(
        `input 'images' was given beside ${given.map((name) => `'${name}'`).join(" and ")}`,
        "Write each image as a line of images, IMAGE TO [TAG …], and leave the others out.",
      );
    }
    const jobs = images.map(parseLine);
    assertNoneTwice(jobs);
    return jobs;
  }
  for (const [name, value] of Object.entries({ image, to })) {
    if (value === undefined)
      throw invalid(`input '${name}' is required and was not given`, "Give image and to, or several images by images.");
  }
  const repository = parseRepository(to ?? "", "input 'to'");
  const job = { image: parseReference(image ?? ""), to: repository, tags: checkTags(tags, repository, "input 'tags'") };
  return [replaces === undefined ? job : { ...job, replaces: parseReplaced(replaces) }];
}

function parseLine(line: string): PromotionJob {
  const [image, to, ...tags] = line.split(/\s+/);
  if (image === undefined || to === undefined) {
    throw new UserError(`input 'images' has the line '${line}': expected IMAGE TO [TAG …]`, {
      code: "input-invalid",
      wayOut: "Write the image, the repository that it is promoted to, and the tags to set there, with spaces between.",
    });
  }
  const what = `input 'images', line '${line}':`;
  const repository = parseRepository(to, `${what} repository`);
  return { image: parseReference(image, `${what} image`), to: repository, tags: checkTags(tags, repository, what) };
}

/**
 * Two promotions of one run must not get into each other's way: which of them a tag ends at would be a matter of
 * chance.
 */
function assertNoneTwice(jobs: readonly PromotionJob[]): void {
  const seen = new Map<string, string>();
  const check = (key: string, what: string, wayOut: string, by: string): void => {
    const before = seen.get(key);
    if (before !== undefined)
      throw new UserError(`input 'images' ${what}: ${before} and ${by}`, { code: "input-invalid", wayOut });
    seen.set(key, by);
  };
  for (const { image, to, tags } of jobs) {
    const name = formatReference(image);
    const where = formatRepository(to);
    check(`${name} ${where}`, `has an image twice to ${where}`, "Write it once, with all of its tags.", name);
    for (const tag of tags)
      check(`${where}:${tag}`, `has the tag ${where}:${tag} for two images`, "Decide which of them it is.", name);
  }
}

/**
 * Tags by the distribution specification's grammar, which the reference's parser holds to; and none that would take the
 * place of an image's evidence.
 */
function checkTags(tags: readonly string[], to: Repository, what: string): string[] {
  for (const tag of tags) {
    if (isEvidenceTag(tag)) {
      throw new UserError(`${what} has '${tag}': registries keep the evidence of images under such names`, {
        code: "input-invalid",
        wayOut: "Use a tag that is a version or a name.",
      });
    }
    if (!isTag(tag, to)) {
      throw new UserError(
        `${what} has '${tag}': expected letters, digits, and . _ -, at most 128 of them, not starting with . or -`,
        {
          code: "input-invalid",
        },
      );
    }
  }
  return [...new Set(tags)];
}

function isTag(tag: string, to: Repository): boolean {
  try {
    return parseReference(`${formatRepository(to)}:${tag}`).tag === tag;
  } catch {
    return false;
  }
}
