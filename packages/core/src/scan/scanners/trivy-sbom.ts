import type { System } from "../blind-spots.ts";
import { type Component, type PackageUrl, parsePackageUrl, sourcePackageOf } from "../components.ts";
import { packageKey } from "../finding.ts";

/** The packages of an SBOM as trivy reads them. */
export interface TrivyInput {
  /** A CycloneDX document of these alone, and of the system. */
  document: Record<string, unknown>;
  /** By their reference in the document; one that is in several places is one. */
  components: ReadonlyMap<string, Component>;
  /** Beginnings of the names of the data's buckets for the languages among them: `npm::`. */
  languages: ReadonlySet<string>;
  /** How many packages trivy is not given, by their type. */
  leftOut: ReadonlyMap<string, number>;
}

/** Types of package URLs that trivy takes for a language's, and the ecosystem of its advisories (trivy 0.66). */
const ecosystems: ReadonlyMap<string, string> = new Map([
  ...([
    ["npm", "npm"],
    ["pypi", "pip"],
    ["golang", "go"],
    ["maven", "maven"],
    ["gem", "rubygems"],
  ] as const),
  ...([
    ["cargo", "cargo"],
    ["composer", "composer"],
    ["nuget", "nuget"],
    ["hex", "erlang"],
    ["pub", "pub"],
  ] as const),
  ...([
    ["conan", "conan"],
    ["swift", "swift"],
    ["cocoapods", "cocoapods"],
    ["bitnami", "bitnami"],
  ] as const),
]);

interface TrivySystem {
  /** As trivy calls the distribution. */
  family: string;
  /** Of its packages' URLs. */
  type: "deb" | "apk" | "rpm";
  /** What the data calls its advisories in a version; undefined where there are none of such a version. */
  bucketOf(version: string): string | undefined;
}

const byMajor =
  (name: string) =>
  (version: string): string | undefined =>
    named(name, /^\d+(?=\.|$)/.exec(version));
const byMinor =
  (name: string) =>
  (version: string): string | undefined =>
    named(name, /^\d+\.\d+(?=\.|$)/.exec(version));
const always = (name: string) => (): string => name;

function named(name: string, found: RegExpExecArray | null): string | undefined {
  return found === null ? undefined : `${name} ${found[0]}`;
}

/**
 * Distributions by os-release's ID. Those of Red Hat and SUSE are not among them: which of their advisories concern an
 * image depends on its repositories, which an SBOM does not say.
 */
const systems: Readonly<Record<string, TrivySystem>> = {
  debian: { family: "debian", type: "deb", bucketOf: byMajor("debian") },
  ubuntu: { family: "ubuntu", type: "deb", bucketOf: byMinor("ubuntu") },
  alpine: { family: "alpine", type: "apk", bucketOf: byMinor("alpine") },
  wolfi: { family: "wolfi", type: "apk", bucketOf: always("wolfi") },
  chainguard: { family: "chainguard", type: "apk", bucketOf: always("chainguard") },
  almalinux: { family: "alma", type: "rpm", bucketOf: byMajor("alma") },
  rocky: { family: "rocky", type: "rpm", bucketOf: byMajor("rocky") },
  amzn: { family: "amazon", type: "rpm", bucketOf: byMajor("amazon linux") },
  ol: { family: "oracle", type: "rpm", bucketOf: byMajor("Oracle Linux") },
  photon: { family: "photon", type: "rpm", bucketOf: byMinor("Photon OS") },
  azurelinux: { family: "azurelinux", type: "rpm", bucketOf: byMinor("Azure Linux") },
  mariner: { family: "cbl-mariner", type: "rpm", bucketOf: byMinor("CBL-Mariner") },
};

const systemTypes = new Set(["deb", "apk", "rpm"]);

/** What trivy's data calls the advisories of a system in its version; undefined where it has none under any name. */
export function systemBucket({ name, version }: System): string | undefined {
  return Object.hasOwn(systems, name) ? systems[name]?.bucketOf(version) : undefined;
}

/**
 * An SBOM for trivy. Of another tool's it does not see which source package a distribution's is of, and then finds
 * nothing for it, in silence; it says so of properties of its own. Of two components with one package URL it reports
 * the first, and of a system that it does not know nothing: those packages are left out.
 */
export function renderTrivyInput(all: readonly Component[], system: System | undefined): TrivyInput {
  const known = system !== undefined && Object.hasOwn(systems, system.name) ? systems[system.name] : undefined;
  const references = new Map<string, string>();
  const components = new Map<string, Component>();
  const languages = new Set<string>();
  const leftOut = new Map<string, number>();
  const written: Record<string, unknown>[] = [];
  if (known !== undefined)
    written.push({ type: "operating-system", "bom-ref": "system", name: known.family, version: system?.version ?? "" });
  for (const component of all) {
    const { type, name, version, purl: text } = component.package;
    const purl = parsePackageUrl(text);
    if (purl === undefined || !isLookedUp(purl, known)) {
      leftOut.set(type, (leftOut.get(type) ?? 0) + 1);
      continue;
    }
    const key = packageKey(component.package);
    const reference = references.get(key) ?? String(references.size);
    const same = components.get(reference);
    components.set(reference, same === undefined ? component : joinPlaces(same, component));
    if (same !== undefined) continue;
    references.set(key, reference);
    const language = ecosystems.get(purl.type);
    if (language !== undefined) languages.add(`${language}::`);
    const properties = systemTypes.has(purl.type) ? { properties: nameSource(purl) } : {};
    written.push({ type: "library", "bom-ref": reference, name, version, purl: text, ...properties });
  }
  return {
    document: { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components: written },
    ...{ components, languages, leftOut },
  };
}

function isLookedUp({ type, version }: PackageUrl, system: TrivySystem | undefined): boolean {
  if (version === "") return false;
  return systemTypes.has(type) ? type === system?.type : ecosystems.has(type);
}

function joinPlaces(a: Component, b: Component): Component {
  return {
    ...a,
    layers: [...new Set([...a.layers, ...b.layers])],
    paths: [...new Set([...a.paths, ...b.paths])],
  };
}

/** trivy's own properties (its pkg/sbom/core): of an rpm the version's parts, each apart. */
function nameSource(purl: PackageUrl): { name: string; value: string }[] {
  const { name, version } = sourcePackageOf(purl);
  const [plain = version, release] = purl.type === "rpm" ? version.split(/-(?=[^-]*$)/) : [version];
  const said = { SrcName: name, SrcVersion: plain, SrcRelease: release, SrcEpoch: epochOf(purl) };
  return Object.entries(said).flatMap(([key, value]) =>
    value === undefined ? [] : [{ name: `aquasecurity:trivy:${key}`, value }],
  );
}

function epochOf({ type, qualifiers }: PackageUrl): string | undefined {
  const epoch = type === "rpm" ? qualifiers.get("epoch") : undefined;
  return epoch === undefined || !/^\d+$/.test(epoch) ? undefined : epoch;
}
