import type { FactValues } from "../policy/custom-rules/facts.ts";
import type { BrokenRule } from "../policy/custom-rules/judge-rules.ts";
import type { Enforcement } from "../policy/enforcement.ts";
import { settleViolation } from "../policy/exceptions.ts";
import type { Exception } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import { type Finding, namesOf } from "./finding.ts";
import { readSbomPackages, saidLicenses } from "./package-gates.ts";

interface ScanRuleFacts {
  image: { repository: string; digest: string; platform: string };
  findings: readonly Finding[];
  /** A CycloneDX document. */
  sbom: Record<string, unknown>;
  now: Date;
}

/** What rules of stage scan can ask for; `policy/custom-rules/facts.ts` says what each is. */
export function listScanFacts({ image, findings, sbom, now }: ScanRuleFacts): FactValues {
  // Where one can't be read, there is nothing that a rule could ask for.
  const packages = readSbomPackages(sbom);
  return {
    ...{ image, now },
    findings: findings.map(tellFinding),
    ...(packages === undefined
      ? {}
      : {
          components: packages.map((each) => ({
            ...{ name: each.name, version: each.version ?? "", purl: each.purl ?? "" },
            licenses: saidLicenses(each),
          })),
        }),
  };
}

function tellFinding(finding: Finding): Record<string, unknown> {
  const { id, severity, package: of, origin, fixedVersions, cvss, epss, kev } = finding;
  return {
    ...{ id, severity, origin, names: namesOf(finding) },
    ...{ packageName: of.name, packageVersion: of.version, packageType: of.type },
    isFixed: fixedVersions.length > 0,
    ...(cvss === undefined ? {} : { cvss }),
    // That there is none is said by a word: nobody expects it to be exploited.
    ...(epss === undefined ? {} : { epss: epss === "none" ? 0 : epss }),
    ...(kev === undefined ? {} : { kev }),
  };
}

/** Broken rules as violations of one image: as the policy's exceptions and days have them. */
export function settleRules(
  broken: readonly BrokenRule[],
  {
    image,
    repository,
    platform,
    ...settled
  }: {
    /** HOST/NAME@sha256:… */
    image: string;
    repository: string;
    platform?: string | undefined;
    exceptions: readonly Exception[];
    enforceFrom?: Enforcement | undefined;
    now: Date;
  },
): Violation[] {
  const place = platform === undefined ? {} : { platform };
  return broken.map(({ name, own, ...each }) =>
    settleViolation(
      { ...each, thing: image, ...place },
      { rule: each.rule, things: [repository], gate: name, own },
      settled,
    ),
  );
}
