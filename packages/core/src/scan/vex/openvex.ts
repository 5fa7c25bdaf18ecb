import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { readTime, type VexDocument, type VexProduct, type VexStatement } from "./statement.ts";

// https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md, version 0.2.0. A product, and a part of one, is named by its
// @id, which is an IRI and may be a package URL, by identifiers and by hashes.
const component = z.looseObject({
  "@id": z.string().optional(),
  identifiers: z.record(z.string(), z.string()).optional(),
  hashes: z.record(z.string(), z.string()).optional(),
});
const statement = z.looseObject({
  vulnerability: z.looseObject({
    "@id": z.string().optional(),
    name: z.string().min(1),
    aliases: z.array(z.string()).default([]),
  }),
  products: z.array(component.extend({ subcomponents: z.array(component).optional() })).min(1),
  status: z.enum(["not_affected", "affected", "fixed", "under_investigation"]),
  justification: z.string().optional(),
  impact_statement: z.string().optional(),
  timestamp: z.string().optional(),
  last_updated: z.string().optional(),
});
const document = z.looseObject({
  "@context": z.string().regex(/^https:\/\/openvex\.dev\/ns(?:\/v0\.2\.\d+)?$/, "expected OpenVEX 0.2"),
  "@id": z.string().min(1),
  timestamp: z.string(),
  last_updated: z.string().optional(),
  statements: z.array(statement).min(1),
});

/** An OpenVEX document → what it says; or what is wrong with it, a clause. */
export function readOpenVex(json: unknown): VexDocument | { problem: string } {
  const parsed = document.safeParse(json);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { "@id": id, statements, timestamp, last_updated: updated } = parsed.data;
  const read: VexStatement[] = [];
  for (const [index, each] of statements.entries()) {
    // A statement without a time has its document's.
    const time = readTime(each.last_updated ?? each.timestamp ?? updated ?? timestamp);
    if (time === undefined) return { problem: `statements[${index}] has a time that is none` };
    const because = [each.justification, each.impact_statement].filter(isSaid).join(": ");
    if (each.status === "not_affected" && because === "")
      return { problem: `statements[${index}] is not_affected, and has neither justification nor impact_statement` };
    const { name, aliases } = each.vulnerability;
    read.push({
      vulnerability: [...new Set([name, ...aliases])],
      status: each.status,
      ...(because === "" ? {} : { because }),
      products: each.products.map(readProduct),
      time,
    });
  }
  return { format: "OpenVEX", id, statements: read };
}

function readProduct({ subcomponents, ...product }: z.infer<typeof statement>["products"][number]): VexProduct {
  return { ids: namesOf(product), parts: subcomponents === undefined ? "all" : subcomponents.flatMap(namesOf) };
}

function namesOf({ "@id": id, identifiers = {}, hashes = {} }: z.infer<typeof component>): string[] {
  const digests = Object.entries(hashes).flatMap(([algorithm, hex]) =>
    /^sha-?256$/i.test(algorithm) ? [`sha256:${hex.toLowerCase()}`] : [],
  );
  return [id, identifiers["purl"], ...digests].filter(isSaid);
}

function isSaid(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== "";
}
