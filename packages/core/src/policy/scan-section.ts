import { z } from "zod";
import { day, duration, name, ownDay, repositoryText, text } from "./schema-text.ts";

export const severities = ["negligible", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof severities)[number];

/** Where a scan sees nothing or can't know what it sees. */
export const blindSpots = [
  "no-packages",
  "system-without-packages",
  "unknown-distribution",
  "several-package-databases",
] as const;
export type BlindSpot = (typeof blindSpots)[number];

/** Where a package comes from, and what it is there for. */
export const packageScopes = ["runtime", "optional", "development"] as const;
const origins = ["base", "application"] as const;

/** The rules that an exception can set aside. */
export const exceptionRules = [
  "base.approved",
  "base.root-user",
  "base.secret",
  "base.credential",
  "base.package-cache",
  "base.committed",
  "base.missing",
  "base.rule",
  "scan.rule",
  "scan.severity",
  "scan.gate",
  "scan.malicious",
  "scan.package",
  "scan.license",
] as const;

const conditions = {
  severity: z.enum(severities).optional().describe("Of this severity and above; unknown counts as high."),
  cvss: z.number().min(0).max(10).optional().describe("With a CVSS base score of this and above, such as 7.0."),
  epss: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("With an EPSS probability of this and above, 0 to 1, such as 0.1."),
  kev: z.literal(true).optional().describe("Known to be exploited (CISA's catalogue)."),
  fixed: z.literal(true).optional().describe("With a fixed version."),
  fixOlderThan: duration
    .optional()
    .describe("With a version that fixes it, which has been out for longer than this, such as 14d."),
  types: z.array(text).min(1).optional().describe("In packages of these kinds, as the SBOM has them: deb, npm, …"),
  scopes: z.array(z.enum(packageScopes)).min(1).optional().describe("In packages that are there for this."),
  origins: z.array(z.enum(origins)).min(1).optional().describe("In packages that come from there."),
};

const missing = z
  .enum(["refuse", "pass"])
  .default("refuse")
  .describe(
    "What nobody says (no score, no probability, no day of the fix, no scope, an unknown origin) meets its condition, unless pass: then it does not.",
  );

const gate = z
  .strictObject({
    name: name.describe("How violations call it."),
    ...conditions,
    missing,
    enforceFrom: ownDay.optional(),
  })
  .refine((written) => Object.keys(conditions).some((key) => written[key as keyof typeof conditions] !== undefined), {
    message: `has no condition (there are: ${Object.keys(conditions).join(", ")})`,
  });
export type RefusalGate = z.infer<typeof gate>;

export const refusalGates = z.array(gate).min(1);

