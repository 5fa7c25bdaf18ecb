import { z } from "zod";
import { predicateTypes } from "../../signing/predicates.ts";
import type { CollectedEvidence } from "../../signing/types.ts";

const usedSchema = z.looseObject({
  uri: z.string(),
  db: z.looseObject({ lastUpdate: z.iso.datetime({ offset: true }).transform((text) => new Date(text)) }),
});
const exploitedSchema = z.looseObject({
  lastUpdate: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
});
const scannerSchema = z.looseObject({
  scanner: z.looseObject({
    result: z.looseObject({
      goldenpath: z.looseObject({ others: z.array(z.unknown()).default([]), exploited: exploitedSchema.optional() }),
    }),
  }),
});

/** Of the list of what is known to be exploited, beside the scanners'. */
export const kevName = "kev";

/**
 * By scanner, when the newest data was made that a scan of the image was by, as those who speak for the scan stage have
 * signed it. What has lapsed is not unsaid.
 */
export function findEarlierData(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  allowed: ReadonlySet<string>,
): Map<string, Date> {
  const newest = new Map<string, Date>();
  const note = (name: string, made: Date): void => {
    const known = newest.get(name);
    if (known === undefined || known < made) newest.set(name, made);
  };
  for (const { statement, signers } of [...statements, ...lapsed]) {
    if (statement.predicateType !== predicateTypes.vulnerabilities || !signers.some((name) => allowed.has(name)))
      continue;
    const { others = [], exploited } =
      scannerSchema.safeParse(statement.predicate).data?.scanner.result.goldenpath ?? {};
    if (exploited !== undefined) note(kevName, exploited.lastUpdate);
    for (const used of [statement.predicate["scanner"], ...others]) {
      const told = usedSchema.safeParse(used).data;
      const name = told === undefined ? undefined : nameOf(told.uri);
      if (told !== undefined && name !== undefined) note(name, told.db.lastUpdate);
    }
  }
  return newest;
}

/** A scanner's URI ends in its name and version: `pkg:github/anchore/grype@v0.120.1`. */
function nameOf(uri: string): string | undefined {
  return /([^/@]+)@[^/@]*$/.exec(uri)?.[1];
}
