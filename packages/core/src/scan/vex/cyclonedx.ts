import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { readTime, type VexDocument, type VexProduct, type VexStatement, type VexStatus } from "./statement.ts";

// https://cyclonedx.org/docs/1.6/json/: vulnerabilities with an analysis, of what `affects` refers to.
const states: Readonly<Record<string, VexStatus>> = {
  not_affected: "not_affected",
  false_positive: "not_affected",
  resolved: "fixed",
  resolved_with_pedigree: "fixed",
  exploitable: "affected",
  in_triage: "under_investigation",
};

const component = z.looseObject({ "bom-ref": z.string().optional(), purl: z.string().optional() });
const document = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.string().regex(/^1\.[4-9]$/, "expected 1.4 or later"),
  serialNumber: z.string().optional(),
  metadata: z.looseObject({ timestamp: z.string().optional(), component: component.optional() }).optional(),
  components: z.array(component).default([]),
  vulnerabilities: z
    .array(
      z.looseObject({
        id: z.string().min(1),
        references: z.array(z.looseObject({ id: z.string() })).default([]),
        analysis: z
          .looseObject({
            state: z.enum(Object.keys(states) as [string, ...string[]]).optional(),
            justification: z.string().optional(),
            detail: z.string().optional(),
            firstIssued: z.string().optional(),
            lastUpdated: z.string().optional(),
          })
          .optional(),
        affects: z.array(z.looseObject({ ref: z.string().min(1) })).default([]),
        published: z.string().optional(),
        updated: z.string().optional(),
      }),
    )
    .min(1),
});

/**
 * A CycloneDX document with analysed vulnerabilities → what it says; or what is wrong with it, a clause. A vulnerability
 * without an analysis is a finding, and one that affects nothing is of nothing: neither says anything here.
 */
export function readCycloneDx(json: unknown): VexDocument | { problem: string } {
  const parsed = document.safeParse(json);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { vulnerabilities, components, metadata, serialNumber } = parsed.data;
  const all = [...components, ...(metadata?.component === undefined ? [] : [metadata.component])];
  const purls = new Map(all.flatMap(({ "bom-ref": ref, purl }) => (ref && purl ? [[ref, purl] as const] : [])));
  const statements: VexStatement[] = [];
  for (const [index, { id, references, analysis, affects, updated }] of vulnerabilities.entries()) {
    const status = states[analysis?.state ?? ""];
    if (analysis === undefined || status === undefined || affects.length === 0) continue;
    const time = readTime(analysis.lastUpdated ?? analysis.firstIssued ?? updated ?? metadata?.timestamp);
    if (time === undefined) return { problem: `vulnerabilities[${index}] has no time, and the document neither` };
    const because = [analysis.justification, analysis.detail].filter(
      (text) => text !== undefined && text.trim() !== "",
    );
    if (analysis.state === "not_affected" && because.length === 0)
      return { problem: `vulnerabilities[${index}] is not_affected, and has neither justification nor detail` };
    statements.push({
      vulnerability: [...new Set([id, ...references.map((reference) => reference.id)])],
      status,
      ...(because.length === 0 ? {} : { because: because.join(": ") }),
      products: affects.map(({ ref }) => readRef(ref, purls)),
      time,
    });
  }
  return { format: "CycloneDX", id: serialNumber ?? "a CycloneDX document", statements };
}

/** A reference within the document; or one into another (BOM-Link), whose fragment names the component there. */
function readRef(ref: string, purls: ReadonlyMap<string, string>): VexProduct {
  const own = purls.get(ref);
  if (own !== undefined) return { ids: [own], parts: "all" };
  const [, fragment] = /^urn:cdx:[^#]+#(.+)$/.exec(ref) ?? [];
  return { ids: [fragment === undefined ? ref : decode(fragment)], parts: "all" };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
