import type { Sbom } from "../catalog.ts";

/** Several SBOMs as one document, for a scanner that takes long to start. */
export interface MergedSboms {
  document: Sbom;
  /** Which of the given SBOMs are in it, by their place in the list. */
  members: number[];
  /** By `bom-ref` of the document: whose package it is, and what it is called there. */
  owners: ReadonlyMap<string, readonly PackageOwner[]>;
}

export interface PackageOwner {
  /** The SBOM's place in the list. */
  member: number;
  /** The package's own `bom-ref`, where it has one. */
  ref?: string;
}

type Component = Record<string, unknown>;

/**
 * One document of each operating system (and version of CycloneDX), since a scanner takes a document's first one for that of all its packages. A
 * package that several images have is in it once. `bom-ref`s are our own, so that no SBOM can give another's package its
 * name; dependencies, services and signatures, by which nothing is matched, are left out.
 */
export function mergeSboms(sboms: readonly Sbom[]): MergedSboms[] {
  const groups = new Map<string, { system: Component | undefined; members: number[] }>();
  sboms.forEach((sbom, member) => {
    const system = componentsOf(sbom).find(isSystem);
    const key = JSON.stringify([sbom["specVersion"], system === undefined ? null : withoutRefs(system)]);
    const group = groups.get(key) ?? { system, members: [] };
    group.members.push(member);
    groups.set(key, group);
  });
  return [...groups.values()].map(({ system, members }) => mergeGroup(sboms, system, members));
}

function mergeGroup(sboms: readonly Sbom[], system: Component | undefined, members: number[]): MergedSboms {
  const components = new Map<string, Component>();
  const owners = new Map<string, PackageOwner[]>();
  for (const member of members) {
    for (const given of componentsOf(sboms[member] ?? {})) {
      if (isSystem(given)) continue;
      const key = withoutRefs(given);
      const merged = components.get(key) ?? renamed(given, `p${components.size}`);
      components.set(key, merged);
      noteOwners(merged, given, member, owners);
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

/** The component and all that is in it, by names of ours: `p7`, `p7.0`, `p7.0.2`. */
function renamed(component: Component, ref: string): Component {
  const inner = componentsOf(component).map((each, index) => renamed(each, `${ref}.${index}`));
  return { ...component, "bom-ref": ref, ...(inner.length === 0 ? {} : { components: inner }) };
}

function noteOwners(merged: Component, given: Component, member: number, owners: Map<string, PackageOwner[]>): void {
  const ref = merged["bom-ref"] as string;
  const own = given["bom-ref"];
  const owner: PackageOwner = { member, ...(typeof own === "string" && own !== "" ? { ref: own } : {}) };
  owners.set(ref, [...(owners.get(ref) ?? []), owner]);
  const inner = componentsOf(given);
  componentsOf(merged).forEach((each, index) => {
    const its = inner[index];
    if (its !== undefined) noteOwners(each, its, member, owners);
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
  return JSON.stringify(component, (key, value: unknown) => (key === "bom-ref" ? undefined : value));
}
