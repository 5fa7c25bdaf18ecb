import { cleanLine } from "@goldenpath/foundation/text/clean";
import { shortDigest } from "@goldenpath/registry-client/oci/digest";
import { formatPlace, isCounted, type ListedViolation, type StageResult } from "../result.ts";
import { fixTarget } from "../scan/finding.ts";
import type { Chain, ChainStage } from "./chain.ts";
import { formatTime } from "./terminal.ts";

/** Rows of a table that a person still reads; the rest is counted. */
const maxRows = 20;

/** Shows as nothing, and parts what stands before it from what comes after. */
const nothing = "<!-- -->";

export const verdictMarks = { pass: "✅ pass", fail: "❌ fail", error: "⚠️ error" } as const;
export const stateMarks: Record<ChainStage["state"], string> = {
  pass: "✅ pass",
  attested: "✅ attested",
  fail: "❌ fail",
  missing: "➖ missing",
};

/**
 * Text from images, scanners and registries is a stranger's: it goes into Markdown only through here, so that it can
 * neither break a table nor bring links, HTML, formulas, mentions or references of its own. GitHub finds mentions,
 * references and emails in what Markdown has made of the text, where neither a backslash nor an entity is seen any more:
 * an empty HTML comment keeps their characters apart, and whoever copies the text gets nothing but the text.
 */
