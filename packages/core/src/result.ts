import { UserError } from "@goldenpath/foundation/errors";
import type { Rule } from "@goldenpath/foundation/rules";
import { cleanLine, cleanText } from "@goldenpath/foundation/text/clean";
import { describeIssues, parseJson, stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestHex, isDigest } from "@goldenpath/registry-client/oci/digest";
import { platformSchema } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";
import { resultStages } from "./stages.ts";

/**
 * `major.minor`: an unknown major version is an error, a newer minor one may have fields that this version passes over.
 */
export const resultSchemaVersion = "1.0";

export const verdicts = ["pass", "fail", "error"] as const;
export type Verdict = (typeof verdicts)[number];

const digest = z
  .custom<Digest>(isDigest, "expected a digest")
  .meta({ type: "string", pattern: "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$" });

// What is told is clean from here on: a result is read from a file as well, and printed in five places.
const line = z.string().transform((text) => cleanLine(text));
const lines = z.string().transform(cleanText);

export const appliedExceptionSchema = z.object({
  reason: line,
  owner: line,
  expires: line,
  thing: line.optional().describe("What the policy names there: a vulnerability's id or alias, a repository."),
  package: line.optional().describe("The package that the policy names there, where it does."),
  gate: line.optional().describe("The gate that the policy names there, where it does."),
  file: line.optional().describe("The file in which alone it holds, where the policy names one."),
  repository: line
    .optional()
    .describe("The repository whose images it was granted for, where it was signed beside the policy."),
});

export type AppliedException = z.infer<typeof appliedExceptionSchema>;

const placeSchema = z.object({ file: line, line: z.number().int().positive().optional() });

/** `package-lock.json:214` */
export const formatPlace = ({ file, line: at }: z.infer<typeof placeSchema>): string =>
  at === undefined ? file : `${file}:${at}`;

export const violationSchema = z.object({
  rule: line.describe("The rule's name: base.approved, scan.severity, gate.missing, …"),
  thing: line.describe("What breaks it: an image, a package with its version, a stage."),
  problem: lines.describe("What is wrong, one sentence."),
  wayOut: lines.describe("What to do about it, one sentence."),
  platform: line.optional().describe("Where it holds for one platform of an index only."),
  place: placeSchema
    .optional()
    .describe("Where in the checkout it is mended, where the stage has one: a path from its root, and a line from 1."),
  enforcedFrom: line
    .optional()
    .describe("The day (UTC, YYYY-MM-DD) from which on the policy refuses it: until then it is a warning."),
  entry: line
    .optional()
    .describe("Which entry of the policy gives that day, where it is not the rule's: a name, a package, a base."),
  exception: appliedExceptionSchema
    .optional()
    .describe("The policy's exception that applied: the violation is listed and does not count."),
  lapsed: appliedExceptionSchema
    .optional()
    .describe("The policy's exception that would have applied, and is over: the violation counts."),
});
/** As a result lists it, which may have been read from a file: of a rule that this version does not know. */
export type ListedViolation = z.infer<typeof violationSchema>;

/** As it is found here. */
export interface Violation extends ListedViolation {
  rule: Rule;
  /** It refuses at once, though others of its rule may wait for a day: something could not be read. Not in results. */
  isFirm?: boolean;
}

/** `will fail from 2026-12-01`, of a violation that waits for a day. */
export const tellDay = (from: string): string => `will fail from ${from}`;

const comparedSchema = z.object({
  id: line,
  package: line,
  version: line,
  severity: line,
  change: z
    .enum(["new", "worse", "fixed"])
    .describe("worse: rated higher than there, or not known there to be exploited or malicious."),
  platform: line.optional(),
  fixedVersions: z.array(line),
  suggestedVersion: line.optional().describe("Of these the one to go to, where the scanner recommends one."),
  origin: z.enum(["base", "application", "unknown"]).optional().describe("What the package comes with."),
  place: placeSchema.optional().describe("Of a new one: where in the checkout it is mended, where it has one."),
});

export const comparisonSchema = z.object({
  with: line.optional().describe("HOST/NAME@sha256:…; missing where there is nothing to compare with."),
  scannedOn: line.optional().describe("When that image was scanned, as its signer says."),
  databaseOf: line.optional().describe("Of when that scan's vulnerability data is."),
  gates: z.boolean().describe("Whether what is not new is let pass, by the policy's `scan.failOnlyOn`."),
  note: lines.optional().describe("Why nothing is compared, or why the policy does not go by it; one sentence."),
  counts: z.object({ new: z.number(), worse: z.number(), fixed: z.number(), unchanged: z.number() }).optional(),
  new: z.array(comparedSchema).default([]).describe("New and worse findings, the worst first."),
  fixed: z.array(comparedSchema).default([]).describe("What only the other image has, the worst first."),
});
export type ComparisonReport = z.infer<typeof comparisonSchema>;

export const resultChildSchema = z.object({
  platform: platformSchema.optional(),
  digest,
  mediaType: line,
  verdict: z.enum(verdicts),
});

export const resultSubjectSchema = z.object({
  repository: line.describe("HOST/NAME"),
  digest,
  mediaType: line,
  children: z
    .array(resultChildSchema)
    .describe("For an index every runnable child, each with its own verdict; for a single image that image."),
});
export type ResultSubject = z.infer<typeof resultSubjectSchema>;

export const toolUseSchema = z.object({ name: line, version: line, sha256: line.optional() });

