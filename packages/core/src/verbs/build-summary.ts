import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { BuildPlan } from "../build/plan-build.ts";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";

/**
 * Names, reasons and notes come from the policy, the application and the registry: each goes into the table as text,
 * not as Markdown.
 */
export function renderBuildSummary(
  plan: BuildPlan,
  image: string,
  result: Pick<StageResult, "tools" | "notes">,
): string {
  const rows: (readonly [string, string])[] = [
    ["Image", code(image)],
    ["Tags", plan.tags.map((tag) => code(tag.tag ?? "")).join(" ")],
    ["Repository", code(formatRepository(plan.repository))],
    ["Strategy", escapeMarkdown(`${plan.strategy.strategy}: ${plan.strategy.reason}`)],
    ["Builder", escapeMarkdown(plan.builder.name)],
    ...(plan.runImage === undefined
      ? []
      : ([["Base", `${escapeMarkdown(plan.runImage.base)}, ${code(plan.runImage.reference.digest)}`]] as const)),
    ["Tools", escapeMarkdown(result.tools.map((tool) => `${tool.name} ${tool.version}`).join(", "))],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
  return `### Built\n\n| | |\n| --- | --- |\n${table}\n\n${result.notes.map((note) => `- ${escapeMarkdown(note)}`).join("\n")}\n`;
}
