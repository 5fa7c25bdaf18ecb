import { readCsaf } from "./csaf.ts";
import { readCycloneDx } from "./cyclonedx.ts";
import { readOpenVex } from "./openvex.ts";
import type { VexDocument } from "./statement.ts";

/**
 * A signed predicate → the VEX document in it; undefined for one that is none, such as an SBOM. By what it says of
 * itself, since the predicate types under which tools attest them differ.
 */
export function readVex(predicate: Record<string, unknown>): VexDocument | { problem: string } | undefined {
  const context = predicate["@context"];
  if (typeof context === "string" && context.startsWith("https://openvex.dev/")) return readOpenVex(predicate);
  if (typeof predicate["document"] === "object" && predicate["product_tree"] !== undefined) return readCsaf(predicate);
  if (predicate["bomFormat"] === "CycloneDX" && Array.isArray(predicate["vulnerabilities"]))
    return readCycloneDx(predicate);
  return undefined;
}
