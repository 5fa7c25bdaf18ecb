import { PolicyViolation, type SourcePlace, UserError } from "@goldenpath/foundation/errors";
import type { Rule } from "@goldenpath/foundation/rules";
import { isDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  isSameRepository,
  parseReference,
  parseRepository,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import type { DockerfilePlan } from "../dockerfile.ts";
import type { ApprovedBase } from "../strategy.ts";
import type { Used, UsedImage } from "./images.ts";

type Limits = DockerfilePlan["dockerfile"];

/** An image that a build may use, by what it is got. */
export interface AllowedImage extends UsedImage {
  /** By digest where the policy or the file pins it, and else by tag, to be resolved once. */
  reference: Reference;
  /** What the file says less exactly than what is taken. */
  remark?: string;
}

export interface Judged {
  images: readonly AllowedImage[];
  /** URLs that the build may fetch, each with the checksum that it has to have. */
  downloads: readonly { url: string; checksum: string }[];
}

interface Refusal {
  rule: Rule;
  line: number;
  problem: string;
  wayOut: string;
}

/**
 * Whether the policy lets a Dockerfile use what it names, before any of it is fetched.
 * @param file as messages name it, in the checkout
 * @throws PolicyViolation `base.approved`, `base.expired`, `build.images`, `build.downloads`; UserError
 *   `reference-invalid`
 */
export function judgeUsed(used: Used, limits: Limits, file: string, now: Date): Judged {
  const refusals: Refusal[] = [];
  const images: AllowedImage[] = [];
  if (used.isOnScratch) refusals.push(onNoBase("scratch", limits, used.images[0]?.line ?? 1));
  for (const image of used.images) {
    const allowed = judgeImage(image, limits, file, now);
    if ("rule" in allowed) refusals.push(allowed);
    else images.push(allowed);
  }
  const downloads: { url: string; checksum: string }[] = [];
  for (const { url, checksum, line } of used.downloads) {
    const isListed = limits.downloads.some((prefix) => url.startsWith(prefix));
    if (isListed && isDigest(checksum)) downloads.push({ url, checksum });
    else refusals.push({ rule: "build.downloads", line, ...explainDownload(url, isListed, limits) });
  }
  const [first] = refusals;
  if (first !== undefined) throw refuse(first, refusals, file);
  return { images, downloads };
}

function judgeImage(image: UsedImage, limits: Limits, file: string, now: Date): AllowedImage | Refusal {
  const { name, line, use } = image;
  const reference = readName(name, file, line);
  const base = limits.bases.find((each) => isSameRepository(parseRepository(each.image), reference));
  if (base !== undefined) {
    const onBase = pinBase(image, base, reference, file, now);
    // Not approved as a base, one of its versions may still be listed as what may be copied from.
    if (use === "base" || !("rule" in onBase)) return onBase;
  }
  if (use === "base") return onNoBase(name, limits, line);
  const listed = limits.images.some(
    (each) => isSameRepository(each, reference) && (each.digest === undefined || each.digest === reference.digest),
  );
  if (listed) return { ...image, reference: withTag(reference) };
  const pinned = limits.images.find((each) => isSameRepository(each, reference) && each.digest !== undefined);
  if (pinned !== undefined && reference.digest === undefined) {
    const remark = `${file}:${line}: ${name} is ${formatReference(pinned)}, as the policy pins it`;
    return { ...image, reference: pinned, remark };
  }
  const allowed = [...limits.images.map(formatReference), ...limits.bases.map((each) => each.image)];
  return {
    rule: "build.images",
    line,
    problem: `${name} is no image that the policy lets a Dockerfile use`,
    wayOut: `Use one of ${allowed.join(", ") || "none: the policy lists no image"}, or have it added to the builder's images.`,
  };
}

/** By its approved digest, whatever tag the file has: tags move, and approvals don't. */
function pinBase(
  image: UsedImage,
  base: ApprovedBase,
  reference: Reference,
  file: string,
  now: Date,
): AllowedImage | Refusal {
  const { name, line } = image;
  if (base.until !== undefined && now.toISOString().slice(0, 10) > base.until) {
    return {
      rule: "base.expired",
      line,
      problem: `${name} is base '${base.name}', which was approved until ${base.until}`,
      wayOut: "Stand on another base, or have the approval extended in the policy.",
    };
  }
  if (reference.digest !== undefined) {
    if (base.digests.includes(reference.digest)) return { ...image, reference };
    return {
      rule: "base.approved",
      line,
      problem: `${name} is no approved version of base '${base.name}'`,
      wayOut:
        base.digests.length === 0
          ? `Have it approved: goldenpath base approve ${name}.`
          : `Name ${base.image}@${base.digests.at(-1)}, or leave the digest out.`,
    };
  }
  const digest = base.digests.at(-1);
  if (!isDigest(digest)) {
    return {
      rule: "base.approval",
      line,
      problem: `${name} is base '${base.name}', of which no version has an approval that holds`,
      wayOut: `Have a version in ${base.image} approved: goldenpath base approve.`,
    };
  }
  const { registry, name: repository } = reference;
  const remark = `${file}:${line}: ${name} is base '${base.name}' in its newest approved version, ${digest}`;
  return { ...image, reference: { registry, name: repository, digest }, remark };
}

function onNoBase(name: string, { bases }: Limits, line: number): Refusal {
  const list = bases.map((base) => `${base.image} (${base.name})`).join(", ");
  return {
    rule: "base.approved",
    line,
    problem: `the image would stand on ${name}, which is no approved base`,
    wayOut: `Let the last stage be FROM one of: ${list}.`,
  };
}

function explainDownload(url: string, isListed: boolean, { downloads }: Limits): { problem: string; wayOut: string } {
  if (isListed) {
    return {
      problem: `ADD fetches ${url} without a checksum`,
      wayOut: "Write ADD --checksum=sha256:… with the checksum of what it should be.",
    };
  }
  return {
    problem: `ADD fetches ${url}, which the policy does not let a Dockerfile fetch`,
    wayOut: `Fetch below ${downloads.join(" or ") || "nothing: the policy lists no URL"}, or put the file into the application.`,
  };
}

/** Docker takes no tag for `latest`. */
function withTag(reference: Reference): Reference {
  return reference.digest === undefined ? { ...reference, tag: reference.tag ?? "latest" } : reference;
}

function readName(name: string, file: string, line: number): Reference {
  try {
    return parseReference(name, `${file}:${line}: image`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message, code, wayOut = "" } = error;
    throw new UserError(message, { code, wayOut, places: [{ file, line, message }] });
  }
}

function refuse(first: Refusal, refusals: readonly Refusal[], file: string): PolicyViolation {
  const places: SourcePlace[] = refusals.map(({ line, problem }) => ({ file, line, message: problem }));
  const text = refusals.map(({ line, problem }) => `${file}:${line}: ${problem}`).join("\n");
  return new PolicyViolation(text, {
    code: "dockerfile-refused",
    rule: first.rule,
    wayOut: [...new Set(refusals.map(({ wayOut }) => wayOut))].join(" "),
    places,
  });
}
