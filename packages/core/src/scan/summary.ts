import { code, escapeMarkdown, renderResultMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import {
  describeDifference,
  type Finding,
  type FindingCounts,
  findingKey,
  findingSeverities,
  fixTarget,
  sortFindings,
} from "./finding.ts";
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
    ...renderOthers(facts),
    ...renderDiffering(facts),
  ].join("\n");
}

function describeRule({ failOn, onlyFixed, refuse = [] }: ScanGateFacts["policy"]): string {
  const gates = refuse.length === 0 ? "" : `, and by its gates: ${refuse.map(({ name }) => name).join(", ")}`;
  return `The policy refuses ${failOn} and above${onlyFixed ? " where a fixed version exists" : ""}; unknown counts as high${gates}.`;
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

/** Who says what, where scanners or others' reports rate one finding differently. */
function renderDiffering({ findings }: ScanSummaryFacts): string[] {
  const differing = sortFindings(mergeFindings(findings)).flatMap((finding) => {
    const who = describeDifference(finding);
    return who === "" ? [] : [{ finding, who }];
  });
  if (differing.length === 0) return [];
  const rows = differing.slice(0, maxOthers).map(({ finding: { id, severity, package: of }, who }) => {
    const thing = escapeMarkdown(`${of.name} ${of.version}`);
    return `| ${code(id)} | ${thing} | ${severity} | ${escapeMarkdown(who)} |`;
  });
  return [
    `<details><summary>${differing.length} that the sources rate differently</summary>`,
    "",
    "| Id | Package | Counts as | Who says what |",
    "| --- | --- | --- | --- |",
    ...rows,
    ...(differing.length > maxOthers ? ["", `… and ${differing.length - maxOthers} more, in the SARIF file.`] : []),
    "",
    "</details>",
    "",
  ];
}
