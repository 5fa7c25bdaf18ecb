import { shortDigest } from "@goldenpath/registry-client/oci/digest";
import { predicateTypes } from "./signing/predicates.ts";

/** What a stage has signed about one image, for who tells it: of each kind the newest. It decides nothing. */
export interface StageEvidence {
  /** The predicate of what was found, by its type. */
  finding(predicateType: string): Record<string, unknown> | undefined;
  /** The predicate of the stage's verdict; empty where it gives none. */
  verdict: Record<string, unknown>;
}

/** A line each, its label in the first ten columns. */
export type TellFacts = (evidence: StageEvidence) => string[];

export const tellBuild: TellFacts = ({ finding }) => [
  ...tellProvenance(record(finding(predicateTypes.provenance))),
  ...tellSbom(record(finding(predicateTypes.cyclonedx))),
];

function tellProvenance(predicate: Record<string, unknown>): string[] {
  const definition = record(predicate["buildDefinition"]);
  const source = record(record(definition["externalParameters"])["source"]);
  const internal = record(definition["internalParameters"]);
  const details = record(predicate["runDetails"]);
  const commit = list(definition["resolvedDependencies"])
    .map((dependency) => text(record(record(dependency)["digest"])["gitCommit"]))
    .find((value) => value !== undefined);
  return [
    ...line("source", text(source["repository"]), commit === undefined ? undefined : `at ${commit.slice(0, 12)}`),
    ...line("builder", text(record(details["builder"])["id"])),
    ...line("built", builtWith(internal), environmentOf(internal)),
  ];
}

function builtWith(internal: Record<string, unknown>): string | undefined {
  const builders = list(internal["builders"]).filter((name) => typeof name === "string");
  return builders.length === 0 ? undefined : `with builder ${builders.join(" or ")}`;
}

function environmentOf(internal: Record<string, unknown>): string | undefined {
  const environment = text(internal["buildEnvironment"]);
  return environment === undefined ? undefined : `(build environment: ${environment})`;
}

function tellSbom({ components }: Record<string, unknown>): string[] {
  // syft lists files as components, too; a package is what has a package URL.
  return Array.isArray(components)
    ? line("SBOM", `${components.filter((component) => text(record(component)["purl"])).length} packages (CycloneDX)`)
    : [];
}

export const tellBase: TellFacts = ({ finding }) =>
  list(finding(predicateTypes.base)?.["children"]).flatMap((entry) => {
    const child = record(entry);
    const base = record(child["base"]);
    const name = text(base["name"]);
    if (name === undefined) return line("base", "none that is approved");
    const digest = text(base["digest"]);
    return line(
      "base",
      `${name}, ${text(base["image"]) ?? ""}@${digest === undefined ? "?" : shortDigest(digest)}: ${child["matchedLayers"]} of ${child["totalLayers"]} layers are its`,
    );
  });

export const tellScan: TellFacts = ({ finding }) => {
  const predicate = finding(predicateTypes.vulnerabilities);
  if (predicate === undefined) return [];
  const scanner = record(predicate["scanner"]);
  const counts = readCounts(record(scanner["result"]));
  const counted = ["critical", "high", "medium", "low", "negligible", "unknown"].filter((severity) =>
    counts.has(severity),
  );
  const worded =
    counted.length === 0
      ? "no known vulnerabilities"
      : counted.map((severity) => `${counts.get(severity)} ${severity}`).join(", ");
  return [
    ...line("findings", worded),
    ...tellComparison(record(record(record(scanner["result"])["goldenpath"])["comparison"])),
    ...line("scanner", scannerName(scanner)),
  ];
};

function tellComparison(comparison: Record<string, unknown>): string[] {
  const counts = record(comparison["counts"]);
  const told = ["new", "worse", "fixed", "unchanged"].filter((change) => Number.isInteger(counts[change]));
  const since = text(comparison["with"]);
  if (told.length === 0) return line("compared", text(comparison["note"]));
  return line("compared", told.map((change) => `${counts[change]} ${change}`).join(", "), since && `since ${since}`);
}

/**
 * How many of each severity: as the scan counted them where it says so, else by the matches of the scanner's report.
 */
function readCounts({ goldenpath, matches }: Record<string, unknown>): Map<string, number> {
  const said = record(goldenpath)["counts"];
  if (said !== undefined) {
    return new Map(
      Object.entries(record(said)).filter(
        (entry): entry is [string, number] => Number.isInteger(entry[1]) && entry[1] !== 0,
      ),
    );
  }
  const counts = new Map<string, number>();
  for (const match of list(matches)) {
    const severity = (text(record(record(match)["vulnerability"])["severity"]) ?? "unknown").toLowerCase();
    counts.set(severity, (counts.get(severity) ?? 0) + 1);
  }
  return counts;
}

/** `pkg:github/OWNER/NAME@vVERSION` → `NAME VERSION`. */
function scannerName(scanner: Record<string, unknown>): string | undefined {
  const uri = text(scanner["uri"]);
  const version = text(scanner["version"]);
  if (uri === undefined) return version;
  const name = /([^/@]+)(?:@[^/]*)?$/.exec(uri)?.[1] ?? uri;
  return version === undefined ? name : `${name} ${version}`;
}

export const tellPromote: TellFacts = ({ verdict }) =>
  line("gate", `${list(verdict["inputAttestations"]).length} statements accepted`);

function line(label: string, ...parts: (string | undefined)[]): string[] {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? [] : [`${label.padEnd(9)} ${known.join(" ")}`];
}
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
