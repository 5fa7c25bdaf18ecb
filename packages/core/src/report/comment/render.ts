import { code, codeInHtml, escapeMarkdown, stateMarks, verdictMarks } from "../markdown.ts";
import { renderCompared } from "./compared.ts";
import { describeFirstEnd, renderExcepted, renderIdle } from "./exceptions.ts";
import { asksForWork, cutPart, type Measure, type Part, type PartStage, verdictOfPart } from "./part.ts";
import { commentMarker, keepParts } from "./state.ts";
import { collectWays, type Way } from "./ways.ts";

/** What GitHub takes for a comment's body. Characters (UTF-16 units, of which there are never fewer). */
export const maxCommentLength = 65_536;

/**
 * What is dropped where a comment would be too long, step by step: first most of a long list, then the words, then
 * what an exception covers and what stages that passed have found, then the list. After that whole images, those with
 * nothing to do first. What counts is always told as a number; the heading, the verdicts and what to do come last.
 */
const measures: readonly Measure[] = [
  { violations: 100, exceptions: 20, facts: 6, added: 50, text: 500 },
  { violations: 50, exceptions: 20, facts: 6, added: 20, text: 400 },
  { violations: 20, exceptions: 10, facts: 6, added: 10, text: 300 },
  { violations: 10, exceptions: 5, facts: 3, added: 10, text: 200 },
  { violations: 5, exceptions: 0, facts: 0, added: 5, text: 120 },
  { violations: 2, exceptions: 0, facts: 0, added: 2, text: 80 },
  { violations: 0, exceptions: 0, facts: 0, added: 0, text: 60 },
];

/** Ways out in the first lines; the tables have the rest. */
const maxWays = 5;
/** Rows that stand open; more of them are folded. */
const openRows = 10;
/** Images in the table at the top. */
const maxImages = 50;
/** Images that a comment keeps at all, those with something to do first; a run of a stranger's may tell of any number. */
const maxParts = 100;

const marks = { ...verdictMarks, ...stateMarks };

/**
 * All parts as one comment: verdicts and what to do in the first lines, then what is new, then the rest, folded. It is
 * as long as `limit` at most, and has in it what {@link readParts} gives back.
 * @param limit characters
 */
export function renderComment(parts: readonly Part[], limit = maxCommentLength): string {
  return fit(parts, limit, (kept, dropped) => [commentMarker, ...render(kept, dropped), keepParts(kept)].join("\n"));
}

/** The same to read alone: for a place that no other job adds to. */
export function renderSummary(parts: readonly Part[], limit: number): string {
  return fit(parts, limit, (kept, dropped) => render(kept, dropped).join("\n"));
}

function fit(
  parts: readonly Part[],
  limit: number,
  join: (kept: readonly Part[], dropped: readonly Part[]) => string,
): string {
  const worstFirst = sortParts(parts);
  const write = (kept: number, measure: Measure): string =>
    join(
      worstFirst.slice(0, kept).map((part) => cutPart(part, measure)),
      worstFirst.slice(kept),
    );
  for (const measure of measures) {
    const body = write(maxParts, measure);
    if (body.length <= limit) return body;
  }
  const least = measures.at(-1) as Measure;
  for (let kept = Math.min(worstFirst.length, maxParts); kept > 1; kept = Math.floor(kept / 2)) {
    const body = write(kept, least);
    if (body.length <= limit) return body;
  }
  return write(1, least);
}

const outdated = "**The pull request has a newer commit, of which this says nothing.**";

/** A comment's body that says that it is of an older commit; that one's parts stay in it. */
export function markOutdated(body: string): string {
  return body.includes(outdated) ? body : body.replace(commentMarker, `${commentMarker}\n${outdated}\n`);
}

function sortParts(parts: readonly Part[]): Part[] {
  const rank = { error: 0, fail: 1, pass: 2 };
  return parts.toSorted(
    (a, b) => rank[verdictOfPart(a)] - rank[verdictOfPart(b)] || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  );
}

function render(parts: readonly Part[], dropped: readonly Part[]): string[] {
  const several = parts.length + dropped.length > 1;
  const idle = renderIdle(parts);
  return [
    ...renderHead(parts, dropped),
    "",
    ...renderWays(parts),
    ...renderCompared(parts),
    ...(several ? renderImages(parts, dropped.length) : []),
    ...parts.flatMap((part) => renderPart(part, several)),
    ...(idle === undefined ? [] : fold(idle.title, idle.lines)),
    ...renderFoot(parts),
  ];
}

function renderHead(parts: readonly Part[], dropped: readonly Part[]): string[] {
  const verdicts = [...parts, ...dropped].map(verdictOfPart);
  const worst = verdicts.includes("error") ? "error" : verdicts.includes("fail") ? "fail" : "pass";
  const bad = verdicts.filter((verdict) => verdict !== "pass").length;
  const of = verdicts.length === 1 || bad === 0 ? "" : ` (${bad} of ${verdicts.length} images)`;
  const [first] = parts;
  const line = verdicts.length === 1 && first !== undefined ? ["", renderStages(first.stages)] : [];
  return [`### ${verdictMarks[worst]} · golden path${of}`, ...line];
}

/** `✅ build · ✅ base · ❌ scan`, each with its state where a mark alone would not say it. */
function renderStages(stages: readonly PartStage[]): string {
  return stages.map(({ stage, state }) => `${marks[state].split(" ")[0]} ${stage}`).join(" · ");
}

