import type { Sbom } from "../catalog.ts";
import { readProperties } from "../properties.ts";

/** Several SBOMs as one document, for a scanner that takes long to start. */
export interface MergedSboms {
  document: Sbom;
  /** Which of the given SBOMs are in it, by their place in the list. */
  members: number[];
  /** By `bom-ref` of the document: whose package it is, what it is called there and where it lies. */
  owners: ReadonlyMap<string, readonly PackageOwner[]>;
}

export interface PackageOwner {
  /** The SBOM's place in the list. */
  member: number;
  /** The package's own `bom-ref`, where it has one. */
  ref?: string;
  /** Where it was seen, if that was taken out of the document. */
  location?: PackageLocation;
}

export interface PackageLocation {
  path: string;
  /** diffID. */
  layerID?: string;
}

type Component = Record<string, unknown>;

/** Components of one SBOM: what has more is scanned alone, so that it takes nobody else's memory. */
const maxComponents = 25_000;

/**
 * Documents of several SBOMs each, and who is in none. What a scanner takes for the whole document has to be the same for
 * all that are in one: the version of CycloneDX, the first operating system, and the distributions that package URLs name,
 * since grype takes one that all agree on for that of packages without any. A package that several images have is in it
 * once, wherever it lies. `bom-ref`s are our own, so that no SBOM can give another's package its name; dependencies,
 * services and signatures, by which nothing is matched, are left out.
 */
export function mergeSboms(sboms: readonly Sbom[]): { together: MergedSboms[]; alone: number[] } {
  const groups = new Map<string, { system: Component | undefined; members: number[] }>();
  const alone: number[] = [];
  sboms.forEach((sbom, member) => {
    if (!canBeMerged(sbom)) {
      alone.push(member);
      return;
    }
    const system = componentsOf(sbom).find(isSystem);
    const said = system === undefined ? null : withoutRefs(system);
    const key = JSON.stringify([sbom["specVersion"], said, listDistributions(componentsOf(sbom))]);
    const group = groups.get(key) ?? { system, members: [] };
    group.members.push(member);
    groups.set(key, group);
  });
  return { together: [...groups.values()].map(({ system, members }) => mergeGroup(sboms, system, members)), alone };
}

/**
 * What is read in a place that the merged document does not have, or by a name that it does not keep, would be lost on
 * the way: packages in the document's subject or inside of an operating system, and those that have their package URL for
 * a `bom-ref` alone, by which syft's reader goes (its helpers/component.go, getPURL). And Go reads a field by any spelling
 * of its name (encoding/json, Unmarshal): by a `Bom-Ref` a package could take the name of another image's.
 */
function canBeMerged(sbom: Sbom): boolean {
  const metadata = (sbom["metadata"] ?? {}) as { component?: Component };
  const { component = { type: "container" } } = metadata;
  if (!hasOnly(sbom, documentFields) || !hasOnly(metadata, metadataFields) || !hasOnly(component, componentFields))
    return false;
  if (!subjectTypes.has(component["type"]) || componentsOf(component).length > 0) return false;
  let count = 0;
  const isPlain = (each: Component): boolean => {
    if (++count > maxComponents || !hasOnly(each, componentFields)) return false;
    const inner = componentsOf(each);
    const ref = each["bom-ref"];
    const isNamedByRef = (each["purl"] ?? "") === "" && typeof ref === "string" && ref.startsWith("pkg:");
    return !isNamedByRef && (!isSystem(each) || inner.length === 0) && inner.every(isPlain);
  };
  return componentsOf(sbom).every(isPlain);
}

const hasOnly = (fields: object, known: ReadonlySet<string>): boolean =>
  Object.keys(fields).every((name) => known.has(name));

// All that CycloneDX 1.7 has, by its JSON schema.
const documentFields = new Set(
  "$schema bomFormat specVersion serialNumber version metadata components services externalReferences dependencies compositions vulnerabilities annotations formulation declarations definitions citations properties signature".split(
    " ",
  ),
);
const metadataFields = new Set(
  "timestamp lifecycles tools manufacturer authors component manufacture supplier licenses properties distributionConstraints".split(
    " ",
  ),
);
const componentFields = new Set(
  "type mime-type bom-ref supplier manufacturer authors author publisher group name version versionRange isExternal description scope hashes licenses copyright patentAssertions cpe purl omniborId swhid swid modified pedigree externalReferences components evidence releaseNotes modelCard data cryptoProperties properties tags signature".split(
    " ",
  ),
);

/** Of a subject that is no package. */
const subjectTypes: ReadonlySet<unknown> = new Set(["container", "file"]);

