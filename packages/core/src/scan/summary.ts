import { code, escapeMarkdown, renderResultMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import { type Finding, type FindingCounts, findingKey, findingSeverities, fixTarget, sortFindings } from "./finding.ts";
import type { ScanGateFacts } from "./gate.ts";
import { mergeFindings } from "./merge.ts";

/** Findings that break no rule are listed up to here: a summary has 1 MiB, and a reader less. */
const maxOthers = 100;

interface ScanSummaryFacts {
  result: StageResult;
  findings: readonly Finding[];
  counts: FindingCounts;
  policy: ScanGateFacts["policy"];
  /** Keys of the findings that are refused. */
  refused: ReadonlySet<string>;
  audit: boolean;
}

/** The scan as a section of a job summary: verdict, numbers, what is refused with the way out, and the rest folded. */
export function renderScanSummary(facts: ScanSummaryFacts): string {
  const { result, counts } = facts;
  const total = findingSeverities.reduce((sum, severity) => sum + counts[severity], 0);
  const numbers = findingSeverities
    .filter((severity) => counts[severity] > 0)
    .map((severity) => `${counts[severity]} ${severity}`);
  return [
    renderResultMarkdown(result, "scan").trimEnd(),
    "",
    total === 0
      ? "No known vulnerabilities."
      : `**${total} ${total === 1 ? "vulnerability" : "vulnerabilities"}**: ${numbers.join(", ")}. ${describeRule(facts.policy)}`,
    ...(facts.audit && result.verdict === "fail"
      ? ["", "`mode: audit`: the step does not fail, the verdict stays."]
      : []),
    "",
    ...renderComparison(result.comparison),
    ...renderOthers(facts),
  ].join("\n");
}

function describeRule({ failOn, onlyFixed, refuse = [] }: ScanGateFacts["policy"]): string {
  const gates = refuse.length === 0 ? "" : `, and by its gates: ${refuse.map(({ name }) => name).join(", ")}`;
  return `The policy refuses ${failOn} and above${onlyFixed ? " where a fixed version exists" : ""}; unknown counts as high${gates}.`;
}

/** New and fixed findings are listed up to here. */
const maxCompared = 20;

function renderComparison(comparison: StageResult["comparison"]): string[] {
  if (comparison === undefined) return [];
  const { counts, with: other, note, new: added, fixed } = comparison;
  const noted = note === undefined ? [] : [escapeMarkdown(`${note.charAt(0).toUpperCase()}${note.slice(1)}.`), ""];
  if (counts === undefined || other === undefined) return noted;
  const told = [
    `**Compared with** ${code(other)}: ${counts.new} new, ${counts.worse} worse, ${counts.fixed} fixed, ${counts.unchanged} unchanged.`,
    "",
    ...noted,
  ];
  const rows = [...added.slice(0, maxCompared), ...fixed.slice(0, maxCompared)].map(
    (each) =>
      `| ${each.change} | ${each.severity} | ${code(each.id)} | ${escapeMarkdown(`${each.package} ${each.version}`)} | ${escapeMarkdown(each.change === "fixed" ? "" : each.fixedVersions.join(" or "))} |`,
  );
  if (rows.length === 0) return told;
  const left = added.length + fixed.length - rows.length;
  return [
    ...told,
    "| Change | Severity | Id | Package | Fixed in |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    ...(left === 0 ? [] : ["", `… and ${left} more, in the result file.`]),
    "",
  ];
}

function renderOthers({ findings, refused }: ScanSummaryFacts): string[] {
  const others = sortFindings(mergeFindings(findings).filter((finding) => !refused.has(findingKey(finding))));
  if (others.length === 0) return [];
  const rows = others.slice(0, maxOthers).map((finding) => {
    const { name, version, type } = finding.package;
    const fixed = fixTarget(finding) ?? finding.fixState.replace("unknown", "");
    return `| ${finding.severity} | ${code(finding.id)} | ${escapeMarkdown(`${name} ${version} (${type})`)} | ${escapeMarkdown(fixed)} | ${finding.origin === "unknown" ? "" : finding.origin} |`;
  });
  return [
    `<details><summary>${others.length} that the policy does not refuse</summary>`,
    "",
    "| Severity | Id | Package | Fixed in | Comes with |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    ...(others.length > maxOthers ? ["", `… and ${others.length - maxOthers} more, in the SARIF file.`] : []),
    "",
    "</details>",
    "",
  ];
}
