import { cleanLine } from "@goldenpath/foundation/text/clean";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { nameImage } from "./facts.ts";
import { type FindReport, listRebases, type PlacedHit } from "./find-report.ts";

/** Images of one base that are named one by one. */
const maxNamed = 200;

/** What was found, for a terminal: first what goes with a newer base, then by owner what is mended in the applications. */
export function renderFound(report: FindReport): string {
  const { query, looked, hits, failures, notes, requests } = report;
  const found = new Set(hits.map(({ image }) => nameImage(image))).size;
  const lines = [`${cleanLine(query)}: in ${found} of ${looked} images (${requests} requests)`];
  for (const [base, images] of listRebases(hits)) {
    lines.push("", `Rebase ${count(images.length, "image")} on a newer ${cleanLine(base)}, which brings it:`);
    for (const { image, owner } of images.slice(0, maxNamed))
      lines.push(`  ${describeImage(image)}  ${cleanLine(owner)}`);
    if (images.length > maxNamed) lines.push(`  and ${images.length - maxNamed} more (--json has them all)`);
  }
  const own = hits.filter(({ action }) => action === "update");
  const byOwner = [...Map.groupBy(own, ({ owner }) => owner)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [owner, each] of byOwner) {
    lines.push("", `${cleanLine(owner)}:`);
    for (const hit of each) lines.push(`  ${renderHit(hit)}`, `    ${describeImage(hit.image)}`);
  }
  if (failures.length > 0) lines.push("", `Not told of ${count(failures.length, "place")}, each of which may have it:`);
  for (const { what, problem } of failures) lines.push(`  ${cleanLine(what)}: ${cleanLine(problem)}`);
  if (notes.length > 0) lines.push("");
  for (const note of notes) lines.push(`note: ${cleanLine(note)}`);
  return `${lines.join("\n")}\n`;
}

function renderHit({ package: found, place, paths, image, isUncertain, vulnerability, platform }: PlacedHit): string {
  const where =
    place === undefined
      ? `${image.source?.repository ?? "source unknown"}${paths.length === 0 ? "" : ` (in the image: ${paths.slice(0, 3).join(", ")})`}`
      : (place.url ?? `${image.source?.repository ?? ""} ${place.file}:${place.line}`);
  const fix =
    vulnerability === undefined
      ? ""
      : `, ${vulnerability.id} ${vulnerability.severity}${vulnerability.kev === true ? ", known to be exploited" : ""}${vulnerability.fixedVersions.length === 0 ? "" : `, fixed in ${vulnerability.fixedVersions.join(" or ")}`}, by the scan of ${vulnerability.scannedOn}`;
  const may = isUncertain === true ? " (its version can't be compared: it may be)" : "";
  const on = platform === undefined ? "" : ` on ${platform}`;
  return cleanLine(`${found.name} ${found.version}${on}${may}${fix}: ${where}`);
}

function describeImage({ repository, digest, tags, environments }: PlacedHit["image"]): string {
  const named = tags.length === 0 ? "" : `:${tags.join(",")}`;
  const there = environments.length === 0 ? "no promotion counts" : environments.join(", ");
  return cleanLine(`${formatRepository(repository)}${named}@${digest.slice(0, 19)} (${there})`);
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
