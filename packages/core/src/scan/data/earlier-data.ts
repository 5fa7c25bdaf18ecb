import { z } from "zod";
import { predicateTypes } from "../../signing/predicates.ts";
import type { CollectedEvidence } from "../../signing/types.ts";

const usedSchema = z.looseObject({
  uri: z.string(),
  db: z.looseObject({ lastUpdate: z.iso.datetime({ offset: true }).transform((text) => new Date(text)) }),
});
const scannerSchema = z.looseObject({
  scanner: z.looseObject({
    result: z.looseObject({ goldenpath: z.looseObject({ others: z.array(z.unknown()).default([]) }) }),
  }),
});

/**
 * By scanner, when the newest data was made that a scan of the image was by, as those who speak for the scan stage have
 * signed it. What has lapsed is not unsaid.
 */
export function findEarlierData(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  allowed: ReadonlySet<string>,
): Map<string, Date> {
  const newest = new Map<string, Date>();
  for (const { statement, signers } of [...statements, ...lapsed]) {
    if (statement.predicateType !== predicateTypes.vulnerabilities || !signers.some((name) => allowed.has(name)))
      continue;
    const others = scannerSchema.safeParse(statement.predicate).data?.scanner.result.goldenpath.others ?? [];
    for (const used of [statement.predicate["scanner"], ...others]) {
      const told = usedSchema.safeParse(used).data;
      const name = told === undefined ? undefined : nameOf(told.uri);
      if (told === undefined || name === undefined) continue;
      const known = newest.get(name);
      if (known === undefined || known < told.db.lastUpdate) newest.set(name, told.db.lastUpdate);
    }
  }
  return newest;
}

/** A scanner's URI ends in its name and version: `pkg:github/anchore/grype@v0.120.1`. */
function nameOf(uri: string): string | undefined {
  return /([^/@]+)@[^/@]*$/.exec(uri)?.[1];
}
