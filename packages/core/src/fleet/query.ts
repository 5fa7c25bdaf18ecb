import { UserError } from "@goldenpath/foundation/errors";
import { type PackageUrl, parsePackageUrl } from "../scan/components.ts";
import { parseRange, type VersionRange } from "./ranges.ts";

/** What is looked for in the fleet. */
export type FleetQuery =
  | { kind: "vulnerability"; id: string }
  | { kind: "package"; purl: Pick<PackageUrl, "type" | "namespace" | "name">; range: VersionRange; text: string };

/** CVE-2026-1234, GHSA-…, MAL-…, DSA-…: letters, and parts with hyphens. */
const idPattern = /^[A-Za-z]+-[A-Za-z0-9]+(?:[-:][A-Za-z0-9]+)*$/;

/**
 * `CVE-2026-1234`, `pkg:npm/lodash@<4.17.21`, `pkg:npm/@acme/x@>=1,<1.4||2.0.0`, `pkg:deb/debian/openssl` → what to look
 * for. A package URL has a range in the place of its version: conditions with commas between them all hold, of several
 * groups with `||` between them one does.
 * @throws UserError `arguments-invalid`
 */
export function parseQuery(text: string): FleetQuery {
  if (idPattern.test(text)) return { kind: "vulnerability", id: text };
  const invalid = (why: string): UserError =>
    new UserError(`'${text}' ${why}: expected CVE-2026-1234 or another id, or pkg:TYPE/NAME@RANGE`, {
      code: "arguments-invalid",
      wayOut: "Such as 'pkg:npm/lodash@<4.17.21' or 'pkg:maven/org.apache.logging.log4j/log4j-core@>=2.0,<2.17.1'.",
    });
  const [, url, rangeText] = /^(pkg:.*\/[^/@]+|pkg:[^@]+)(?:@([^/]*))?$/i.exec(text) ?? [];
  const purl = parsePackageUrl(url);
  if (url === undefined || purl === undefined || purl.name === "" || /[?#]/.test(text))
    throw invalid("is neither a vulnerability's id nor a package");
  const range = parseRange(rangeText ?? "*");
  if (range === undefined) throw invalid(`has '${rangeText}' in the place of a range of versions`);
  return { kind: "package", purl: { type: purl.type, namespace: purl.namespace, name: purl.name }, range, text };
}