const resultShape = z.object({
  schemaVersion: z.string().regex(/^\d+\.\d+$/),
  stage: z.enum(resultStages),
  verdict: z.enum(verdicts),
  subject: resultSubjectSchema
    .optional()
    .describe("The image that was judged. Missing where an error or a refusal came before it was known."),
  violations: z.array(violationSchema),
  error: z
    .object({ code: line, message: lines, wayOut: lines.optional() })
    .optional()
    .describe("With verdict error: what went wrong."),
  predicateType: z.string().optional().describe("The type of what the stage found."),
  predicate: z.record(z.string(), z.unknown()).optional().describe("What the stage found; signed as it stands."),
  comparison: comparisonSchema
    .optional()
    .describe("Of scan: how the image's findings differ from those of the image that it was compared with."),
  policy: z.object({ uri: z.string(), digest, serial: z.number().int().positive() }).optional(),
  source: z.object({ repository: z.string(), commit: z.string() }).optional(),
  run: z.object({
    builderId: z.string(),
    id: z.string().optional(),
    attempt: z.number().int().optional(),
    url: z.string().optional(),
  }),
  tools: z.array(toolUseSchema),
  notes: z.array(lines).default([]).describe("What a reader should know and no rule asks for."),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
});

/**
 * What a stage leaves behind. A result that contradicts itself (a pass with a violation that counts, an error without
 * its cause) does not parse.
 */
export const stageResultSchema = resultShape.superRefine((result, context) => {
  const counted = result.violations.filter(isCounted);
  const problem = (message: string): void => context.addIssue({ code: "custom", message });
  if (result.verdict === "pass" && counted.length > 0) problem("verdict is pass, and there are violations that count");
  if (result.verdict === "fail" && counted.length === 0) problem("verdict is fail, and no violation says why");
  if (result.verdict === "error" && result.error === undefined) problem("verdict is error, and no error says why");
  // A build that the policy refuses before it starts has no image yet; a pass is always about one.
  if (result.verdict === "pass" && result.subject === undefined)
    problem("verdict is pass, and there is no subject that it is about");
  if (result.verdict === "pass" && (result.subject?.children.length ?? 0) === 0)
    problem("verdict is pass, and nothing was judged");
  if (result.verdict === "pass" && result.subject?.children.some((child) => child.verdict !== "pass"))
    problem("verdict is pass, and a child has another");
});
export type StageResult = z.infer<typeof stageResultSchema>;

/** The published JSON Schema (`schemas/stage-result.v1.json` is this, and a test holds it to it). */
export function stageResultJsonSchema(): object {
  return z.toJSONSchema(resultShape, { target: "draft-2020-12", unrepresentable: "any", io: "input" });
}

/**
 * Text of a result file → result.
 * @throws UserError `result-invalid` (not JSON, cut off, contradicts itself), `result-version` (an unknown major
 *   version)
 */
export function parseStageResult(text: string, where: string): StageResult {
  const again = "Run the stage again; a result is never edited by hand.";
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    const cut =
      text.trim().length === 0
        ? "it is empty"
        : endsTooSoon(error, text)
          ? "it ends in the middle (was the file cut off?)"
          : "it is not JSON";
    throw new UserError(`result ${where} cannot be read: ${cut}`, {
      code: "result-invalid",
      cause: error,
      wayOut: again,
    });
  }
  const version = typeof json === "object" && json !== null && "schemaVersion" in json ? json.schemaVersion : undefined;
  if (typeof version === "string" && !version.startsWith("1.")) {
    throw new UserError(`result ${where} has schema version ${version}; this goldenpath reads 1.x`, {
      code: "result-version",
      wayOut: "Use the same goldenpath version for all stages of a path.",
    });
  }
  const parsed = stageResultSchema.safeParse(json);
  if (!parsed.success) {
    throw new UserError(`result ${where} is not a stage result: ${describeIssues(parsed.error)}`, {
      code: "result-invalid",
      wayOut: again,
    });
  }
  return parsed.data;
}

/** V8 says so, or that it wants something else at the place after the last character. */
function endsTooSoon(error: unknown, text: string): boolean {
  if (!(error instanceof SyntaxError)) return false;
  if (error.message.includes("Unexpected end of JSON input")) return true;
  const position = /at position (\d+)/.exec(error.message)?.[1];
  return position !== undefined && Number(position) >= text.trimEnd().length;
}

export function formatStageResult(result: StageResult): string {
  return `${stringifyJson(result, 2)}\n`;
}

/** True of a violation that refuses now: an exception that applied, or a day that has not come, keep it from that. */
export function isCounted({ exception, enforcedFrom }: Pick<ListedViolation, "exception" | "enforcedFrom">): boolean {
  return exception === undefined && enforcedFrom === undefined;
}

/** The verdict that violations amount to. */
export function verdictOf(violations: readonly ListedViolation[]): "pass" | "fail" {
  return violations.some(isCounted) ? "fail" : "pass";
}

/** Named so that results of several images can lie in one directory. */
export function nameResultFile(stage: string, subject: Digest | undefined): string {
  return `${stage}${subject === undefined ? "" : `-${digestHex(subject).slice(0, 12)}`}.json`;
}

/** True for a name that {@link nameResultFile} gives. */
export function isResultFile(name: string): boolean {
  const [, stage = ""] = /^([a-z]+)(?:-[0-9a-f]{12})?\.json$/.exec(name) ?? [];
  return (resultStages as readonly string[]).includes(stage);
}
