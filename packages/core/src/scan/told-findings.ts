import { oncePer } from "@goldenpath/foundation/once-per";
import { describeIssues } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import { packageScopes } from "../policy/scan-section.ts";
import { type Finding, findingSeverities } from "./finding.ts";
import type { VexAnswer } from "./vex/match.ts";

const toldSchema = z.object({
  child: z.string().optional(),
  platform: z.string(),
  id: z.string().min(1),
  aliases: z.array(z.string()).default([]),
  covers: z.array(z.string()).optional(),
  severity: z.enum(findingSeverities),
  package: z.object({
    name: z.string(),
    version: z.string(),
    type: z.string(),
    purl: z.string().optional(),
    scope: z.enum(packageScopes).optional(),
  }),
  fixedVersions: z.array(z.string()).default([]),
  suggestedVersion: z.string().optional(),
  fixState: z.enum(["fixed", "not-fixed", "wont-fix", "unknown"]),
  fixReleases: z.array(z.object({ version: z.string(), on: z.string() })).optional(),
  cvss: z.number().optional(),
  epss: z.union([z.number(), z.literal("none")]).optional(),
  kev: z.boolean().optional(),
  malicious: z.boolean().optional(),
  withdrawn: z.string().optional(),
  origin: z.enum(["base", "application", "unknown"]),
  excepted: z.literal(true).optional(),
  saidBy: z
    .array(
      z.object({
        source: z.string(),
        id: z.string(),
        severity: z.enum(findingSeverities),
        fixedVersions: z.array(z.string()).default([]),
        isDistributions: z.literal(true).optional(),
      }),
    )
    .optional(),
  layers: z.array(z.string()).optional(),
  paths: z.array(z.string()).optional(),
  urls: z.array(z.string()).optional(),
  countsFrom: z.iso.datetime().optional(),
  vex: z
    .object({
      status: z.string(),
      by: z.string(),
      because: z.string().optional(),
      time: z.iso.datetime().optional(),
    })
    .optional(),
});

/**
 * A finding as the predicate tells it, whichever scanner found it: what a later scan compares with, and what the gates
 * of an environment judge. `covers`: of an advisory about several vulnerabilities, those. What nobody says is missing, as in {@link Finding}. `excepted`: the policy refused it, and one
 * of its exceptions set it aside. `vex`: it counts for nothing, by the word of a signer whose VEX the policy takes;
 * `time` is when that was signed at the latest, by somebody else's word. `countsFrom`: a rescan found it anew, and by the
 * policy's days it counts from then on. `saidBy`: who says what, where that is not the scan's first scanner alone;
 * `layers` (diffIDs), `paths` and `urls`: what the first scanner's own report does not have. Both are for people.
 */
export type ToldFinding = z.infer<typeof toldSchema>;

const timeSchema = z.looseObject({
  metadata: z.looseObject({ scanFinishedOn: z.iso.datetime({ offset: true }).transform((text) => new Date(text)) }),
});

const signedSchema = timeSchema.extend({
  scanner: z.looseObject({
    db: z.looseObject({ lastUpdate: z.iso.datetime({ offset: true }).optional() }).optional(),
    result: z.looseObject({
      goldenpath: z.looseObject({
        platforms: z.array(z.string()).min(1),
        findings: z.array(toldSchema),
      }),
    }),
  }),
});

/** One scan, as it was signed. */
export interface ToldScan {
  finishedOn: Date;
  /** Of its vulnerability data, as it says: ISO 8601. */
  databaseOf?: string | undefined;
  /** `linux/amd64`: those that were looked at, with findings or without. */
  platforms: readonly string[];
  findings: readonly ToldFinding[];
}

/** The predicate of a scan → what it found; or why that can't be told, as of one of before findings were told so. */
export const readToldScan = oncePer((predicate: Record<string, unknown>): ToldScan | { problem: string } => {
  const parsed = signedSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { metadata, scanner } = parsed.data;
  const { platforms, findings } = scanner.result.goldenpath;
  return { finishedOn: metadata.scanFinishedOn, databaseOf: scanner.db?.lastUpdate, platforms, findings };
});

