import { UserError } from "@goldenpath/foundation/errors";
import { type Rule, rules } from "@goldenpath/foundation/rules";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { z } from "zod";
import { baseRoles } from "../base/approval/predicate.ts";
import { findingSeverities } from "../scan/finding.ts";
import { stages } from "../stages.ts";
import { ruleCaseFields } from "./custom-rules/case-schema.ts";
import { exceptionKeys, exceptionRules, listMisplaced, packageScopes } from "./scan-section.ts";
import { day, digestText, duration, name, repositoryText, text } from "./schema-text.ts";
import { suggestWord } from "./suggest.ts";
import { readStrictYaml } from "./yaml.ts";

const rule = z.custom<Rule>((given) => typeof given === "string" && Object.hasOwn(rules, given), {
  error: ({ input }) => {
    const near = suggestWord(String(input), Object.keys(rules));
    return `'${cleanLine(String(input), 80)}' is no rule${near === undefined ? "" : `; did you mean \`${near}\`?`}`;
  },
});
/** Those that count against the image, each once, in any order; none is a pass. */
const expected = z.array(rule);

const findingSchema = z.strictObject({
  id: text,
  aliases: z.array(text).default([]),
  severity: z.enum(findingSeverities),
  package: z.strictObject({
    name: text,
    version: text.default("1"),
    type: text.default("unknown"),
    purl: text.optional(),
    scope: z.enum(packageScopes).optional(),
  }),
  fixedVersions: z.array(text).default([]),
  /** Since when each fixed version is there: a day or a time. */
  fixReleases: z.array(z.strictObject({ version: text, on: text })).optional(),
  cvss: z.number().min(0).max(10).optional(),
  epss: z.union([z.number().min(0).max(1), z.literal("none")]).optional(),
  kev: z.boolean().optional(),
  malicious: z.boolean().optional(),
  origin: z.enum(["base", "application", "unknown"]).default("application"),
});

const packageSchema = z.strictObject({
  name: text,
  version: text.optional(),
  purl: text.optional(),
  license: text.optional(),
});

const stageSchema = z.strictObject({
  by: z.array(name).min(1).optional(),
  age: duration.optional(),
  verdict: z.enum(["pass", "fail"]).optional(),
  missing: z.literal(true).optional(),
  environment: name.optional(),
});

const points = z.number().int().min(0).default(0);

/** What is signed of the version that `base` names. */
const approvalSchema = z.strictObject({
  by: z.array(name).min(1),
  on: day,
  endOfLife: day,
  role: z.enum(baseRoles).default("both"),
  /** When newer versions were approved. */
  newer: z.array(day).optional(),
  /** Those that were proven, by question. */
  points: z.strictObject({ publisher: points, updated: points, open: points, needless: points }).optional(),
});

/** One that is signed beside the policy for images of the case's repository. */
const exceptionSchema = z
  .strictObject({
    by: name,
    rule: z.enum(exceptionRules),
    vulnerability: text.optional(),
    package: text.optional(),
    license: text.optional(),
    gate: name.optional(),
    file: text.optional(),
    /** Where it is for another one. */
    repository: repositoryText.optional(),
    starts: day.optional(),
    expires: day,
  })
  .superRefine((written, context) => {
    // Its repository says whose images it is for, whatever the rule is set aside for.
    const isOfRepository = exceptionKeys[written.rule] === "repository";
    for (const { key, message } of listMisplaced({ ...written, repository: isOfRepository ? "x" : undefined }))
      context.addIssue({ code: "custom", path: [key], message });
  });

const caseSchema = z
  .strictObject({
    name: text,
    on: day.optional(),
    image: repositoryText.optional(),
    to: repositoryText.optional(),
    findings: z.array(findingSchema).optional(),
    packages: z.array(packageSchema).optional(),
    databaseAge: duration.optional(),
    base: digestText.optional(),
    approval: approvalSchema.optional(),
    exceptions: z.array(exceptionSchema).min(1).optional(),
    ...ruleCaseFields,
    build: z
      .strictObject({
        repository: text,
        ref: text.optional(),
        event: text.optional(),
        workflow: text.optional(),
        caller: text.optional(),
      })
      .optional(),
    evidence: z.partialRecord(z.enum(stages), stageSchema).default({}),
    expect: z.strictObject({
      scan: expected.optional(),
      base: expected.optional(),
      build: expected.optional(),
      environments: z.record(name, expected).default({}),
    }),
  })
  .superRefine((written, context) => {
    const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const { expect, findings, packages, databaseAge, base, image, build, to } = written;
    const isScanned = findings !== undefined || packages !== undefined || databaseAge !== undefined;
    const asks = [expect.scan, expect.base, expect.build].some((each) => each !== undefined);
    const hasEnvironments = Object.keys(expect.environments).length > 0;
    if (!asks && !hasEnvironments) issue(["expect"], "expects nothing, so the case could never fail");
    if (expect.scan !== undefined && !isScanned)
      issue(["expect", "scan"], "needs `findings`, `packages` or `databaseAge` to be judged by");
    if (expect.base !== undefined && (base === undefined || image === undefined))
      issue(["expect", "base"], "needs `base` and `image` to be judged by");
    if (expect.build !== undefined && build === undefined) issue(["expect", "build"], "needs `build` to be judged by");
    if (isScanned && expect.scan === undefined && !hasEnvironments)
      issue(["expect"], "expects nothing of what was found: `scan` or `environments` would");
    for (const [stage, { verdict, environment }] of Object.entries(written.evidence)) {
      if (stage === "build" && verdict !== undefined)
        issue(["evidence", stage, "verdict"], "build signs no verdict: the gate judges it itself");
      if (stage !== "promote" && environment !== undefined)
        issue(["evidence", stage, "environment"], "only a promotion is into an environment");
    }
    if (Object.keys(written.evidence).length > 0 && !hasEnvironments)
      issue(["evidence"], "is judged by environments, of which nothing is expected");
    for (const key of ["config", "layers", "installed", "approvedOn"] as const)
      if (written[key] !== undefined && base === undefined) issue([key], "needs `base` and `image` beside it");
    if (written.approval !== undefined && base === undefined) issue(["approval"], "needs `base` and `image` beside it");
    if (written.exceptions !== undefined && image === undefined) issue(["exceptions"], "needs `image` beside it");
    if (base !== undefined && image === undefined) issue(["base"], "needs `image` beside it");
    if (to !== undefined && build === undefined && !hasEnvironments) issue(["to"], "is used by nothing here");
  });
export type PolicyCase = z.output<typeof caseSchema>;

const casesSchema = z.strictObject({ cases: z.array(caseSchema).min(1, "must have at least one entry") });

export interface LocatedCase {
  what: PolicyCase;
  /** `policy.cases.yaml:12` */
  place: string;
}

/**
 * Text of a file of cases → the cases. `where` is what messages call the file.
 * @throws UserError `input-invalid` with each problem and its place
 */
export function parseCases(content: string, where: string): LocatedCase[] {
  const read = readStrictYaml(content);
  if ("problems" in read)
    throw invalid(read.problems.map(({ line, column, message }) => `${where}:${line}:${column}: ${message}`));
  const parsed = casesSchema.safeParse(read.yaml.value);
  if (parsed.success)
    return parsed.data.cases.map((what, index) => ({
      what,
      place: `${where}:${read.yaml.locate(["cases", index], "value").line}`,
    }));
  throw invalid(
    parsed.error.issues.slice(0, maxProblems).map(({ path, message }) => {
      const { line, column } = read.yaml.locate(path, "value");
      return `${where}:${line}:${column}: ${cleanLine(z.core.toDotPath(path), 120)}: ${cleanLine(message, 200)}`;
    }),
  );
}

const maxProblems = 25;

function invalid(problems: readonly string[]): UserError {
  return new UserError(["the cases are not valid:", ...problems].join("\n"), {
    code: "input-invalid",
    wayOut: "docs/policy.md says what a case has.",
  });
}
