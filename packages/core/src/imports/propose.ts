import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Import } from "../origin/read-import.ts";
import { isDayOver } from "../policy/day.ts";

/** `isLapsed`: out of its signer's time, so that it lets nothing in whatever its last day is. */
type UpstreamImport = Pick<Import, "digest" | "tag" | "until"> & { isLapsed?: boolean };

/** What is known of one repository of images that something was imported from. */
export interface UpstreamFacts {
  /** `oci://HOST/NAME` */
  uri: string;
  imports: readonly UpstreamImport[];
  /** All tags that it has now. */
  tags: readonly string[];
  /** What the tags point at now that something was imported by; one that is gone is not there. */
  current: ReadonlyMap<string, Digest>;
}

/** What could be imported next, and why. */
export interface ImportProposal {
  uri: string;
  /** The tag there. */
  tag: string;
  /** What the proposal is about: `moved` or `newer` than what was imported, or the same, `ending`. */
  why: "moved" | "newer" | "ending";
  /** What was imported before: its tag and its digest. */
  from: { tag: string; digest: Digest };
  /** Of a tag that moved: what it points at now. */
  digest?: Digest;
  /** One sentence. */
  reason: string;
}

/** Imports that end within so many days are proposed again. */
const daysAhead = 14;

/**
 * What was imported, and what there is upstream → what to import next: a tag that points at something else now; tags of
 * the same kind with a higher version; and what ends soon. Of the same kind is a tag that differs in its numbers alone:
 * after `7.4-alpine` comes `7.6-alpine`, and not `8`, `7.6.1-alpine` or `7.6-bookworm`. A proposal is a hint: what it
 * brings is judged as everything else.
 */
export function proposeImports({ uri, imports, tags, current }: UpstreamFacts, now: Date): ImportProposal[] {
  const tagged = imports.flatMap(({ tag, isLapsed = false, digest, until }) =>
    tag === undefined ? [] : [{ tag, digest, until, isLapsed }],
  );
  const byKind = Map.groupBy(tagged, ({ tag }) => kindOf(tag));
  const proposals: ImportProposal[] = [];
  const imported = new Set(imports.map(({ digest }) => digest));
  for (const { tag, digest } of newestOfEach(tagged)) {
    const there = current.get(tag);
    if (there === undefined || imported.has(there)) continue;
    const reason = `${tag} was ${digest} when it was imported, and is ${there} now`;
    proposals.push({ uri, tag, why: "moved", from: { tag, digest }, digest: there, reason });
  }
  for (const [kind, own] of byKind) {
    const [highest] = own.toSorted((a, b) => compareTags(b.tag, a.tag));
    if (highest === undefined) continue;
    const newer = tags.filter((tag) => kindOf(tag) === kind && compareTags(tag, highest.tag) > 0);
    const [tag] = newer.toSorted((a, b) => compareTags(b, a));
    if (tag === undefined) continue;
    const others = newer.length === 1 ? "" : ` (the highest of ${newer.length} that are newer)`;
    const reason = `${tag} comes after ${highest.tag}, which was imported${others}`;
    proposals.push({ uri, tag, why: "newer", from: { tag: highest.tag, digest: highest.digest }, reason });
  }
  const soon = new Date(now.getTime() + daysAhead * 86_400_000);
  for (const { tag, digest, until, isLapsed } of newestOfEach(tagged)) {
    if (!isLapsed && !isDayOver(until, soon)) continue;
    const reason = isLapsed
      ? "the word of the signer who imported it has ended, or the signature has"
      : `its import ${isDayOver(until, now) ? "ended" : "ends"} on ${until}`;
    proposals.push({ uri, tag, why: "ending", from: { tag, digest }, reason });
  }
  return proposals;
}

/** Of each tag the import that holds longest: one that counts before any that does not. */
function newestOfEach<Tagged extends { tag: string; until: string; isLapsed: boolean }>(
  imports: readonly Tagged[],
): Tagged[] {
  const latest = imports.toSorted(
    (a, b) => Number(b.isLapsed) - Number(a.isLapsed) || (a.until < b.until ? -1 : a.until > b.until ? 1 : 0),
  );
  return [...new Map(latest.map((each) => [each.tag, each])).values()];
}

/** A tag with each number in it left out. */
function kindOf(tag: string): string {
  return tag.replaceAll(/\d+/g, "#");
}

/** Number by number, the first that differs decides. */
function compareTags(a: string, b: string): number {
  const [ours, theirs] = [a, b].map((tag) => (tag.match(/\d+/g) ?? []).map(BigInt)) as [bigint[], bigint[]];
  for (const [index, number] of ours.entries()) {
    const other = theirs[index] ?? 0n;
    if (number !== other) return number > other ? 1 : -1;
  }
  return 0;
}
