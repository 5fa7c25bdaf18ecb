import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { SignedStatement, SignedView } from "../build/strategies/strategy.ts";
import { matchesSource, matchesWorkflow } from "../gate/match-source.ts";
import { clockSkew } from "../policy/day.ts";
import { summaryVerifierId } from "../signing/verification-summary.ts";
import { type LevelRule, type LevelVerifier, readBuildLevel } from "./build-level.ts";
import { type ForeignSummary, readForeignSummary, readResource } from "./read-summary.ts";

/** A build that counts by its provenance, and whose level is asked. */
export interface LeveledBuild {
  /** The image or the child that the provenance is about. */
  subject: Digest;
  builderId: string;
}

/** That a build has the level which is asked for; or why it does not. */
export type JudgedLevel =
  /** The summaries that it has it by, by the blobs that hold them: none where the policy itself vouches for it. */
  { rests: Digest[] } | { problem: string };

/**
 * Whether a build has the level that the policy asks for: by the policy's own word of its builder, or by the newest
 * summary of a verifier. A verifier whose newest word about the image is a failure refuses it, whoever else vouches.
 */
export function judgeLevel(rule: LevelRule, build: LeveledBuild, view: SignedView): JudgedLevel {
  const { atLeast } = rule;
  const own = levelOfBuilder(rule, build.builderId);
  const reasons = [`the policy vouches for ${own === 0 ? "no level" : `level ${own}`} of its builder`];
  const rests: Digest[] = [];
  for (const verifier of rule.verifiers) {
    const told = judgeVerifier(verifier, build, view);
    if ("refuses" in told) return { problem: `is refused by its SLSA level: ${told.refuses}` };
    if ("says" in told) reasons.push(told.says);
    else if (told.level >= atLeast) rests.push(told.bundle);
    else reasons.push(`verifier ${verifier.id} vouches for level ${told.level}`);
  }
  if (own >= atLeast) return { rests: [] };
  if (rests.length > 0) return { rests };
  return { problem: `has no SLSA Build level of at least ${atLeast}: ${reasons.join("; ")}` };
}

/** 0: it vouches for none. A pattern can fit beside a narrower one: then the least is what it vouches for. */
function levelOfBuilder({ builders }: LevelRule, builderId: string): number {
  const fitting = builders.filter(({ builder }) => matchesWorkflow(builderId, builder)).map((each) => each.level);
  return fitting.length === 0 ? 0 : Math.min(...fitting);
}

interface Vouched {
  level: number;
  bundle: Digest;
}
/** It says nothing that counts. */
interface Silent {
  says: string;
}
interface Refused {
  refuses: string;
}

interface Word {
  summary: ForeignSummary;
  signed: SignedStatement;
  time: Date;
  /** It vouches for nothing, and a failure is one: its signer's word has ended, or it is about a part of the image. */
  onlyRefuses: boolean;
}

function judgeVerifier(verifier: LevelVerifier, build: LeveledBuild, view: SignedView): Vouched | Silent | Refused {
  const who = `verifier ${verifier.id}`;
  const words = listWords(verifier, build, view);
  if ("refuses" in words) return words;
  const newestFirst = words
    .filter(({ onlyRefuses, summary }) => !onlyRefuses || summary.result === "FAILED")
    .toSorted((a, b) => b.time.getTime() - a.time.getTime() || rank(a) - rank(b));
  const [newest] = newestFirst;
  if (newest === undefined) return { says: explainSilence(who, verifier) };
  const what = `the newest summary of ${who}, of ${newest.time.toISOString()},`;
  if (newest.summary.result === "FAILED") return { refuses: `${what} is FAILED; a newer one that PASSED outweighs it` };
  const times = [newest.time, ...(newest.signed.time === undefined ? [] : [newest.signed.time])];
  const ages = times.map((time) => view.now.getTime() - time.getTime());
  if (ages.some((age) => !(age >= -clockSkew))) return { says: `${what} is from the future` };
  if (ages.some((age) => age > verifier.maxAge)) return { says: `${what} is older than the policy's \`maxAge\`` };
  const level = readBuildLevel(newest.summary.levels);
  if (typeof level !== "number") return { says: `${what} counts for nothing: ${level.problem}` };
  return { level: Math.min(level, verifier.upTo), bundle: newest.signed.bundle.digest };
}

/** Of two of the same time the failure counts. */
function rank({ summary }: Word): number {
  return summary.result === "FAILED" ? 0 : 1;
}

/** What a verifier says of the image as what the policy names. A word about the image's own digest is about all of it. */
function listWords(verifier: LevelVerifier, { subject }: LeveledBuild, view: SignedView): Word[] | Refused {
  const whole: readonly Digest[] = [subject, view.digest];
  const about = subject === view.digest ? [subject, ...view.children] : whole;
  const isWord = (signed: SignedStatement): boolean =>
    about.includes(signed.subject) &&
    verifier.signers.some((name) => signed.signers.includes(name)) &&
    summaryVerifierId(signed.statement) === verifier.id;
  const all = [
    ...view.statements.filter(isWord).map((signed) => ({ signed, onlyRefuses: !whole.includes(signed.subject) })),
    ...(view.lapsed ?? []).filter(isWord).map((signed) => ({ signed, onlyRefuses: true })),
  ];
  const words: Word[] = [];
  for (const { signed, onlyRefuses } of all) {
    const summary = readForeignSummary(signed.statement.predicate);
    const unreadable = (why: string): Refused => ({
      // It may be the newest, and a failure.
      refuses: `a summary of verifier ${verifier.id} can't be understood: ${why}`,
    });
    if ("problem" in summary) return unreadable(summary.problem);
    if (!isMeant(summary, verifier, about)) continue;
    const time = summary.timeVerified ?? signed.time;
    if (time === undefined) return unreadable("it has no `timeVerified`, and nobody else says when it was signed");
    words.push({ summary, signed, time, onlyRefuses });
  }
  return words;
}

/** For what it was verified, and by what: the same verifier may verify for other ends. */
function isMeant(
  { resourceUri, policyUri }: ForeignSummary,
  { resources, policies }: LevelVerifier,
  digests: readonly Digest[],
): boolean {
  const { uri, digest } = readResource(resourceUri);
  if (digest !== undefined && !digests.includes(digest)) return false;
  return resources.some((pattern) => matchesSource(uri, pattern)) && policies?.includes(policyUri) !== false;
}

function explainSilence(who: string, { signers, resources, policies }: LevelVerifier): string {
  const by = signers.map((name) => `'${name}'`).join(" or ");
  const under = policies === undefined ? "" : ` under ${policies.join(" or ")}`;
  return `a summary of ${who} by ${by} for ${resources.join(" or ")}${under} would count, and there is none`;
}