const byDay = (a: { expires: string }, b: { expires: string }): number =>
  a.expires < b.expires ? -1 : a.expires > b.expires ? 1 : 0;

/** What to do, each once, whatever number of findings or images it mends. */
function renderWays(parts: readonly Part[]): string[] {
  const ways = collectWays(parts);
  if (ways.length === 0) {
    const open = parts.some(asksForWork);
    const excepted = parts.reduce((sum, part) => sum + part.excepted, 0);
    const ends = describeFirstEnd(parts.flatMap(({ exceptions }) => exceptions).toSorted(byDay));
    const except =
      excepted === 0 ? "" : ` ${excepted} ${excepted === 1 ? "finding is" : "findings are"} excepted${ends}.`;
    return [open ? "**What to do:** see the job's summary, which lists what counts." : `Nothing to do.${except}`, ""];
  }
  const shown = ways.slice(0, maxWays).map((way, at) => `${at + 1}. ${renderWay(way, parts.length)}`);
  const more = ways.length - shown.length;
  return ["**What to do**", "", ...shown, ...(more === 0 ? [] : ["", `… and ${more} more, below.`]), ""];
}

function renderWay({ stage, text, things, images }: Way, of: number): string {
  const more = things.length === 1 ? "" : ` and ${things.length - 1} more`;
  const where = of === 1 ? "" : images.size === 1 ? `, ${code([...images][0] ?? "")}` : `, ${images.size} images`;
  return `**${escapeMarkdown(text)}** (${stage}: ${escapeMarkdown(things[0] ?? "")}${more}${where})`;
}

function renderImages(parts: readonly Part[], dropped: number): string[] {
  const rows = parts
    .slice(0, maxImages)
    .map((part) => `| ${code(part.key)} | ${marks[verdictOfPart(part)]} | ${renderStages(part.stages)} |`);
  const more = parts.length + dropped - rows.length;
  return [
    "| Image | Verdict | Stages |",
    "| --- | --- | --- |",
    ...rows,
    ...(more === 0 ? [] : ["", `… and ${more} more.`]),
    "",
  ];
}

function renderPart(part: Part, several: boolean): string[] {
  const problems = renderProblems(part, several);
  const details = renderDetails(part);
  if (!several) return [...problems, ...details];
  if (problems.length === 0 && details.length === 0) return [];
  return [
    `<details><summary>${marks[verdictOfPart(part)]} · ${codeInHtml(part.key)}</summary>`,
    "",
    ...problems,
    ...details,
    "</details>",
    "",
  ];
}

/** Where a table above says what is new of the one image, the whole list is folded. */
function renderProblems({ violations, counted, compared }: Part, several: boolean): string[] {
  if (violations.length === 0) return counted === 0 ? [] : [`${counted} that count; the job's summary lists them.`, ""];
  const header = ["| Stage | What | Problem | What to do |", "| --- | --- | --- | --- |"];
  const rows = violations.map(
    ({ stage, thing, problem, wayOut }) =>
      `| ${stage} | ${escapeMarkdown(thing)} | ${escapeMarkdown(problem)} | ${escapeMarkdown(wayOut)} |`,
  );
  const open = several || compared?.counts === undefined ? openRows : 0;
  const folded = rows.slice(open);
  const left = counted - rows.length;
  const rest = left === 0 ? [] : [`… and ${left} more that count, in the job's summary and in the result file.`, ""];
  const title = `${folded.length}${open === 0 ? "" : " more"} that count`;
  return [
    ...(open === 0 ? [] : [...header, ...rows.slice(0, open), ""]),
    ...(folded.length === 0 ? [] : fold(title, [...header, ...folded])),
    ...rest,
  ];
}

function renderDetails({ image, exceptions, excepted, policyExceptions, stages }: Part): string[] {
  const told = stages.filter(({ facts }) => facts.length > 0);
  const facts = told.map(
    ({ stage, state, facts: lines }) => `| ${stage} | ${marks[state]} | ${lines.map(escapeMarkdown).join("<br>")} |`,
  );
  return [
    ...(excepted === 0
      ? []
      : fold(
          `${excepted} with an exception${describeFirstEnd(exceptions)}`,
          renderExcepted(exceptions, excepted, policyExceptions?.days ?? []),
        )),
    ...(facts.length === 0
      ? []
      : fold("What each stage found", [
          ...(image === undefined ? [] : [`**Image** ${code(image)}`, ""]),
          "| Stage | State | What was found |",
          "| --- | --- | --- |",
          ...facts,
        ])),
  ];
}

function fold(title: string, lines: readonly string[]): string[] {
  return [`<details><summary>${title}</summary>`, "", ...lines, "", "</details>", ""];
}

function renderFoot(parts: readonly Part[]): string[] {
  const commit = parts[0]?.commit.slice(0, 12) ?? "";
  const runs = new Map(parts.map(({ run }) => [`${run.id}.${run.attempt}`, run.url]));
  const links = [...runs]
    .slice(0, 3)
    .map(([name, url]) => (url === undefined ? `run ${name}` : `[run ${name}](${url})`));
  const claimed = parts.some((part) => part.claimed === true)
    ? ["As a run of the pull request's own tells it: nothing of it is signed, and no later stage goes by it.", ""]
    : [];
  return [...claimed, `<sub>Of commit ${code(commit)}, by ${links.join(", ")}.</sub>`, ""];
}
