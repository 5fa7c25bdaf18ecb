import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Policy } from "../policy/schema.ts";
import { chooseScan, listStageSigners } from "../scan/choose-known.ts";
import { type Component, listComponents, parsePackageUrl } from "../scan/components.ts";
import { type FindingPackage, namesOf, originOf } from "../scan/finding.ts";
import { chooseSbom, listBuildSigners } from "../scan/signed-sbom.ts";
import type { ToldFinding } from "../scan/told-findings.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { type FleetBase, type LookedImage, namePlatform, readBases } from "./facts.ts";
import type { FleetQuery } from "./query.ts";
import { isInRange } from "./ranges.ts";

/** One package of one platform's image that is looked for. */
export interface FleetHit {
  package: FindingPackage;
  /** Set for an index. */
  platform?: string;
  /** `rebase`: all of its layers are the base's; `update`: it is the application's, or nobody can say whose it is. */
  action: "rebase" | "update";
  /** Set with `rebase`. */
  base?: Pick<FleetBase, "name" | "image" | "digest">;
  /** Where in the image it was seen. */
  paths: string[];
  /** Its version can't be compared with the range, and may be in it. */
  isUncertain?: true;
  /** Of a vulnerability: what the newest signed scan says of it, and when that was. */
  vulnerability?: Pick<ToldFinding, "id" | "severity" | "fixedVersions" | "kev"> & { scannedOn: string };
}

interface Looked {
  image: LookedImage;
  evidence: CollectedEvidence;
  policy: Policy;
}

/** The SBOM that counts of each platform's image, or why there is none. */
export function readSboms({ image, evidence, policy }: Looked): { boms: ReadSbom[]; problems: string[] } {
  const allowed = listBuildSigners(policy);
  const boms: ReadSbom[] = [];
  const problems: string[] = [];
  for (const { digest } of image.children) {
    const found = chooseSbom(evidence, digest, allowed);
    const where = namePlatform(image, digest) ?? "the image";
    if (found === undefined) problems.push(`no SBOM of ${where} is signed by whoever speaks for the build`);
    else if ("problem" in found) problems.push(`the SBOM of ${where} can't be used: ${found.problem}`);
    else boms.push({ child: digest, components: listComponents(found.sbom) });
  }
  return { boms, problems };
}

export interface ReadSbom {
  child: Digest;
  components: Component[];
}

/**
 * What of an image a query asks for, by its signed SBOMs and scans alone; and why a part of it can't be told.
 */
export function findInImage(query: FleetQuery, looked: Looked): { hits: FleetHit[]; problems: string[] } {
  const bases = readBases(looked.image, looked.evidence, looked.policy);
  return query.kind === "package" ? findPackage(query, looked, bases) : findVulnerability(query.id, looked, bases);
}

function findPackage(
  { purl, range }: Extract<FleetQuery, { kind: "package" }>,
  looked: Looked,
  bases: ReadonlyMap<Digest, FleetBase>,
): { hits: FleetHit[]; problems: string[] } {
  const { boms, problems } = readSboms(looked);
  const hits = boms.flatMap(({ child, components }) =>
    components.flatMap((component): FleetHit[] => {
      const own = parsePackageUrl(component.package.purl);
      if (own === undefined || !isSamePackage(own, purl)) return [];
      const isIn = isInRange(component.package.version, range, own.type);
      if (isIn === false) return [];
      return [
        {
          ...tellPlace(looked.image, child, component, bases.get(child)),
          ...(isIn === undefined ? { isUncertain: true as const } : {}),
        },
      ];
    }),
  );
  return { hits: mergeHits(hits), problems };
}

/** Names are compared as the kind's registry compares them: PyPI's and NuGet's know no case, and PyPI's `-` is its `_`. */
function isSamePackage(
  a: { type: string; namespace: string; name: string },
  b: { type: string; namespace: string; name: string },
): boolean {
  const form = (text: string): string =>
    a.type === "pypi"
      ? text.toLowerCase().replaceAll(/[-_.]+/g, "-")
      : ["nuget", "github", "bitbucket", "composer"].includes(a.type)
        ? text.toLowerCase()
        : text;
  return (
    a.type === b.type &&
    form(a.name) === form(b.name) &&
    // A distribution's namespace is its name: without one all of them are meant.
    (form(a.namespace) === form(b.namespace) || (b.namespace === "" && ["deb", "rpm", "apk"].includes(a.type)))
  );
}

function findVulnerability(
  id: string,
  looked: Looked,
  bases: ReadonlyMap<Digest, FleetBase>,
): { hits: FleetHit[]; problems: string[] } {
  const { image, evidence, policy } = looked;
  const scan = chooseScan(evidence, listStageSigners(policy, "scan"));
  if ("problem" in scan) return { hits: [], problems: [scan.problem] };
  const wanted = id.toLowerCase();
  const { boms } = readSboms(looked);
  const hits = scan.findings
    .filter((told) => namesOf(told).some((name) => name.toLowerCase() === wanted))
    .map((told): FleetHit => {
      const child = (told.child ?? image.children[0]?.digest) as Digest;
      const base = bases.get(child);
      const component = boms
        .find((bom) => bom.child === child)
        ?.components.find(({ package: of }) => of.name === told.package.name && of.version === told.package.version);
      const place = tellPlace(image, child, { layers: [], paths: [], ...component, package: told.package }, base);
      // The scan has seen the layers as well, and what the base's own look shows besides.
      const isBases = told.origin === "base" && base !== undefined;
      const action = told.origin === "base" ? ("rebase" as const) : place.action;
      return {
        ...place,
        action,
        ...(isBases ? { base: withoutLayers(base) } : {}),
        vulnerability: {
          ...{ id: told.id, severity: told.severity, fixedVersions: told.fixedVersions },
          ...(told.kev === undefined ? {} : { kev: told.kev }),
          scannedOn: scan.finishedOn.toISOString(),
        },
      };
    });
  return { hits: mergeHits(hits), problems: [] };
}

function tellPlace(
  image: LookedImage,
  child: Digest,
  { package: found, layers, paths }: Component,
  base: FleetBase | undefined,
): FleetHit {
  const isBases = base !== undefined && originOf(layers, base.layers) === "base";
  const platform = namePlatform(image, child);
  return {
    package: found,
    ...(platform === undefined ? {} : { platform }),
    action: isBases ? "rebase" : "update",
    ...(isBases ? { base: withoutLayers(base) } : {}),
    paths,
  };
}

const withoutLayers = ({ name, image, digest }: FleetBase): Pick<FleetBase, "name" | "image" | "digest"> => ({
  ...{ name, image, digest },
});

/** A package that an SBOM lists once for each place of it is one hit; in the base and above it, it is two. */
function mergeHits(hits: readonly FleetHit[]): FleetHit[] {
  const merged = new Map<string, FleetHit>();
  for (const hit of hits) {
    const { name, version, purl } = hit.package;
    const key = JSON.stringify([hit.platform, hit.action, name, version, purl, hit.vulnerability?.id]);
    const known = merged.get(key);
    merged.set(key, { ...hit, paths: [...new Set([...(known?.paths ?? []), ...hit.paths])] });
  }
  return [...merged.values()];
}
