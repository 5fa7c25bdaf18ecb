import { type Component, type PackageUrl, parsePackageUrl, sourcePackageOf } from "../components.ts";

/** The packages of an SBOM as OSV calls them. */
export interface OsvInput {
  /** A CycloneDX document of these alone. */
  document: Record<string, unknown>;
  /** By {@link osvKey}: which packages of the image are meant; one source package is many of a distribution's. */
  components: ReadonlyMap<string, readonly Component[]>;
  /** How many packages OSV has no name for, by their type. */
  leftOut: ReadonlyMap<string, number>;
}

/** Types of package URLs and OSV's ecosystems (osv-schema, "Defined ecosystems"). */
const ecosystems: ReadonlyMap<string, string> = new Map([
  ...([
    ["npm", "npm"],
    ["pypi", "PyPI"],
    ["golang", "Go"],
    ["maven", "Maven"],
    ["gem", "RubyGems"],
  ] as const),
  ...([
    ["cargo", "crates.io"],
    ["composer", "Packagist"],
    ["nuget", "NuGet"],
    ["hex", "Hex"],
  ] as const),
  ...([
    ["pub", "Pub"],
    ["cran", "CRAN"],
    ["hackage", "Hackage"],
  ] as const),
]);

/** Distributions' packages, by type and namespace. Of rpm packages osv-scanner knows no ecosystem in an SBOM. */
const systems: ReadonlyMap<string, string> = new Map([
  ...([
    ["deb/debian", "Debian"],
    ["deb/ubuntu", "Ubuntu"],
    ["apk/alpine", "Alpine"],
  ] as const),
  ...([
    ["apk/wolfi", "Wolfi"],
    ["apk/chainguard", "Chainguard"],
  ] as const),
]);

/**
 * An SBOM in the names by which OSV's advisories go. osv-scanner takes a component's name as it stands, and finds
 * nothing, in silence, where OSV has another: advisories of Debian, Ubuntu and Alpine are about source packages, and
 * those of Maven about `GROUP:ARTIFACT`.
 */
export function renderOsvInput(components: readonly Component[]): OsvInput {
  const named = new Map<string, Component[]>();
  const leftOut = new Map<string, number>();
  const written: Record<string, unknown>[] = [];
  for (const component of components) {
    const purl = parsePackageUrl(component.package.purl);
    const name = purl === undefined ? undefined : nameForOsv(purl, component);
    if (name === undefined) {
      leftOut.set(component.package.type, (leftOut.get(component.package.type) ?? 0) + 1);
      continue;
    }
    const key = osvKey(name.ecosystem, name.name, name.version);
    const same = named.get(key);
    named.set(key, [...(same ?? []), component]);
    if (same !== undefined) continue;
    written.push({
      type: "library",
      "bom-ref": String(written.length),
      name: name.name,
      version: name.version,
      purl: name.purl,
    });
  }
  return {
    document: { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components: written },
    components: named,
    leftOut,
  };
}

/** @param ecosystem with or without the distribution's version: `Debian:12` */
export function osvKey(ecosystem: string, name: string, version: string): string {
  const [family = ""] = ecosystem.split(":");
  return JSON.stringify([family, family === "PyPI" ? name.toLowerCase().replaceAll(/[-_.]+/g, "-") : name, version]);
}

interface OsvName {
  ecosystem: string;
  name: string;
  version: string;
  purl: string;
}

function nameForOsv(purl: PackageUrl, { package: { version, purl: written = "" } }: Component): OsvName | undefined {
  const system = systems.get(`${purl.type}/${purl.namespace}`);
  if (system !== undefined) return nameSystemPackage(purl, system);
  const ecosystem = ecosystems.get(purl.type);
  if (ecosystem === undefined) return undefined;
  const separator = ecosystem === "Maven" ? ":" : "/";
  const name = purl.namespace === "" ? purl.name : `${purl.namespace}${separator}${purl.name}`;
  const found = purl.version === "" ? version : purl.version;
  if (found === "") return undefined;
  return { ecosystem, name, version: found, purl: written };
}

function nameSystemPackage(purl: PackageUrl, ecosystem: string): OsvName {
  const { type, namespace, qualifiers } = purl;
  const { name: source, version: sourceVersion } = sourcePackageOf(purl);
  const distro = qualifiers.get("distro");
  return {
    ...{ ecosystem, name: source, version: sourceVersion },
    purl: `pkg:${type}/${namespace}/${encodeURIComponent(source)}@${encodeURIComponent(sourceVersion)}${distro === undefined ? "" : `?distro=${encodeURIComponent(distro)}`}`,
  };
}

/** OSV's ecosystem of a system in its version; undefined where osv-scanner would look nothing up for it. */
export function systemEcosystem(name: string, version: string): { family: string; suffix: string } | undefined {
  if (name === "wolfi" || name === "chainguard")
    return { family: name === "wolfi" ? "Wolfi" : "Chainguard", suffix: "" };
  const [major, minor] = version.split(".");
  if (major === undefined || !/^\d+$/.test(major)) return undefined;
  if (name === "debian") return { family: "Debian", suffix: major };
  if (minor === undefined || !/^\d+$/.test(minor)) return undefined;
  if (name === "ubuntu") return { family: "Ubuntu", suffix: `${major}.${minor}` };
  return name === "alpine" ? { family: "Alpine", suffix: `v${major}.${minor}` } : undefined;
}
