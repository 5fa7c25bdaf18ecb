import type { ReportedFinding } from "./report.ts";

type Named = ReportedFinding["package"];

/** Where scanners write into a result of SARIF, which has no field for it, what package it is of. */
export interface PackageHints {
  /** `properties` of the result and of its rule. */
  properties: readonly Readonly<Record<string, unknown>>[];
  /** `fullyQualifiedName` of logical locations, and messages of locations. */
  places: readonly string[];
  /** Messages, descriptions and help. */
  texts: readonly string[];
}

/**
 * The package that a result is of: by a package URL, else as NAME@VERSION of its place, else by the lines `Package:` and
 * `Version:`, else by what the sentences of single scanners say. Several where a rule names several and the result none.
 */
export function readSarifPackages({ properties, places, texts }: PackageHints): Named[] {
  const urls = [
    ...properties.flatMap(listPackageUrls),
    ...places.flatMap(findPackageUrls),
    ...texts.flatMap(findPackageUrls),
  ];
  if (urls.length > 0) return [...new Set(urls)].map((purl) => ({ purl }));
  for (const place of places) {
    const [, name, version] = /^(?:\S+: )?((?:@[^@\s/]+\/)?[^@\s]+)@([^@\s]+)$/.exec(place.trim()) ?? [];
    if (name !== undefined && version !== undefined && !version.startsWith("sha256:")) return [{ name, version }];
  }
  const name = readLine(texts, /^\s*package(?: name)?\s*:\s*(\S.*)$/im);
  if (name !== undefined) {
    const version = readLine(texts, /^\s*(?:installed |package )?version\s*:\s*(\S.*)$/im);
    return [{ name, ...(version === undefined ? {} : { version }) }];
  }
  for (const text of texts) {
    const found = sentences.map((sentence) => sentence.exec(text)).find((match) => match !== null);
    const { name: said, version } = found?.groups ?? {};
    if (said !== undefined && version !== undefined) return [{ name: said, version }];
  }
  return [];
}

/** Snyk's descriptions, grype's messages, twistcli's. */
const sentences = [
  /^\((?:CVE-[\d-]+|[A-Z][\w-]+)\) (?<name>(?:@[^@\s/]+\/)?[^@\s]+)@(?<version>[^@\s]+)$/,
  /\bpackage: (?<name>\S+), version (?<version>\S+) was found\b/,
  /\bfound in (?<name>\S+) version (?<version>\S+)$/,
];

/** The versions that mend it, where a line or a property says so. */
export function readSarifFixes({ properties, texts }: PackageHints): string[] {
  const said =
    properties.map(({ fixed_version: fixed }) => fixed).find((fixed) => typeof fixed === "string") ??
    readLine(texts, /^\s*fix(?:ed)? versions?\s*:[^\S\n]*(\S.*)$/im);
  return typeof said !== "string" || /^not fixed$/i.test(said.trim())
    ? []
    : said.split(",").flatMap((version) => version.trim() || []);
}

function readLine(texts: readonly string[], line: RegExp): string | undefined {
  return texts.map((text) => line.exec(text)?.[1]?.trim()).find((value) => value !== undefined && value !== "");
}

function listPackageUrls({ purls, purl }: Readonly<Record<string, unknown>>): string[] {
  return [...(Array.isArray(purls) ? purls : []), purl].filter(
    (each): each is string => typeof each === "string" && each.startsWith("pkg:"),
  );
}

function findPackageUrls(text: string): string[] {
  return text.match(/\bpkg:[a-z0-9.+-]+\/[^\s"'`<>()[\]|,;]+/g) ?? [];
}