/** When a scan ended, as its predicate says; undefined where it does not. */
export function readScanTime(predicate: Record<string, unknown>): Date | undefined {
  return timeSchema.safeParse(predicate).data?.metadata.scanFinishedOn;
}

/** What one image's scan found, for the predicate. */
export interface ChildFindings {
  digest: Digest;
  /** `linux/amd64` */
  platform: string;
  findings: readonly Finding[];
  /** True of one that the policy refuses, and an exception sets aside. */
  isExcepted(finding: Finding): boolean;
  /** What VEX says of one that it closes. */
  vexOf?: ((finding: Finding) => VexAnswer | undefined) | undefined;
}

/** Places and links that are told of one finding. */
const maxPlaces = 3;
const maxLayers = 10;

/**
 * Findings of all platforms; `child` is named for an index.
 * @param explainer the scanner whose own report in the predicate says where its findings are; without one nothing of
 *   that is told, nor who says what
 */
export function tellFindings(
  children: readonly ChildFindings[],
  explainer?: string,
): { platforms: string[]; findings: ToldFinding[] } {
  return {
    platforms: [...new Set(children.map(({ platform }) => platform))],
    findings: children.flatMap(({ digest, platform, findings, isExcepted, vexOf }) =>
      findings.map((finding) => ({
        ...(children.length === 1 ? {} : { child: digest }),
        platform,
        ...tellFinding(finding),
        ...(explainer === undefined ? {} : tellSources(finding, explainer)),
        ...(isExcepted(finding) ? { excepted: true as const } : {}),
        ...tellVex(vexOf?.(finding)),
      })),
    ),
  };
}

function tellSources(
  { id, saidBy, layers, paths, urls }: Finding,
  explainer: string,
): Pick<ToldFinding, "saidBy" | "layers" | "paths" | "urls"> {
  const isItsAlone = saidBy.every(({ source }) => source === explainer);
  const isExplained = saidBy.some((said) => said.source === explainer && said.id === id);
  const some = (values: readonly string[], most: number): string[] | undefined =>
    isExplained || values.length === 0 ? undefined : values.slice(0, most);
  return withoutUnsaid({
    saidBy: isItsAlone
      ? undefined
      : saidBy.map(({ source, id: own, severity, fixedVersions, advisory }) => ({
          ...{ source, id: own, severity, fixedVersions },
          ...(advisory?.isDistributions === true && advisory.ratedElsewhere !== true
            ? { isDistributions: true as const }
            : {}),
        })),
    ...{ layers: some(layers, maxLayers), paths: some(paths, maxPlaces), urls: some(urls, maxPlaces) },
  });
}

function tellVex(answer: VexAnswer | undefined): Pick<ToldFinding, "vex"> {
  if (answer?.isClosed !== true) return {};
  const { status, because } = answer.statement;
  const time = answer.time?.toISOString();
  return { vex: { status, by: answer.signer, ...withoutUnsaid({ because, time }) } };
}

function tellFinding(finding: Finding): Omit<ToldFinding, "child" | "platform" | "excepted" | "vex"> {
  const { id, aliases, severity, fixedVersions, fixState, origin } = finding;
  const { name, version, type, purl, scope } = finding.package;
  const { covers, suggestedVersion, fixReleases, cvss, epss, kev, malicious, withdrawn } = finding;
  const said = { covers, suggestedVersion, fixReleases, cvss, epss, kev, malicious, withdrawn };
  return {
    ...{ id, aliases, severity, fixedVersions, fixState, origin },
    package: { name, version, type, ...withoutUnsaid({ purl, scope }) },
    ...withoutUnsaid(said),
  };
}

function withoutUnsaid<T extends object>(said: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) as never;
}
