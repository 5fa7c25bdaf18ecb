import type { RefusalGate } from "../policy/scan-section.ts";
import { type Finding, gateSeverity, isAtLeast } from "./finding.ts";

/** What a gate goes by: of a finding as it was made, or as it was signed. */
export type GateFinding = Pick<
  Finding,
  | "id"
  | "aliases"
  | "severity"
  | "package"
  | "fixedVersions"
  | "suggestedVersion"
  | "fixState"
  | "fixReleases"
  | "cvss"
  | "epss"
  | "kev"
  | "malicious"
  | "withdrawn"
  | "origin"
>;

/** Whether a finding meets a condition; `unknown` where nobody says what would have to be known for that. */
type Answer = "yes" | "no" | "unknown";

/** A gate that a finding meets, and why. */
export interface MetGate {
  gate: RefusalGate;
  /** Its conditions, each as it is met: clauses. */
  because: string[];
}

/**
 * The policy's gates of which a finding meets all conditions, in their order. What is unknown meets a condition, unless
 * the gate says `missing: pass`. An advisory that was taken back by all who said it meets none.
 */
export function findMetGates(finding: GateFinding, gates: readonly RefusalGate[] | undefined, now: Date): MetGate[] {
  if (finding.withdrawn !== undefined) return [];
  return (gates ?? []).flatMap((gate) => {
    const because: string[] = [];
    const isMet = conditionsOf(gate, finding, now).every(({ answer, clause }) => {
      because.push(answer === "unknown" ? `${clause}, which is unknown and counts` : clause);
      return answer === "yes" || (answer === "unknown" && gate.missing === "refuse");
    });
    return isMet ? [{ gate, because }] : [];
  });
}

interface Condition {
  answer: Answer;
  /** What was asked, as it is told where it is met. */
  clause: string;
}

function conditionsOf(gate: RefusalGate, finding: GateFinding, now: Date): Condition[] {
  const { severity, cvss, epss, kev, fixed, fixOlderThan, types, scopes, origins } = gate;
  const { package: of, origin } = finding;
  return [
    ...(severity === undefined
      ? []
      : [
          {
            answer: yesOrNo(isAtLeast(gateSeverity(finding), severity)),
            clause: `severity ${finding.severity}, of ${severity} and above`,
          },
        ]),
    ...(cvss === undefined
      ? []
      : [{ answer: compare(finding.cvss, cvss), clause: `CVSS ${finding.cvss ?? "score"}, of ${cvss} and above` }]),
    ...(epss === undefined
      ? []
      : [
          {
            answer: compare(finding.epss, epss),
            clause: `EPSS ${finding.epss ?? "probability"}, of ${epss} and above`,
          },
        ]),
    ...(kev === undefined
      ? []
      : [{ answer: finding.kev === undefined ? "unknown" : yesOrNo(finding.kev), clause: "known to be exploited" }]),
    ...(fixed === undefined ? [] : [{ answer: yesOrNo(hasFix(finding)), clause: "with a fixed version" }]),
    ...(fixOlderThan === undefined ? [] : [judgeFixAge(finding, fixOlderThan, now)]),
    ...(types === undefined
      ? []
      : [{ answer: yesOrNo(types.includes(of.type)), clause: `in a package of ${of.type}` }]),
    ...(scopes === undefined
      ? []
      : [
          {
            answer: of.scope === undefined ? "unknown" : yesOrNo(scopes.includes(of.scope)),
            clause: `in a package of scope ${of.scope ?? scopes.join(" or ")}`,
          },
        ]),
    ...(origins === undefined
      ? []
      : [
          {
            answer: origin === "unknown" ? "unknown" : yesOrNo(origins.includes(origin)),
            clause: `of the ${origin === "unknown" ? origins.join(" or ") : origin}`,
          },
        ]),
  ] satisfies { answer: Answer; clause: string }[];
}

function yesOrNo(is: boolean): Answer {
  return is ? "yes" : "no";
}

/** `none` is said: there is no number that could reach the limit. */
function compare(value: number | "none" | undefined, limit: number): Answer {
  if (value === undefined || Number.isNaN(value)) return "unknown";
  return yesOrNo(value !== "none" && value >= limit);
}

/** True where a fixed version exists, by the advisory's word or by its list of versions. */
export function hasFix(finding: Pick<Finding, "fixState" | "fixedVersions">): boolean {
  return finding.fixState === "fixed" || finding.fixedVersions.length > 0;
}

/**
 * How long there has been a fix: since the recommended version came to be, where that is known, else since the first of
 * those whose day is known. Without a fix there is none that is old; a day that has not come yet is no day.
 */
function judgeFixAge(finding: GateFinding, limit: number, now: Date): Condition {
  const days = Math.floor(limit / 86_400_000);
  const asked = `fixed for longer than ${days === 0 ? `${Math.floor(limit / 3_600_000)} h` : `${days} d`}`;
  if (!hasFix(finding)) return { answer: "no", clause: asked };
  const releases = (finding.fixReleases ?? [])
    .map(({ version, on }) => ({ version, time: Date.parse(on) }))
    .filter(({ time }) => time <= now.getTime())
    .toSorted((a, b) => a.time - b.time);
  const since = releases.find(({ version }) => version === finding.suggestedVersion) ?? releases[0];
  if (since === undefined) return { answer: "unknown", clause: asked };
  const clause = `fixed by ${since.version} since ${new Date(since.time).toISOString()}, which is ${asked.slice("fixed for ".length)} ago`;
  return { answer: yesOrNo(now.getTime() - since.time > limit), clause };
}
