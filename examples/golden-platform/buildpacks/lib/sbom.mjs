import { join } from "node:path";
import { writeJson } from "./layers.mjs";

/**
 * Writes a layer's CycloneDX document, without serial number and time, so that the same content is the same document.
 * @param {{ type?: string, name: string, version: string, purl: string }[]} components
 */
export function writeSbom(place, layer, components) {
  const known = new Map(components.map((component) => [component.purl, component]));
  writeJson(join(place.layers, `${layer}.sbom.cdx.json`), {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    components: [...known.values()]
      .sort((a, b) => (a.purl < b.purl ? -1 : 1))
      .map((component) => ({ "bom-ref": component.purl, type: "library", ...component })),
  });
}

/** By the package-url specification; `upstream` is the source package, by which advisories go. */
export function debianComponent({ name, version, architecture, source, distribution }) {
  const upstream = source === name ? "" : `&upstream=${encodeURIComponent(source)}`;
  const [vendor] = distribution.split("-");
  const purl = `pkg:deb/${vendor}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=${distribution}${upstream}`;
  return { name, version, purl };
}
