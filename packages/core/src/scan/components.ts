import { type Sbom, sbomPackages } from "./catalog.ts";
import type { FindingPackage } from "./finding.ts";
import { readProperties } from "./properties.ts";

/** A package of an SBOM, with the place that syft writes beside it. */
export interface Component {
  package: FindingPackage;
  ref?: string;
  /** diffIDs of the layers that it was seen in. */
  layers: string[];
  /** Where in the image it was seen. */
  paths: string[];
}

/** The packages that an SBOM lists, in its order. */
export function listComponents(sbom: Sbom): Component[] {
  return sbomPackages(sbom).map((component) => {
    const { name, version = "", purl } = component;
    const properties = readProperties(component["properties"]);
    const scope = readScope(component["scope"], properties);
    const type = properties.get("syft:package:type") ?? /^pkg:([a-z0-9.+-]+)\//i.exec(purl ?? "")?.[1] ?? "unknown";
    const located = (suffix: string): string[] =>
      [...properties].flatMap(([key, value]) =>
        key.startsWith("syft:location:") && key.endsWith(suffix) ? [value] : [],
      );
    const ref = component["bom-ref"];
    return {
      package: {
        ...{ name: nameOf(component), version, type },
        ...(purl === undefined || purl === "" ? {} : { purl }),
        ...(scope === undefined ? {} : { scope }),
      },
      ...(typeof ref === "string" ? { ref } : {}),
      layers: located(":layerID"),
      paths: located(":path"),
    };

    function nameOf({ group }: Record<string, unknown>): string {
      // CycloneDX keeps a scope of npm apart from the name, and scanners have both in one.
      return typeof group === "string" && group.startsWith("@") && !name.startsWith("@") ? `${group}/${name}` : name;
    }
  });
}

/**
 * CycloneDX's `scope` (`excluded`: not there when the application runs), and its registered properties for npm
 * (cyclonedx-property-taxonomy). A document without either says nothing.
 */
function readScope(scope: unknown, properties: ReadonlyMap<string, string>): FindingPackage["scope"] {
  if (properties.get("cdx:npm:package:development") === "true" || scope === "excluded") return "development";
  if (scope === "optional") return "optional";
  return scope === "required" ? "runtime" : undefined;
}

/** A package URL in its parts, decoded (purl-spec, PURL-SPECIFICATION.rst); undefined where it is none. */
export interface PackageUrl {
  type: string;
  namespace: string;
  name: string;
  version: string;
  qualifiers: ReadonlyMap<string, string>;
}

export function parsePackageUrl(text: string | undefined): PackageUrl | undefined {
  const match = /^pkg:\/*([A-Za-z0-9.+-]+)\/([^?#]+)(?:\?([^#]*))?(?:#.*)?$/.exec(text ?? "");
  if (match === null) return undefined;
  const [, type = "", path = "", query = ""] = match;
  const at = path.lastIndexOf("@");
  const isVersioned = at > 0 && !path.slice(at).includes("/");
  const parts = (isVersioned ? path.slice(0, at) : path).split("/").filter((part) => part !== "");
  try {
    const decoded = parts.map(decodeURIComponent);
    return {
      type: type.toLowerCase(),
      namespace: decoded.slice(0, -1).join("/"),
      name: decoded.at(-1) ?? "",
      version: isVersioned ? decodeURIComponent(path.slice(at + 1)) : "",
      qualifiers: new Map(
        query.split("&").flatMap((pair) => {
          const [key = "", ...value] = pair.split("=");
          return key === "" ? [] : [[key.toLowerCase(), decodeURIComponent(value.join("="))] as const];
        }),
      ),
    };
  } catch {
    return undefined;
  }
}

/**
 * What a distribution's package was built from. syft names it in the qualifier `upstream`, with its version where that
 * is another; of an rpm by the source package's file, NAME-VERSION-RELEASE.src.rpm.
 */
export function sourcePackageOf({ name, version, qualifiers }: PackageUrl): { name: string; version: string } {
  const upstream = qualifiers.get("upstream") ?? "";
  const [, rpm, rpmVersion] = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(upstream) ?? [];
  if (rpm !== undefined && rpmVersion !== undefined) return { name: rpm, version: rpmVersion };
  const [source, sourceVersion] = upstream.split("@");
  return { name: source || name, version: sourceVersion || version };
}
