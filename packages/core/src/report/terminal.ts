import { isCounted, type ListedViolation, type StageResult, tellDay } from "../result.ts";
import type { Chain, ChainStage } from "./chain.ts";

export interface TerminalOptions {
  /** ANSI colours; off where the output is not a terminal or `NO_COLOR` is set. */
  color: boolean;
}

const codes = { green: 32, red: 31, yellow: 33, bold: 1, dim: 2 } as const;

export function paint(options: TerminalOptions, style: keyof typeof codes, text: string): string {
  return options.color ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

const stateMarks: Record<ChainStage["state"], { mark: string; word: string; style: "green" | "red" | "yellow" }> = {
  pass: { mark: "✔", word: "pass", style: "green" },
  attested: { mark: "✔", word: "attested", style: "green" },
  fail: { mark: "✘", word: "fail", style: "red" },
  missing: { mark: "·", word: "missing", style: "yellow" },
};

/** The chain as a tree: a stage a branch, with who signed it, when, and what it found. */
export function renderChainText(chain: Chain, options: TerminalOptions): string {
  const out = [paint(options, "bold", chain.repository), paint(options, "dim", `@${chain.digest}`), "│"];
  chain.stages.forEach((stage, index) => {
    const last = index === chain.stages.length - 1;
    const { mark, word, style } = stateMarks[stage.state];
    const by = stage.signers.length === 0 ? "" : `signed by ${stage.signers.join(", ")}`;
    const serial = stage.policySerial === undefined ? "" : `policy serial ${stage.policySerial}`;
    const details = [by, formatTime(stage.time), serial].filter((part) => part !== "").join(", ");
    out.push(
      `${last ? "└" : "├"}─ ${paint(options, style, `${mark} ${stage.stage.padEnd(8)} ${word.padEnd(8)}`)} ${details}`.trimEnd(),
    );
    for (const fact of stage.facts) out.push(`${last ? " " : "│"}      ${fact}`);
  });
  for (const { digest, reason } of chain.rejected)
    out.push(paint(options, "yellow", `!  ${digest} counts for nothing: ${reason}`));
  return `${out.join("\n")}\n`;
}

/** A stage's result in a few lines: the verdict, each violation with its way out, exceptions last. */
export function renderResultText(result: StageResult, options: TerminalOptions): string {
  const style = result.verdict === "pass" ? "green" : result.verdict === "fail" ? "red" : "yellow";
  const out = [
    `${paint(options, style, `${result.stage}: ${result.verdict}`)}${result.subject === undefined ? "" : `  ${result.subject.repository}@${result.subject.digest}`}`,
  ];
  if (result.error !== undefined) {
    out.push(`  ${result.error.message.replaceAll("\n", "\n  ")}  [${result.error.code}]`);
    if (result.error.wayOut !== undefined) out.push(`  → ${result.error.wayOut}`);
  }
  for (const violation of result.violations.filter(isCounted)) out.push(...violationLines(violation, options));
  for (const { rule, thing, problem, enforcedFrom } of result.violations)
    if (enforcedFrom !== undefined)
      out.push(`  ${paint(options, "yellow", `${rule}  ${thing}: ${tellDay(enforcedFrom)}`)}: ${problem}`);
  const excepted = result.violations.filter((entry) => entry.exception !== undefined);
  for (const { rule, thing, exception } of excepted)
    out.push(`  ${rule}  ${thing}: excepted until ${exception?.expires} by ${exception?.owner} (${exception?.reason})`);
  for (const note of result.notes) out.push(`  ${paint(options, "dim", `note: ${note}`)}`);
  return `${out.join("\n")}\n`;
}

function violationLines(violation: ListedViolation, options: TerminalOptions): string[] {
  const platform = violation.platform === undefined ? "" : ` (${violation.platform})`;
  return [
    `  ${paint(options, "bold", violation.rule)}  ${violation.thing}${platform}`,
    `    ${violation.problem}`,
    `    → ${violation.wayOut}`,
  ];
}

/** `2026-11-23 18:40 UTC`: minutes are enough to tell runs apart, and a zone is not to be guessed. */
export function formatTime(time: string | undefined): string {
  if (time === undefined || Number.isNaN(Date.parse(time))) return "";
  return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