/** What package URLs have for `distro`. */
function listDistributions(components: readonly Component[], found = new Set<string>()): string[] {
  for (const each of components) {
    const { purl } = each;
    if (typeof purl === "string" && purl.includes("?")) {
      const query = decodeQuery(purl.slice(purl.indexOf("?")));
      if (/distro/i.test(query)) found.add([...query.matchAll(/distro=[^&#]*/gi)].join("&") || query);
    }
    listDistributions(componentsOf(each), found);
  }
  return [...found].toSorted();
}

function decodeQuery(query: string): string {
  try {
    return decodeURIComponent(query);
  } catch {
    return query;
  }
}

function mergeGroup(sboms: readonly Sbom[], system: Component | undefined, members: number[]): MergedSboms {
  const components = new Map<string, Component>();
  const owners = new Map<string, PackageOwner[]>();
  for (const member of members) {
    for (const given of componentsOf(sboms[member] ?? {})) {
      // Nothing is matched against a file either, and syft lists them by the thousand.
      if (isSystem(given) || (given["type"] === "file" && componentsOf(given).length === 0)) continue;
      const { component, location } = takeLocation(given);
      const key = withoutRefs(component);
      const merged = components.get(key) ?? renamed(component, `p${components.size}`);
      components.set(key, merged);
      noteOwners(merged, given, { member, ...(location === undefined ? {} : { location }) }, owners);
    }
  }
  const { bomFormat, specVersion } = sboms[members[0] ?? 0] ?? {};
  const metadata = { component: { type: "container", name: "several images", "bom-ref": "several" } };
  return {
    document: {
      ...{ bomFormat, specVersion, version: 1, metadata },
      components: [...(system === undefined ? [] : [{ ...system, "bom-ref": "system" }]), ...components.values()],
    },
    members,
    owners,
  };
}

const located = "syft:location:";
const propertyFields = new Set(["name", "value"]);

/**
 * A package without where it lies, if it says so once and as syft does: each image has it in a layer of its own, and by
 * where it lies nothing is matched. grype sets matches aside by the files that packages own, and no CycloneDX document
 * tells it of any.
 */
function takeLocation(component: Component): { component: Component; location?: PackageLocation } {
  const { properties } = component;
  if (!Array.isArray(properties) || componentsOf(component).length > 0) return { component };
  const isLocated = (property: unknown): boolean =>
    String((property as { name?: unknown } | null)?.name).startsWith(located);
  const own = properties.filter(isLocated);
  const { "syft:location:0:path": path, "syft:location:0:layerID": layerID } = Object.fromEntries(readProperties(own));
  // Go reads a field by any spelling of its name: such a property may be another one.
  if (!own.every((property) => hasOnly(property, propertyFields))) return { component };
  if (!path || layerID === "" || own.length !== (layerID === undefined ? 1 : 2)) return { component };
  const others = properties.filter((property) => !isLocated(property));
  return {
    component: { ...component, properties: others },
    location: { path, ...(layerID === undefined ? {} : { layerID }) },
  };
}

/** The component and all that is in it, by names of ours: `p7`, `p7.0`, `p7.0.2`. */
function renamed(component: Component, ref: string): Component {
  const inner = componentsOf(component).map((each, index) => renamed(each, `${ref}.${index}`));
  return { ...component, "bom-ref": ref, ...(inner.length === 0 ? {} : { components: inner }) };
}

function noteOwners(
  merged: Component,
  given: Component,
  whose: Omit<PackageOwner, "ref">,
  owners: Map<string, PackageOwner[]>,
): void {
  const ref = merged["bom-ref"] as string;
  const own = given["bom-ref"];
  const owner: PackageOwner = { ...whose, ...(typeof own === "string" && own !== "" ? { ref: own } : {}) };
  const known = owners.get(ref);
  if (known === undefined) owners.set(ref, [owner]);
  else known.push(owner);
  const inner = componentsOf(given);
  componentsOf(merged).forEach((each, index) => {
    const its = inner[index];
    if (its !== undefined) noteOwners(each, its, whose, owners);
  });
}

function componentsOf(holder: Record<string, unknown>): Component[] {
  const { components } = holder;
  return Array.isArray(components) ? components : [];
}

function isSystem({ type }: Component): boolean {
  return type === "operating-system";
}

/** All that is said of a component but its name in the document, as text. */
function withoutRefs(component: Component): string {
  const { "bom-ref": _ref, ...rest } = component;
  if (componentsOf(component).length === 0) return JSON.stringify(rest);
  return JSON.stringify(component, (key, value: unknown) => (key === "bom-ref" ? undefined : value));
}
