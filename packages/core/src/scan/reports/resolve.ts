import { type Component, parsePackageUrl, sourcePackageOf } from "../components.ts";
import { packageKey, type ScannerFinding } from "../finding.ts";
import type { ReportedFinding } from "./report.ts";

/**
 * A report's findings, each in the package of the image that is meant: only so it is known where that comes from, and
 * that two scanners say the same. What the SBOM does not have is found all the same.
 * @param components of the image, by its SBOM
 */
export function resolvePackages(
  findings: readonly ReportedFinding[],
  components: readonly Component[],
): { findings: ScannerFinding[]; strange: number } {
  const known: Known = {
    byUrl: Map.groupBy(components, ({ package: { purl } }) => urlKey(purl) ?? ""),
    byName: Map.groupBy(components, ({ package: { name } }) => name.toLowerCase()),
    bySource: Map.groupBy(components, (component) => sourceKey(component) ?? ""),
  };
  const resolved: ScannerFinding[] = [];
  let strange = 0;
  for (const { package: said, ...finding } of findings) {
    const meant = findMeant(said, known);
    if (meant.length === 0) strange += 1;
    for (const { package: pkg, layers, paths } of meant.length === 0 ? [strangePackage(said)] : joinPlaces(meant))
      resolved.push({ ...finding, package: pkg, layers, paths });
  }
  return { findings: resolved, strange };
}

interface Known {
  byUrl: ReadonlyMap<string, readonly Component[]>;
  byName: ReadonlyMap<string, readonly Component[]>;
  /** A distribution's packages, by what they were built from. */
  bySource: ReadonlyMap<string, readonly Component[]>;
}

function findMeant(said: ReportedFinding["package"], { byUrl, byName, bySource }: Known): readonly Component[] {
  const key = urlKey(said.purl);
  const found = key === undefined ? undefined : byUrl.get(key);
  if (found !== undefined) return found;
  const url = parsePackageUrl(said.purl);
  const names = url === undefined ? [said.name, afterLast(said.name, "/"), afterLast(said.name, ":")] : [url.name];
  const wanted = url === undefined ? said.version : url.version;
  const fits = ({ package: pkg }: Component): boolean =>
    (wanted === undefined || wanted === "" || pkg.version === wanted) &&
    (url === undefined || parsePackageUrl(pkg.purl)?.type === url.type);
  for (const each of names) {
    const same = (byName.get(each?.toLowerCase() ?? "") ?? []).filter(fits);
    if (same.length > 0) return same;
  }
  // Where nothing in the image is called so, what a distribution's packages were built from may be.
  return (
    names.map((each) => bySource.get(JSON.stringify([each ?? "", wanted ?? ""]))).find((each) => each !== undefined) ??
    []
  );
}

function sourceKey({ package: { purl } }: Component): string | undefined {
  const url = parsePackageUrl(purl);
  if (url === undefined || !["deb", "apk", "rpm"].includes(url.type)) return undefined;
  const { name, version } = sourcePackageOf(url);
  return JSON.stringify([name, version]);
}

/** Snyk puts the source package before a distribution's, and Maven's group is before the artifact. */
function afterLast(name: string | undefined, separator: string): string | undefined {
  return name?.slice(name.lastIndexOf(separator) + 1);
}

/** Qualifiers are each tool's own: syft writes `distro=debian-12` where another has `os_name=debian`. */
function urlKey(purl: string | undefined): string | undefined {
  const url = parsePackageUrl(purl);
  return url === undefined || url.version === ""
    ? undefined
    : JSON.stringify([url.type, url.namespace.toLowerCase(), url.name.toLowerCase(), url.version]);
}

/** One package in several places is one finding. */
function joinPlaces(meant: readonly Component[]): Component[] {
  return [...Map.groupBy(meant, ({ package: pkg }) => packageKey(pkg)).values()].map((same) => ({
    ...(same[0] as Component),
    layers: [...new Set(same.flatMap(({ layers }) => layers))],
    paths: [...new Set(same.flatMap(({ paths }) => paths))],
  }));
}

function strangePackage({ purl, name, version }: ReportedFinding["package"]): Component {
  const url = parsePackageUrl(purl);
  return {
    package: {
      name: url?.name ?? name ?? "a package that is not named",
      version: (url === undefined ? version : url.version) ?? "",
      type: url?.type ?? "unknown",
      ...(url === undefined || purl === undefined ? {} : { purl }),
    },
    layers: [],
    paths: [],
  };
}
