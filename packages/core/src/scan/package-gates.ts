import { oncePer } from "@goldenpath/foundation/once-per";
import { z } from "zod";
import { deferViolation, type Enforcement, findOwnDay } from "../policy/enforcement.ts";
import { settleViolation } from "../policy/exceptions.ts";
import { type ForbiddenPackage, type LicenseRules, nameForbidden, type SbomQuality } from "../policy/scan-section.ts";
import type { Exception } from "../policy/schema.ts";
import { isCounted, type Violation } from "../result.ts";
import { parsePackageUrl } from "./components.ts";
import { canonicalLicense, judgeLicense, type LicenseAnswer } from "./licenses.ts";
import { flattenComponents } from "./nested.ts";

const words = z.string().catch("");
const licenseSchema = z
  .looseObject({
    expression: words.optional(),
    license: z.looseObject({ id: words.optional(), name: words.optional() }).optional().catch(undefined),
  })
  .catch({});

/** What is read of a CycloneDX component; what is no text there says nothing. */
const componentSchema = z.looseObject({
  type: words,
  name: words,
  version: words.optional(),
  purl: words.optional(),
  cpe: words.optional(),
  publisher: words.optional(),
  author: words.optional(),
  supplier: z.looseObject({ name: words.optional() }).optional().catch(undefined),
  licenses: z.array(licenseSchema).catch([]).default([]),
  hashes: z.array(z.unknown()).catch([]).default([]),
  get components(): z.ZodOptional<z.ZodArray<typeof componentSchema>> {
    return z.array(componentSchema).optional();
  },
});
type Component = z.infer<typeof componentSchema>;

const documentSchema = z.looseObject({
  metadata: z.looseObject({ timestamp: z.string().optional(), tools: z.unknown() }).catch({ tools: undefined }),
  components: z.array(componentSchema).catch([]).default([]),
});

const componentsSchema = z.array(componentSchema);

const listPackages = (components: readonly Component[]): Component[] =>
  flattenComponents(components).filter(({ type }) => type !== "file" && type !== "operating-system");

/** The packages of a CycloneDX document; undefined where one of them can't be read. */
export const readSbomPackages = oncePer(
  ({ components = [] }: Record<string, unknown>): readonly Component[] | undefined => {
    const parsed = componentsSchema.safeParse(components);
    return parsed.success ? listPackages(parsed.data) : undefined;
  },
);

/** Its licences, each by the first of expression, SPDX ID and name that it has. */
export function saidLicenses({ licenses }: Component): string[] {
  return licenses
    .map(({ expression, license }) => expression || license?.id || license?.name || "")
    .filter((each) => each !== "");
}

export interface PackageGateFacts {
  /** A CycloneDX document. */
  sbom: Record<string, unknown>;
  policy: {
    packages?: readonly ForbiddenPackage[] | undefined;
    licenses?: LicenseRules | undefined;
    sbom?: SbomQuality | undefined;
  };
  exceptions: readonly Exception[];
  /** Days of the policy until which rules warn. */
  enforceFrom?: Enforcement | undefined;
  now: Date;
  /** HOST/NAME@sha256:…, whose SBOM it is. */
  image: string;
  /** Set where this is one platform of an index. */
  platform?: string | undefined;
}

/**
 * What of an image's packages the policy refuses, vulnerable or not: those that are forbidden, those under licences that
 * are, and an SBOM that does not say enough. Rules: `scan.package`, `scan.license`, `scan.sbom`.
 */
export function judgePackages(facts: PackageGateFacts): Violation[] {
  const { packages, licenses, sbom: quality } = facts.policy;
  if (packages === undefined && licenses === undefined && quality === undefined) return [];
  const document = documentSchema.parse(facts.sbom);
  const components = listPackages(document.components);
  const found = [
    ...components.flatMap((component) => judgeForbidden(component, packages ?? [], facts)),
    ...components.flatMap((component) => (licenses === undefined ? [] : judgeLicenses(component, licenses, facts))),
    ...(quality === undefined
      ? []
      : judgeQuality(document.metadata, components, quality, facts.image).map((each) =>
          deferViolation(each, facts, findOwnDay("quality", quality)),
        )),
  ];
  const place = facts.platform === undefined ? {} : { platform: facts.platform };
  // One package may lie in several places.
  return [...new Map(found.map((each) => [JSON.stringify(each), { ...each, ...place }])).values()];
}

function judgeForbidden(
  component: Component,
  forbidden: readonly ForbiddenPackage[],
  facts: PackageGateFacts,
): Violation[] {
  const matches = forbidden.filter(
    ({ name, purl, versions }) =>
      (purl === undefined ? name === component.name : pathOf(purl) !== "" && pathOf(purl) === pathOf(component.purl)) &&
      (versions === undefined || versions.includes(component.version ?? "")),
  );
  const judged = matches.map((match) => refuseForbidden(component, match, facts));
  // What waits must not hide what refuses already.
  const counted = judged.findIndex(isCounted);
  return judged.slice(0, counted === -1 ? Math.max(1, judged.length) : counted + 1);
}

