/** One of grype's matches, in short: what a scan signs of it is made from this. */
export interface ShownFinding {
  id: string;
  severity: string;
  name: string;
  version: string;
  type: string;
  fixed?: string;
  /** Whose package it is; the application's unless told. */
  origin?: "base" | "application";
  /** The diffID of the layer that it is in. */
  layer?: string;
  path?: string;
  cvss?: number;
  epss?: number;
  kev?: boolean;
  description?: string;
}

const purls: Readonly<Record<string, string>> = { npm: "npm", deb: "deb/debian", "java-archive": "maven", gem: "gem" };

const purlOf = ({ name, version, type }: Pick<ShownFinding, "name" | "version" | "type">): string =>
  `pkg:${purls[type] ?? type}/${encodeURIComponent(name.toWellFormed())}@${version}`;

/** As grype writes it, with the fields that goldenpath reads. */
export function grypeMatch(finding: ShownFinding): Record<string, unknown> {
  const { id, severity, name, version, type, fixed, layer, path, cvss, epss, kev, description } = finding;
  return {
    vulnerability: {
      id,
      dataSource: id.startsWith("GHSA")
        ? `https://github.com/advisories/${id}`
        : `https://nvd.nist.gov/vuln/detail/${id}`,
      severity,
      ...(description === undefined ? {} : { description }),
      cvss: cvss === undefined ? [] : [{ metrics: { baseScore: cvss } }],
      fix: { versions: fixed === undefined ? [] : [fixed], state: fixed === undefined ? "not-fixed" : "fixed" },
      epss: epss === undefined ? [] : [{ epss }],
      knownExploited: kev === true ? [{}] : [],
    },
    relatedVulnerabilities: [],
    matchDetails: [],
    artifact: {
      ...{ name, version, type, purl: purlOf(finding) },
      locations:
        layer === undefined ? [] : [{ path: path ?? `/workspace/node_modules/${name}/package.json`, layerID: layer }],
    },
  };
}

/** As goldenpath tells it, whichever scanner found it. */
function toldFinding(finding: ShownFinding): Record<string, unknown> {
  const { id, severity, name, version, type, fixed, cvss, epss, kev, origin = "application" } = finding;
  return {
    ...{ platform: "linux/amd64", id, aliases: [], severity: severity.toLowerCase(), origin },
    package: { name, version, type, purl: purlOf(finding) },
    fixedVersions: fixed === undefined ? [] : [fixed],
    fixState: fixed === undefined ? "not-fixed" : "fixed",
    ...(cvss === undefined ? {} : { cvss }),
    ...(epss === undefined ? {} : { epss }),
    ...(kev === true ? { kev } : {}),
  };
}

/** The predicate of a scan that found these, by its fields. */
export function scanPredicate(findings: readonly ShownFinding[]): Record<string, unknown> {
  return {
    invocation: { parameters: [], uri: "", event_id: "", "builder.id": "local" },
    scanner: {
      uri: "pkg:github/anchore/grype@v0.121.2",
      version: "0.121.2",
      db: { uri: "pkg:generic/grype-db@v6.1.10", version: "v6.1.10" },
      result: {
        matches: findings.map(grypeMatch),
        descriptor: { name: "grype", version: "0.121.2" },
        goldenpath: { platforms: ["linux/amd64"], findings: findings.map(toldFinding), dropped: [] },
      },
    },
    metadata: { scanStartedOn: "2026-11-23T10:00:00Z", scanFinishedOn: "2026-11-23T10:00:04Z" },
  };
}

const words = ["left", "fast", "tiny", "deep", "safe", "core", "async", "parse", "merge", "stream"];
const levels = ["Critical", "High", "Unknown", "Medium", "Medium", "Low", "Low", "Negligible"];

/** As many different findings in as many packages, spread over the layers; always the same ones. */
export function manyFindings(count: number, layers: readonly string[]): ShownFinding[] {
  return Array.from({ length: count }, (_, at) => {
    const isDeb = at % 3 === 0;
    const layer = layers[at % Math.max(1, layers.length)];
    return {
      id: `CVE-2026-${10_000 + at}`,
      severity: levels[(at * 5) % levels.length] ?? "Low",
      name: `${isDeb ? "lib" : ""}${words[at % 10]}-${words[(at * 3 + 1) % 10]}-${at % 97}`,
      version: `${at % 5}.${at % 11}.${at % 23}`,
      type: isDeb ? "deb" : "npm",
      ...(at % 5 === 0 ? {} : { fixed: `${at % 5}.${at % 11}.${(at % 23) + 1}` }),
      ...(layer === undefined ? {} : { layer }),
      // As in an image of which the lowest three layers are the base's.
      origin: at % Math.max(1, layers.length) < 3 ? "base" : "application",
      cvss: 1 + (at % 90) / 10,
      epss: (at % 1000) / 1000,
      ...(at % 500 === 3 ? { kev: true } : {}),
      description: `What is wrong with ${words[at % 10]} number ${at}: a crafted input makes it read past its end.`,
    };
  });
}
