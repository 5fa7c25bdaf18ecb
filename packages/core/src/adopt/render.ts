import { cleanLine } from "@goldenpath/foundation/text/clean";
import { code, escapeMarkdown } from "../report/markdown.ts";
import { type AdoptProblem, type AdoptReport, type AdoptRow, type AdoptVerdict, adoptVerdicts } from "./facts.ts";

/** Problems of one repository that are shown; JSON has them all. */
const maxProblems = 5;
/** Characters of a cell. */
const widest = 40;

export function countVerdicts(rows: readonly AdoptRow[]): Record<AdoptVerdict, number> {
  const count = (verdict: AdoptVerdict): number => rows.filter((row) => row.verdict === verdict).length;
  return Object.fromEntries(adoptVerdicts.map((each) => [each, count(each)])) as Record<AdoptVerdict, number>;
}

/** For a terminal: a table of all that was looked at, what is to be done about each, and what stands apart. */
export function renderAdoption(report: AdoptReport): string {
  const { rows } = report;
  const looked = rows.filter(({ verdict }) => verdict !== "apart");
  const lines = [cleanLine(summarize(report)), ""];
  if (looked.length > 0) lines.push(...renderTable([head, ...looked.map(cellsOf)]));
  for (const row of looked) {
    const told = listTold(row);
    if (told.length > 0) lines.push("", cleanLine(row.repository), ...told.map((each) => `  ${cleanLine(each)}`));
  }
  const apart = rows.filter(({ verdict }) => verdict === "apart");
  if (apart.length > 0) lines.push("", "Apart:");
  for (const { repository, why = "" } of apart) lines.push(`  ${cleanLine(repository)}: ${cleanLine(why)}`);
  const rest = describeRest(report);
  if (rest !== undefined) lines.push("", rest);
  return `${lines.join("\n")}\n`;
}

/** The same for an issue or a job's summary. */
export function renderAdoptionMarkdown(report: AdoptReport): string {
  const { rows } = report;
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const looked = rows.filter(({ verdict }) => verdict !== "apart");
  const lines = [escapeMarkdown(summarize(report)), ""];
  if (looked.length > 0) {
    lines.push(row([...head, "what to do"]), row([...head, ""].map(() => "---")));
    for (const each of looked)
      lines.push(row([...cellsOf(each).map(escapeMarkdown), listTold(each).map(escapeMarkdown).join("<br>")]));
    lines.push("");
  }
  const apart = rows.filter(({ verdict }) => verdict === "apart");
  for (const { repository, why = "" } of apart) lines.push(`- ${code(repository)}: ${escapeMarkdown(why)}`);
  const rest = describeRest(report);
  if (rest !== undefined) lines.push("", escapeMarkdown(rest));
  return `${lines.join("\n").trimEnd()}\n`;
}

/** What is to be asked for by another run. */
function describeRest({ resumeAfter }: AdoptReport): string | undefined {
  if (resumeAfter === undefined) return undefined;
  const when = resumeAfter === "" ? "later" : `after ${resumeAfter}`;
  return `GitHub took no more requests: run again ${when}, with the same --output FILE, and only what is left is asked for.`;
}

function summarize({ owner, policy, rows }: AdoptReport): string {
  const { ready, refused, nothing, unknown, apart } = countVerdicts(rows);
  return `${owner}: ${rows.length} repositories by policy '${policy.name}' (serial ${policy.serial}): ${ready} ready, ${refused} refused, ${nothing} with nothing to build, ${unknown} unknown, ${apart} apart`;
}

const head = ["repository", "verdict", "strategy", "base today"];

function cellsOf({ repository, verdict, applications, bases }: AdoptRow): string[] {
  const all = (texts: readonly string[]): string => [...new Set(texts)].join(", ") || "-";
  return [
    ...[repository, verdict],
    all(applications.map(({ strategy }) => strategy ?? "none")),
    all(bases.map(({ name }) => name)),
  ];
}

function listTold({ why, problems, missing, opened }: AdoptRow): string[] {
  const order = problems.toSorted((one, other) => Number(one.level !== "refused") - Number(other.level !== "refused"));
  const left = order.length - maxProblems;
  return [
    ...(why === undefined ? [] : [why]),
    ...order.slice(0, maxProblems).map(renderProblem),
    ...(left > 0 ? [`and ${left} more (--json has them all)`] : []),
    ...missing.map((each) => `missing: ${each}`),
    ...(opened === undefined ? [] : [`caller: ${[opened.state, opened.url, opened.why].filter(Boolean).join(": ")}`]),
  ];
}

function renderProblem({ file, line, level, problem, wayOut }: AdoptProblem): string {
  const where = file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}`}: `;
  return `${where}${level}: ${problem}. ${wayOut}`;
}

function renderTable(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map((each) => cleanLine(each, widest)));
  const widths = head.map((_name, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((each, column) => each.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
