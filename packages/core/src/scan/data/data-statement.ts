import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import { predicateTypes } from "../../signing/predicates.ts";
import { buildStatement, digestSet } from "../../signing/statement.ts";
import type { Statement } from "../../signing/types.ts";

/**
 * What whoever mirrors a scanner's vulnerability data signs about it. The statement's subject is the one file that the
 * data is, so that its bytes are settled before any of them is asked for.
 */
export interface MirroredData {
  /** The scanner's name. */
  scanner: string;
  /** The file's name, as its publisher or the mirror calls it. */
  file: string;
  /** When the data was put together. */
  built: Date;
  /** Of the data's format, as the scanner calls that; empty where it has none. */
  schema: string;
  /** Where it was fetched from: a URL. */
  source: string;
  /** When it was seen that this is the publisher's newest. */
  mirroredAt: Date;
}

const time = z.iso.datetime().transform((text) => new Date(text));

/** A name that is a file's in any folder, and no path. */
export const dataFileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+:-]{0,199}$/, "expected a file's name");

const predicateSchema = z.strictObject({
  scanner: z.string().min(1),
  built: time,
  schema: z.string(),
  source: z.string(),
  mirroredAt: time,
});

export function buildDataStatement(data: MirroredData, digest: Digest): Statement {
  const { scanner, file, built, schema, source, mirroredAt } = data;
  return buildStatement([{ name: file, digest: digestSet(digest) }], predicateTypes.vulnerabilityData, {
    scanner,
    built: built.toISOString(),
    schema,
    source,
    mirroredAt: mirroredAt.toISOString(),
  });
}

/** A verified statement → what it says, or what is wrong with it. */
export function readDataStatement(statement: Statement): MirroredData | { problem: string } {
  if (statement.predicateType !== predicateTypes.vulnerabilityData)
    return { problem: `it is a statement of type ${statement.predicateType}, not about vulnerability data` };
  const parsed = predicateSchema.safeParse(statement.predicate);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error).replaceAll("\n", " ") };
  const [subject, ...others] = statement.subject;
  const file = dataFileName.safeParse(subject?.name);
  if (others.length > 0 || !file.success) return { problem: "its subject is not one file" };
  return { ...parsed.data, file: file.data };
}
