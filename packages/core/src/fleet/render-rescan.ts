import { cleanLine } from "@goldenpath/foundation/text/clean";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { WrittenIssues } from "./issues.ts";
import { describeRescan, type RefusedThing, type RescannedImage, type RescanReport } from "./rescan-facts.ts";

/** Things of one owner that are told one by one. */
const maxThings = 100;

/** A rescan for a terminal: what a newer base mends, then by owner what is to be mended where. */
export function renderRescan(report: RescanReport, issues?: WrittenIssues): string {
  const { images, failures, notes, requests } = report;
  const count = (verdict: RescannedImage["verdict"]): number =>
    images.filter((each) => each.verdict === verdict).length;
  const lines = [
    `${images.length} images: ${count("fail")} refused, ${count("later")} from a later day on, ${count("pass")} pass (${requests} requests)`,
  ];
  const { rebase } = describeRescan(report) as { rebase: Record<string, string[]> };
  for (const [base, own] of Object.entries(rebase)) {
    lines.push("", `Rebase ${own.length} ${own.length === 1 ? "image" : "images"} on a newer ${cleanLine(base)}:`);
    for (const name of own) lines.push(`  ${cleanLine(name)}`);
  }
  const own = images.flatMap(({ image, refused }) =>
    refused.filter(({ action }) => action === "update").map((thing) => ({ image, thing })),
  );
  const byOwner = [...Map.groupBy(own, ({ thing }) => thing.owner)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [owner, things] of byOwner) {
    lines.push("", `${cleanLine(owner)}:`);
    for (const { image, thing } of things.slice(0, maxThings))
      lines.push(`  ${renderThing(thing)}`, `    ${cleanLine(formatRepository(image.repository))}`);
    if (things.length > maxThings) lines.push(`  and ${things.length - maxThings} more (--json has them all)`);
  }
  if (failures.length > 0) lines.push("", "Not looked at, and nothing is known of them:");
  for (const { what, problem } of failures) lines.push(`  ${cleanLine(what)}: ${cleanLine(problem)}`);
  if (notes.length > 0) lines.push("");
  for (const note of notes) lines.push(`note: ${cleanLine(note)}`);
  if (issues !== undefined) lines.push("", ...renderIssues(issues));
  return `${lines.join("\n")}\n`;
}

function renderThing({ violation, countsFrom, place }: RefusedThing): string {
  const where = place === undefined ? "" : `: ${place.url ?? `${place.file}:${place.line}`}`;
  return cleanLine(`${violation.thing}, from ${countsFrom.toISOString().slice(0, 10)}${where}. ${violation.wayOut}`);
}

function renderIssues({ opened, updated, closed, skipped, failures }: WrittenIssues): string[] {
  const told = (what: string, urls: readonly string[]): string[] =>
    urls.length === 0 ? [] : [`issues ${what}: ${urls.length}`, ...urls.map((url) => `  ${cleanLine(url)}`)];
  return [
    ...told("opened", opened),
    ...told("updated", updated),
    ...told("closed", closed),
    ...skipped.map((each) => `no issue: ${cleanLine(each)}`),
    ...failures.map((each) => `issue not written: ${cleanLine(each)}`),
  ];
}
