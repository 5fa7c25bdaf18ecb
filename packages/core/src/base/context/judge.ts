import { UserError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  isSameRepository,
  parseReference,
  parseRepository,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { isDayOver } from "../../policy/day.ts";
import type { PolicyBase } from "../../policy/schema.ts";
import type { FileMentions, Mention } from "./mention.ts";

/** What of a policy says which images a folder may name. */
export interface ContextRules {
  bases: readonly Pick<PolicyBase, "name" | "image" | "digests" | "until">[];
  /** What builds may be made in, or taken from: builders' images, and what they let a Dockerfile use. */
  buildImages: readonly { image: string; digests: readonly Digest[] }[];
  now: Date;
}

export interface ContextProblem {
  file: string;
  line: number;
  /** refused: no image that is built so would pass. warning: it would, and should be written otherwise. */
  level: "refused" | "warning";
  problem: string;
  wayOut: string;
  /** What to write instead of what stands there, where that says the same more exactly. */
  fix?: { from: string; to: string };
}

/**
 * Which of the images that files name the policy does not have, before anything is built, and without a registry: what
 * stands on no approved base, or is built with something else, is refused; what is named by a tag alone is a warning,
 * with the digest to pin. What runs beside an application goes into no image: where the policy does not have it, that is
 * a warning.
 */
export function judgeContext({ mentions, unread }: FileMentions, rules: ContextRules): ContextProblem[] {
  const unresolved = unread.map(
    ({ file, line, message, use }): ContextProblem => ({
      ...{
        file,
        line,
        level: use === "run" ? "warning" : "refused",
        problem: `nobody can tell which image is meant: ${message}`,
      },
      wayOut: "Write images out, or give arguments a default value.",
    }),
  );
  const found = mentions.flatMap((mention) =>
    judgeMention(mention, rules).map(
      (each): ContextProblem => (mention.use === "run" ? { ...each, level: "warning" } : each),
    ),
  );
  return [...unresolved, ...found].toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

function judgeMention(mention: Mention, rules: ContextRules): ContextProblem[] {
  const { file, line, name, use } = mention;
  const reference = readReference(name);
  if (reference === undefined) {
    const problem = `'${name}' is no name of an image`;
    return [{ file, line, level: "refused", problem, wayOut: "Write HOST/NAME:TAG@sha256:…" }];
  }
  const own = rules.bases.filter(({ image }) => isSameRepository(parseRepository(image), reference));
  const [first] = own;
  if (first !== undefined) return judgeBase(mention, reference, { first, own }, rules);
  if (use === "base") {
    const wayOut = `Build on one of: ${listBases(rules)}.`;
    return [{ file, line, level: "refused", problem: `${name} is no approved base`, wayOut }];
  }
  const listed = rules.buildImages.filter(({ image }) => isSameRepository(parseRepository(image), reference));
  if (listed.length > 0) return judgeListed(mention, reference, listed);
  const images = new Set([...rules.bases, ...rules.buildImages].map(({ image }) => image));
  const wayOut = `Use one of ${[...images].join(", ") || "none: the policy lists no image"}, or have it added to the policy.`;
  return [{ file, line, level: "refused", problem: `${name} is no image of the policy`, wayOut }];
}

function listBases({ bases, now }: ContextRules): string {
  return (
    listUsable(bases, now)
      .flatMap(({ name, image, digests }) => (digests.length === 0 ? [] : [`${image}@${digests.at(-1)} (${name})`]))
      .join(", ") || "none at present"
  );
}

function listUsable(bases: ContextRules["bases"], now: Date): ContextRules["bases"] {
  return bases.filter(({ until }) => until === undefined || !isDayOver(until, now));
}

function judgeBase(
  { file, line, name }: Mention,
  reference: Reference,
  { first, own }: { first: ContextRules["bases"][number]; own: ContextRules["bases"] },
  { now }: ContextRules,
): ContextProblem[] {
  const { digest } = reference;
  const usable = listUsable(own, now);
  const newest = usable.flatMap(({ name: of, digests }) => digests.map((version) => ({ of, version }))).at(-1);
  if (newest === undefined) {
    const why =
      usable.length === 0
        ? `which was approved until ${first.until}`
        : "of which no version has an approval that holds";
    const problem = `${name} is base '${first.name}', ${why}`;
    return [{ file, line, level: "refused", problem, wayOut: "Build on another base, or have its approval extended." }];
  }
  const pinned = pin(reference, newest.version);
  const fix = { from: name, to: pinned };
  if (digest === undefined) {
    const problem = `${name} is not pinned: its tag may be another image tomorrow`;
    return [{ file, line, level: "warning", problem, wayOut: `Write ${pinned}.`, fix }];
  }
  if (usable.some(({ digests }) => digests.includes(digest))) return [];
  const problem = `${name} is no approved version of base '${newest.of}'`;
  return [{ file, line, level: "refused", problem, wayOut: `Write ${pinned}.`, fix }];
}

function judgeListed(
  { file, line, name }: Mention,
  reference: Reference,
  listed: ContextRules["buildImages"],
): ContextProblem[] {
  const { digest } = reference;
  const digests = listed.flatMap((each) => each.digests);
  const newest = digests.at(-1);
  // A repository without digests is let through as a whole.
  if (newest === undefined || listed.some((each) => each.digests.length === 0)) return [];
  const pinned = pin(reference, newest);
  const fix = { from: name, to: pinned };
  if (digest === undefined)
    return [{ file, line, level: "warning", problem: `${name} is not pinned`, wayOut: `Write ${pinned}.`, fix }];
  if (digests.includes(digest)) return [];
  const problem = `${name} is no version of it that the policy has`;
  return [{ file, line, level: "refused", problem, wayOut: `Write ${pinned}.`, fix }];
}

/** With the tag that stands there, which tells people which line of versions it is. */
function pin(reference: Reference, digest: Digest): string {
  return formatReference({ ...reference, digest });
}

function readReference(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