function refuseForbidden(component: Component, match: ForbiddenPackage, facts: PackageGateFacts): Violation {
  const violation: Violation = {
    rule: "scan.package",
    thing: nameOf(component),
    problem: `It is a package that the policy forbids: ${match.reason}.`,
    wayOut: `Do without ${component.name}${match.versions === undefined ? "" : `, or take another version than ${match.versions.join(", ")}`}.`,
  };
  const things = [component.name, ...(match.purl === undefined ? [] : [match.purl]), ...withoutVersion(component.purl)];
  const own = findOwnDay(nameForbidden(match), match);
  return settleViolation(violation, { rule: "scan.package", things, package: component.name, own }, facts);
}

function judgeLicenses(component: Component, { refuse, unknown }: LicenseRules, facts: PackageGateFacts): Violation[] {
  const refused = new Set(refuse.map(canonicalLicense));
  const said = saidLicenses(component);
  const answers = said.map((each) => judgeLicense(each, refused));
  const by = answers.find((each): each is LicenseAnswer & { kind: "refused" } => each.kind === "refused")?.by;
  const isUnknown = said.length === 0 || answers.some(({ kind }) => kind === "unknown");
  if (by === undefined && (!isUnknown || unknown === "pass")) return [];
  const violation: Violation = {
    rule: "scan.license",
    thing: nameOf(component),
    problem:
      by === undefined
        ? `Nobody says in words of SPDX which licence it is under${said.length === 0 ? "" : ` (${said.join("; ")})`}, and the policy refuses that.`
        : `It is under ${by}, which the policy refuses${said.join("") === by ? "" : ` (${said.join("; ")})`}.`,
    wayOut: `Do without ${component.name}, or ask for an exception in the policy, with an owner and an end date.`,
  };
  const query = { rule: "scan.license" as const, things: [by ?? "unknown", ...said], package: component.name };
  return [settleViolation(violation, query, facts)];
}

type Element = Exclude<keyof SbomQuality, "enforceFrom">;

/** What CISA's minimum elements ask of each component, as CycloneDX has it. */
const elements: Record<Element, { what: string; isThere(component: Component): boolean }> = {
  version: { what: "a version", isThere: ({ version }) => isSaid(version) },
  identifier: { what: "a package URL or a CPE", isThere: ({ purl, cpe }) => isSaid(purl) || isSaid(cpe) },
  license: {
    what: "a licence",
    isThere: ({ licenses }) =>
      licenses.some(({ expression, license }) => [expression, license?.id, license?.name].some(isSaid)),
  },
  hash: { what: "a hash", isThere: ({ hashes }) => hashes.length > 0 },
  supplier: {
    what: "a supplier, publisher or author",
    isThere: ({ supplier, publisher, author }) => [supplier?.name, publisher, author].some(isSaid),
  },
};

function isSaid(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== "" && !/^(?:UNKNOWN|NOASSERTION|NONE)$/i.test(value.trim());
}

function judgeQuality(
  metadata: z.infer<typeof documentSchema>["metadata"],
  components: readonly Component[],
  quality: SbomQuality,
  image: string,
): Violation[] {
  const refuse = (problem: string, wayOut: string): Violation => ({
    rule: "scan.sbom",
    thing: `the SBOM of ${image}`,
    problem,
    wayOut,
  });
  const again = "Have the SBOM made by a tool that says so, such as syft, from which goldenpath makes one itself.";
  const found: Violation[] = [];
  if (Number.isNaN(Date.parse(metadata.timestamp ?? "")))
    found.push(refuse("It does not say when it was made.", again));
  if (!hasTool(metadata.tools)) found.push(refuse("It does not say by which tool it was made.", again));
  for (const name of Object.keys(elements) as Element[]) {
    const { what, isThere } = elements[name];
    const lacking = components.filter((component) => !isThere(component));
    // In whole numbers: 19 of 20 are 95 per cent, and no rounding makes them more.
    if ((components.length - lacking.length) * 100 >= quality[name] * components.length) continue;
    const some = lacking.slice(0, 5).map(nameOf).join(", ");
    found.push(
      refuse(
        `${components.length - lacking.length} of ${components.length} packages have ${what}; the policy asks for ${quality[name]} %. Without: ${some}${lacking.length > 5 ? ` and ${lacking.length - 5} more` : ""}.`,
        `Have ${what} said where these packages are made or listed, or ask for another \`scan.sbom.${name}\` in the policy.`,
      ),
    );
  }
  return found;
}

/** CycloneDX 1.4 has a list of tools, later ones a list of components and of services. */
function hasTool(tools: unknown): boolean {
  if (Array.isArray(tools)) return tools.length > 0;
  const later = z.looseObject({
    components: z.array(z.unknown()).default([]),
    services: z.array(z.unknown()).default([]),
  });
  const parsed = later.safeParse(tools);
  return parsed.success && parsed.data.components.length + parsed.data.services.length > 0;
}

function nameOf({ name, version }: Pick<Component, "name" | "version">): string {
  return version === undefined || version === "" ? name : `${name} ${version}`;
}

/** As an exception names it. */
function withoutVersion(purl: string | undefined): string[] {
  const [, path] = /^(pkg:[^?#]+?)(?:@[^@/?#]*)?(?:[?#].*)?$/.exec(purl ?? "") ?? [];
  return path === undefined ? [] : [path];
}

/** Whose package it is, however its URL is written. */
function pathOf(purl: string | undefined): string {
  const url = parsePackageUrl(purl);
  return url === undefined ? "" : JSON.stringify([url.type, url.namespace, url.name]);
}