export function escapeMarkdown(text: string): string {
  return keepApart(escapeTags(text).replaceAll(/[\\`*_[\]|!~]/g, (character) => `\\${character}`));
}

function escapeTags(text: string): string {
  return (
    cleanLine(text)
      .replaceAll(/\s+/g, " ")
      // An emphasis or a code span does not begin before white space, nor end after it.
      .trim()
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
  );
}

function keepApart(text: string): string {
  return (
    text
      .replaceAll(/[@#]/g, `$&${nothing}`)
      .replaceAll(/\bGH-(?=\d)/gi, `$&${nothing}`)
      // GitHub links bare addresses by themselves.
      .replaceAll("://", `:${nothing}//`)
      .replaceAll(/www(?=\.)/gi, `$&${nothing}`)
      // As GitHub's documentation has it for a dollar sign that begins no formula.
      .replaceAll("$", () => "<span>$</span>")
  );
}

/**
 * As code in a line or a table cell. Markdown is parsed inside HTML's `code` as anywhere else, so a stranger's text is
 * escaped there, too.
 */
export function code(text: string): string {
  return `<code>${escapeMarkdown(text)}</code>`;
}

/** As code in a block of HTML, such as a `summary`, where Markdown is not parsed and a backslash would show. */
export function codeInHtml(text: string): string {
  return `<code>${keepApart(escapeTags(text))}</code>`;
}

/** Where an advisory is published, by the form of its name: no address that a stranger wrote is ever linked. */
const advisoryPlaces: readonly [RegExp, string][] = [
  [/^CVE-\d{4}-\d{4,19}$/, "https://www.cve.org/CVERecord?id="],
  [/^GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}$/, "https://github.com/advisories/"],
  [/^(?:GO|MAL|PYSEC|RUSTSEC)-\d{4}-\d{1,19}$/, "https://osv.dev/vulnerability/"],
];

/** An advisory's name, with a link to it where it is one of a known kind. */
export function linkAdvisory(id: string): string {
  const [, place] = advisoryPlaces.find(([form]) => form.test(id)) ?? [];
  return place === undefined ? code(id) : `[${code(id)}](${place}${id})`;
}

export function renderChainMarkdown(chain: Chain): string {
  const rows = chain.stages.map((stage) => {
    const facts = stage.facts.map((fact) => escapeMarkdown(fact)).join("<br>");
    return `| ${stage.stage} | ${stateMarks[stage.state]} | ${stage.signers.map(code).join(", ")} | ${formatTime(stage.time)} | ${facts} |`;
  });
  const rejected = chain.rejected.map(
    ({ digest, reason }) => `- ${code(shortDigest(digest))} counts for nothing: ${escapeMarkdown(reason)}`,
  );
  return [
    `**Image** ${code(`${chain.repository}@${chain.digest}`)}`,
    "",
    "| Stage | State | Signed by | When | What was found |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    ...(rejected.length === 0 ? [] : ["", ...rejected]),
    "",
  ].join("\n");
}

/** A result as a section of a job summary. */
export function renderResultMarkdown(result: StageResult, title: string = result.stage): string {
  const image =
    result.subject === undefined
      ? []
      : [`**Image** ${code(`${result.subject.repository}@${result.subject.digest}`)}`, ""];
  const error = result.error === undefined ? [] : renderError(result.error);
  return [
    `### ${verdictMarks[result.verdict]} · ${escapeMarkdown(title)}`,
    "",
    ...image,
    ...error,
    ...renderViolations(result.violations),
    ...renderComparison(result.comparison),
    renderNotes(result.notes),
  ].join("\n");
}

function renderError(error: NonNullable<StageResult["error"]>): string[] {
  const wayOut = error.wayOut === undefined ? [] : [`**What to do:** ${escapeMarkdown(error.wayOut)}`, ""];
  return [
    `The work could not be done, which says nothing about the image (${code(error.code)}): ${escapeMarkdown(error.message)}`,
    "",
    ...wayOut,
  ];
}

/** Violations that count as a table with the way out; those with an exception folded below it. */
export function renderViolations(violations: readonly ListedViolation[]): string[] {
  const counted = violations.filter(isCounted);
  const excepted = violations.filter((violation) => violation.exception !== undefined);
  const out: string[] = [];
  if (counted.length > 0) {
    out.push("| Rule | What | Problem | What to do |", "| --- | --- | --- | --- |");
    for (const { rule, thing, problem, wayOut, platform } of counted.slice(0, maxRows)) {
      const where = platform === undefined ? "" : ` (${escapeMarkdown(platform)})`;
      out.push(
        `| ${code(rule)} | ${escapeMarkdown(thing)}${where} | ${escapeMarkdown(problem)} | ${escapeMarkdown(wayOut)} |`,
      );
    }
    if (counted.length > maxRows) out.push("", `… and ${counted.length - maxRows} more, in the result file.`);
    out.push("");
  }
  out.push(...renderWaiting(violations));
  if (excepted.length > 0) {
    out.push(
      `<details><summary>${excepted.length} with an exception</summary>`,
      "",
      "| Rule | What | Until | Owner | Reason |",
      "| --- | --- | --- | --- | --- |",
    );
    for (const { rule, thing, exception } of excepted) {
      out.push(
        `| ${code(rule)} | ${escapeMarkdown(thing)} | ${escapeMarkdown(exception?.expires ?? "")} | ${escapeMarkdown(exception?.owner ?? "")} | ${escapeMarkdown(exception?.reason ?? "")} |`,
      );
    }
    out.push("", "</details>", "");
  }
  return out;
}

/** What only warns until a day, in the open: who reads it has until then. */
function renderWaiting(violations: readonly ListedViolation[]): string[] {
  const waiting = violations.flatMap(({ enforcedFrom, ...each }) =>
    enforcedFrom === undefined ? [] : [{ ...each, enforcedFrom }],
  );
  if (waiting.length === 0) return [];
  const more = waiting.length - maxRows;
  return [
    `**${waiting.length} ${waiting.length === 1 ? "warning" : "warnings"} that will fail:**`,
    "",
    "| Rule | What | Will fail from | Problem | What to do |",
    "| --- | --- | --- | --- | --- |",
    ...waiting
      .slice(0, maxRows)
      .map(
        ({ rule, thing, problem, wayOut, enforcedFrom, platform }) =>
          `| ${code(rule)} | ${escapeMarkdown(thing)}${platform === undefined ? "" : ` (${escapeMarkdown(platform)})`} | ${escapeMarkdown(enforcedFrom)} | ${escapeMarkdown(problem)} | ${escapeMarkdown(wayOut)} |`,
      ),
    ...(more > 0 ? ["", `… and ${more} more, in the result file.`] : []),
    "",
  ];
}

/** Why nothing is compared, or why what is known counts all the same. */
export function renderComparisonNote(note: string, isCompared: boolean): string {
  const text = isCompared ? `${note.charAt(0).toUpperCase()}${note.slice(1)}.` : `Not compared: ${note}.`;
  return escapeMarkdown(text);
}

/** New and fixed findings are listed up to here. */
const maxCompared = 20;

function renderComparison(comparison: StageResult["comparison"]): string[] {
  if (comparison === undefined) return [];
  const { counts, with: other, note, new: added, fixed } = comparison;
  const noted = note === undefined ? [] : [renderComparisonNote(note, counts !== undefined), ""];
  if (counts === undefined || other === undefined) return noted;
  const told = [
    `**Compared with** ${code(other)}: ${counts.new} new, ${counts.worse} worse, ${counts.fixed} fixed, ${counts.unchanged} unchanged.`,
    "",
    ...noted,
  ];
  const rows = [...added.slice(0, maxCompared), ...fixed.slice(0, maxCompared)].map(
    ({ change, severity, id, package: name, version, origin = "unknown", place, ...fix }) =>
      `| ${change} | ${escapeMarkdown(severity)} | ${linkAdvisory(id)} | ${escapeMarkdown(`${name} ${version}`)} | ${change === "fixed" ? "" : escapeMarkdown(fixTarget(fix) ?? "")} | ${origin === "unknown" ? "" : origin} | ${place === undefined ? "" : code(formatPlace(place))} |`,
  );
  if (rows.length === 0) return told;
  const left = added.length + fixed.length - rows.length;
  return [
    ...told,
    "| Change | Severity | Id | Package | Fixed in | Comes with | Where |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
    ...(left === 0 ? [] : ["", `… and ${left} more, in the result file.`]),
    "",
  ];
}

export function renderNotes(notes: readonly string[]): string {
  return notes.map((note) => `- ${escapeMarkdown(note)}\n`).join("");
}