const forbiddenPackage = z
  .strictObject({
    name: text.optional().describe("Its name, as the SBOM has it."),
    purl: z
      .string()
      .regex(/^pkg:[a-z0-9.+-]+\/[^@?#]+$/, "expected a package URL without version, pkg:TYPE/NAME")
      .optional()
      .describe("Or its package URL, without version and qualifiers: pkg:npm/event-stream."),
    versions: z.array(text).min(1).optional().describe("Only in these versions, each exactly. Default: in all."),
    reason: text.describe("Why; violations repeat it."),
    enforceFrom: ownDay.optional(),
  })
  .refine((written) => (written.name === undefined) !== (written.purl === undefined), {
    message: "expected `name` or `purl`, one of them",
  });
export type ForbiddenPackage = z.infer<typeof forbiddenPackage>;

/** What tells it from others: `lodash`, `pkg:npm/lodash 4.17.20`. */
export const nameForbidden = ({ name: of, purl, versions = [] }: ForbiddenPackage): string =>
  [of ?? purl ?? "", ...versions].join(" ");

const licensesSchema = z.strictObject({
  refuse: z
    .array(text)
    .min(1)
    .describe("SPDX identifiers, such as AGPL-3.0-only. Of `A OR B` one that is not refused is enough."),
  unknown: z
    .enum(["refuse", "pass"])
    .default("refuse")
    .describe("Whether packages are refused whose licence nobody says, or in no words that are understood."),
});
export type LicenseRules = z.infer<typeof licensesSchema>;

const vexSchema = z.strictObject({
  signers: z
    .array(name)
    .min(1)
    .describe("The signers whose VEX counts, none of whom speaks for a stage: attached to the image or to its base."),
  unmatched: z
    .enum(["refuse", "tell"])
    .default("refuse")
    .describe(
      "What becomes of a statement about the image that concerns nothing which was found: refused, with the nearest thing, or only told.",
    ),
});

const dataSchema = z.strictObject({
  repository: repositoryText.describe(
    "The repository that `goldenpath data mirror` puts the scanners' data into, HOST/NAME.",
  ),
  signers: z
    .array(name)
    .min(1)
    .describe("The signers whose word on the data counts, none of whom speaks for a stage or says VEX."),
  maxAge: duration
    .prefault("2d")
    .describe(
      "How long ago the mirror may have seen that the data is its publisher's newest, such as 36h: without an end, a registry could go on to show an old one.",
    ),
  kev: z
    .literal(true)
    .optional()
    .describe(
      "That CISA's list of what is known to be exploited is kept there as well, and that findings are held to it, whoever made them: scanners and reports of others. Without it only grype's data says what is.",
    ),
});
const reporter = z
  .strictObject({
    name: name.describe("How findings, messages and the input `reports` call it; no scanner's name."),
    tools: z
      .array(text)
      .min(1)
      .describe(
        "What its reports call the tool that made them, exactly: SARIF's tool.driver.name (Snyk Container), or a name in CycloneDX's metadata.tools.",
      ),
    signers: z
      .array(name)
      .min(1)
      .optional()
      .describe("The signers whose reports about the image count, none of whom speaks for a stage."),
    given: z
      .enum(["by-digest", "any"])
      .optional()
      .describe(
        "That a file which the scan's own job gives counts, by that job's word: by-digest, only one that names the image by its digest; any, one that names no image as well. Without it none does.",
      ),
    maxAge: duration.describe("How old a report may be, such as 24h."),
    undated: z
      .enum(["refuse", "accept"])
      .default("refuse")
      .describe("What becomes of a report that does not say when it was made, as many in SARIF."),
    required: z.boolean().default(true).describe("Whether an image without such a report is refused."),
  })
  .refine(({ signers, given }) => signers !== undefined || given !== undefined, {
    message: "has neither `signers` nor `given`: no report could ever count",
  });
export type ReporterRule = z.infer<typeof reporter>;

const percent = z.number().int().min(0).max(100).default(0);
const sbomQuality = z.strictObject({
  version: percent.describe("Packages with a version."),
  identifier: percent.describe("Packages with a package URL or a CPE."),
  license: percent.describe("Packages with a licence."),
  hash: percent.describe("Packages with a hash."),
  supplier: percent.describe("Packages with a supplier, publisher or author."),
  enforceFrom: ownDay.optional(),
});
export type SbomQuality = z.infer<typeof sbomQuality>;

const rescanSchema = z.strictObject({
  kev: duration
    .optional()
    .describe("How long after a rescan first refused it what is known to be exploited counts. Default: at once."),
  others: duration
    .optional()
    .describe(
      "The same of everything else, such as 14d; what is known to be malicious counts at once. Default: at once.",
    ),
  every: duration
    .optional()
    .describe(
      "How often an image is scanned again at least, such as 7d: the days begin no later than so long after the newest scan before that is still there, so that nobody wins days by taking scans away. Default: 14d.",
    ),
});
export type RescanRules = z.infer<typeof rescanSchema>;

/** How often an image is scanned again, where the policy does not say. Milliseconds. */
export const rescannedEvery = 14 * 86_400_000;

export const scanSection = z
  .strictObject({
    failOn: z.enum(severities).describe("Findings of this severity and above are refused."),
    onlyFixed: z.boolean().default(false).describe("Refuse only findings for which a fixed version exists."),
    scanners: z
      .array(name)
      .min(1)
      .default(["grype"])
      .describe(
        "The scanners that each scan asks, by name (grype, osv-scanner, trivy). What several say of one vulnerability is one finding, the worst of it; of a distribution's package the distribution's own advisory counts. A caller may add others, and leave none of these out.",
      ),
    refuse: refusalGates
      .optional()
      .describe(
        "Findings that are refused besides those of `failOn`: of each entry all conditions hold. What is known as malicious is refused without any.",
      ),
    packages: z
      .array(forbiddenPackage)
      .min(1)
      .optional()
      .describe("Packages that an image must not have, with or without a vulnerability."),
    licenses: licensesSchema.optional().describe("Which licences an image's packages must not have."),
    sbom: sbomQuality
      .optional()
      .describe(
        "What an image's SBOM has to say at least, by CISA's minimum elements: of how many of its packages, in per cent. With it, when and by which tool it was made as well.",
      ),
    vex: vexSchema
      .optional()
      .describe(
        "Whose statements that an image is not affected by a vulnerability (OpenVEX, CSAF, CycloneDX) count. Without it nobody's do.",
      ),
    data: dataSchema
      .optional()
      .describe(
        "Where scans take their vulnerability data from, and whose signature it needs. With it they take it from nowhere else, and the input `database` is refused. Without it, from that input, a directory of the machine, or the publisher.",
      ),
    reports: z
      .array(reporter)
      .min(1)
      .optional()
      .describe(
        "Reports of scanners that goldenpath does not run, in SARIF or CycloneDX: what they found is judged as well. They add, and set nothing aside. Without it nobody's are read.",
      ),
    failOnlyOn: z
      .enum(["all", "new"])
      .default("all")
      .describe(
        "new: what the image that a scan is compared with (`compare-with`) has already is reported and not refused, where that image is one that `comparison` takes. What is known to be exploited or malicious is refused all the same.",
      ),
    comparison: z
      .strictObject({
        environment: name.describe(
          "The environment that the other image must have been promoted into, from the same source repository.",
        ),
        tags: z
          .array(text)
          .min(1)
          .describe(
            "The tags there that may be compared with, such as prod: each is what was promoted last, and a digest could be any image of before.",
          ),
        maxAge: duration.describe("How old the other image's newest signed scan may be, such as 7d."),
      })
      .optional()
      .describe("For `failOnlyOn: new`: which images' findings are let pass as known."),
    rescan: rescanSchema
      .optional()
      .describe(
        "From when on what a rescan of promoted images (`goldenpath fleet scan`) finds anew counts, for images whose newest other scan passed. Without it at once.",
      ),
    databaseMaxAge: z
      .union([duration, z.literal("unlimited")], "expected a duration such as 90m, 12h or 30d, or unlimited")
      .prefault("5d")
      .describe("How old the vulnerability data may be."),
    allowBlindSpots: z
      .array(z.enum(blindSpots))
      .default([])
      .describe("Which blind spots of a scan are let pass. Without it, that nothing can be seen is a violation."),
    ownWord: z
      .enum(["accept", "refuse"])
      .default("accept")
      .describe(
        "Whether layers above the base may close findings of the base, by changed files and a newer version in the package database, which is the image's own word. refuse: only a newer base does.",
      ),
  })
  // Never judged by: a scan demands the section.
  .default({
    failOn: "negligible",
    onlyFixed: false,
    scanners: ["grype"],
    failOnlyOn: "all",
    databaseMaxAge: 0,
    allowBlindSpots: [],
    ownWord: "refuse",
  })
  .describe("Which findings are refused.");

/** What each rule is set aside for. */
export const exceptionKeys = {
  "base.approved": "repository",
  "base.root-user": "repository",
  "base.secret": "repository",
  "base.credential": "repository",
  "base.package-cache": "repository",
  "base.committed": "repository",
  "base.missing": "repository",
  "base.rule": "repository",
  "scan.rule": "repository",
  "scan.severity": "vulnerability",
  "scan.gate": "vulnerability",
  "scan.malicious": "vulnerability",
  "scan.package": "package",
  "scan.license": "license",
} as const satisfies Record<(typeof exceptionRules)[number], string>;

/** Of these one policy has several, each by a name. */
const named: readonly string[] = ["scan.gate", "base.rule", "scan.rule"];

export const exceptionSchema = z
  .strictObject({
    rule: z.enum(exceptionRules).describe("The rule that is set aside. Evidence and signatures have no exceptions."),
    vulnerability: text
      .optional()
      .describe("For scan.severity, scan.gate and scan.malicious: the vulnerability's id, or another name of it."),
    package: text
      .optional()
      .describe(
        "For scan.package: the package's name, or its URL without a version. For the other rules of a scan: only in the package of this name.",
      ),
    license: text.optional().describe("For scan.license: the licence, as the policy or the SBOM writes it."),
    repository: repositoryText
      .optional()
      .describe(
        "For base.approved and what `images` refuses (base.root-user, base.secret, base.credential, base.package-cache, base.committed, base.missing), and for base.rule and scan.rule: the image's repository.",
      ),
    gate: name
      .optional()
      .describe(
        "For scan.gate: only for this entry of `scan.refuse`; for base.rule and scan.rule: only for this one of `rules`. Default: for all of them.",
      ),
    file: text
      .optional()
      .describe("For base.credential: the path in the image, from / on, of the file in which alone it holds."),
    reason: text.describe("Why it is granted; results and reports repeat it."),
    owner: text.describe("Who answers for it."),
    expires: day.describe("The last day (UTC) on which it holds."),
  })
  .superRefine((exception, context) => {
    for (const { key, message } of listMisplaced(exception)) context.addIssue({ code: "custom", path: [key], message });
  });

type ExceptionKeys = Partial<
  Record<"vulnerability" | "package" | "license" | "repository" | "gate" | "file", string | undefined>
>;

/**
 * What an exception of a rule lacks of its keys, and has of others': one that can never match anything is a mistake that
 * nobody would see until it is needed.
 */
export function listMisplaced(
  exception: ExceptionKeys & { rule: (typeof exceptionRules)[number] },
): { key: string; message: string }[] {
  const { rule } = exception;
  const wanted = exceptionKeys[rule];
  const others = [...new Set(Object.values(exceptionKeys))].filter((key) => key !== wanted && key !== "package");
  return [
    ...(exception[wanted] === undefined ? [{ key: wanted, message: "is missing" }] : []),
    ...others.flatMap((key) =>
      exception[key] === undefined ? [] : [{ key, message: `${rule} is set aside for a ${wanted}` }],
    ),
    ...(exception.gate === undefined || named.includes(rule)
      ? []
      : [{ key: "gate", message: "only scan.gate knows gates, and base.rule and scan.rule know rules" }]),
    ...((exception.file === undefined) === (rule === "base.credential")
      ? [{ key: "file", message: rule === "base.credential" ? "is missing" : `${rule} knows no files` }]
      : []),
    ...(exception.file === undefined || /^(?:\/(?!\.{0,2}(?:\/|$))[^/]+)+$/.test(exception.file)
      ? []
      : [{ key: "file", message: "is no path as results tell it: from / on, without '.', '..' or a / at its end" }]),
    ...(exception.package === undefined || wanted !== "repository"
      ? []
      : [{ key: "package", message: `${rule} knows no packages` }]),
  ];
}
