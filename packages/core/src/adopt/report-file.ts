import { UserError } from "@goldenpath/foundation/errors";
import { describeIssues, parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { type AdoptReport, type AdoptRow, adoptVerdicts } from "./facts.ts";

/** How long what was seen of a repository is taken for how it is. Milliseconds. */
const freshFor = 86_400_000;

const rowSchema = z.object({
  repository: z.string(),
  branch: z.string(),
  verdict: z.enum(adoptVerdicts),
  why: z.string().optional(),
  applications: z.array(
    z.object({ folder: z.string(), module: z.string(), strategy: z.string().optional(), reason: z.string() }),
  ),
  bases: z.array(z.object({ file: z.string(), line: z.number(), name: z.string() })),
  problems: z.array(
    z.object({
      file: z.string().optional(),
      line: z.number().optional(),
      level: z.enum(["refused", "warning"]),
      problem: z.string(),
      wayOut: z.string(),
    }),
  ),
  missing: z.array(z.string()),
  callerSha: z.string().optional(),
});
const reportSchema = z.object({
  owner: z.string(),
  policy: z.object({ name: z.string(), serial: z.number(), digest: z.string() }),
  lookedAt: z.iso.datetime(),
  rows: z.array(rowSchema),
});

/** What is to be gone on with. */
export type Earlier = Pick<AdoptReport, "lookedAt"> & { rows: ReadonlyMap<string, AdoptRow> };

/**
 * A report of before → the rows that need not be looked at again: of the same owner by the same bytes of the policy, not
 * older than a day, of what is known. Undefined where there is nothing to go on with.
 * @throws UserError `input-invalid` for what is no such report: it would be written over
 */
export function readEarlier(
  text: string,
  where: string,
  now: Date,
  { owner, digest }: { owner: string; digest: string },
): Earlier | undefined {
  const report = parse(text, where);
  const age = now.getTime() - Date.parse(report.lookedAt);
  const isSame = report.owner === owner && report.policy.digest === digest;
  if (!isSame || !(age >= 0 && age < freshFor)) return undefined;
  const known = report.rows.filter(({ verdict }) => verdict !== "unknown") as AdoptRow[];
  return { lookedAt: report.lookedAt, rows: new Map(known.map((row) => [row.repository, row])) };
}

function parse(text: string, where: string): z.infer<typeof reportSchema> {
  const wrong = (why: string, cause?: unknown): UserError =>
    new UserError(`${where} is no report of goldenpath adopt: ${why}`, {
      code: "input-invalid",
      cause,
      wayOut: "Name another file in --output, or remove this one.",
    });
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw wrong("it is no JSON", error);
  }
  const parsed = reportSchema.safeParse(value);
  if (!parsed.success) throw wrong(describeIssues(parsed.error));
  return parsed.data;
}
