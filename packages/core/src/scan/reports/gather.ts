import { resolve } from "node:path";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import type { ReporterRule } from "../../policy/scan-section.ts";
import type { Policy } from "../../policy/schema.ts";
import { collectEvidence } from "../../signing/collect.ts";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import type { JudgedScan } from "./carried.ts";
import { type JudgedReports, judgeReports, type ReportCandidate } from "./judge.ts";
import { readReportPredicate, readReportText } from "./read.ts";
import { maxReportBytes } from "./report.ts";

export interface ReportReader {
  /** What the policy's reporters say of one platform's image, and what is against their reports. */
  judge(child: ChildFacts): Promise<JudgedReports>;
}

interface GivenReport {
  rule: ReporterRule;
  candidate: ReportCandidate;
}

/**
 * The files of the input `reports`, before anything is asked of a registry.
 * @param lines `REPORTER=FILE`
 * @throws UserError `input-invalid`: a file that is not there, or of a reporter whose files the policy does not take
 */
export async function readGivenReports(
  lines: readonly string[],
  reporters: readonly ReporterRule[] | undefined,
  directory: string,
): Promise<GivenReport[]> {
  const taken = (reporters ?? []).filter(({ given }) => given !== undefined);
  return Promise.all(
    lines.map(async (line) => {
      const [, name, file] = /^([^=]+)=(.+)$/.exec(line) ?? [];
      const rule = taken.find((each) => each.name === name?.trim());
      if (rule === undefined || file === undefined) {
        const names = taken.map((each) => each.name).join(", ");
        throw new UserError(
          `input 'reports' has '${line}': expected REPORTER=FILE, where the policy takes ${names === "" ? "nobody's file" : `files of ${names}`}`,
          {
            code: "input-invalid",
            wayOut:
              "Name a reporter of the policy's scan.reports that has `given`, or have the report signed by a signer of that reporter.",
          },
        );
      }
      const path = resolve(directory, file.trim());
      const bytes = await readBoundedFile(path, maxReportBytes).catch((error: unknown) => {
        throw new UserError(`input 'reports' names '${file.trim()}', which can't be read: ${describeError(error)}`, {
          code: "input-invalid",
          cause: error,
        });
      });
      return { rule, candidate: { read: readReportText(bytes.toString("utf8"), rule.tools), digest: digestOf(bytes) } };
    }),
  );
}

/**
 * Others' reports about an image; undefined where the policy names no reporter: then nobody's counts.
 * @param before of a rescan: the scans of the image before, whose reports count where they are not there any more
 */
export function openReports(
  client: RegistryClient,
  image: ImageFacts,
  policy: Pick<Policy, "scan" | "signers">,
  given: readonly GivenReport[],
  now: Date,
  before?: readonly JudgedScan[],
): ReportReader | undefined {
  const { reports: reporters } = policy.scan;
  if (reporters === undefined) return undefined;
  const repository = { registry: image.reference.registry, name: image.reference.name };
  const root = image.reference.digest;
  const collected = new Map<Digest, Promise<CollectedEvidence>>();
  const collect = (digest: Digest): Promise<CollectedEvidence> => {
    const known = collected.get(digest) ?? collectEvidence(client, repository, digest, policy.signers, { now });
    collected.set(digest, known);
    return known;
  };
  return {
    async judge(child) {
      const others = image.children.filter(({ digest }) => digest !== child.digest);
      const facts = {
        thing: `${formatRepository(image.reference)}@${child.digest}`,
        ...{ digest: child.digest, config: child.manifest.config.digest, root },
        others: others.flatMap(({ digest, manifest }) => [digest, manifest.config.digest]),
        ...(others.length === 0 ? {} : { platform: formatPlatform(child.platform) }),
      };
      const isSigned = reporters.some(({ signers }) => signers !== undefined);
      const evidence = isSigned ? await Promise.all([...new Set([root, child.digest])].map(collect)) : [];
      const judged = reporters.map((rule) =>
        judgeReports(
          rule,
          facts,
          [
            ...evidence.flatMap((each) => listSigned(rule, each)),
            ...given.filter((each) => each.rule === rule).map(({ candidate }) => candidate),
          ],
          now,
          before,
        ),
      );
      return {
        used: judged.flatMap(({ used }) => used),
        carried: judged.flatMap(({ carried }) => carried),
        violations: judged.flatMap(({ violations }) => violations),
      };
    },
  };
}

function listSigned(
  { signers: allowed = [], tools }: ReporterRule,
  { statements, lapsed }: CollectedEvidence,
): ReportCandidate[] {
  const read = (
    { statement, signers, time, bundle, subject }: VerifiedStatement,
    isLapsed: boolean,
  ): ReportCandidate[] => {
    const signer = signers.find((name) => allowed.includes(name));
    const report = signer === undefined ? undefined : readReportPredicate(statement.predicate, tools);
    if (signer === undefined || report === undefined) return [];
    return [
      {
        ...{ read: report, signer, digest: bundle.digest, about: subject },
        ...(time === undefined ? {} : { signedAt: time }),
        ...(isLapsed ? { isLapsed } : {}),
      },
    ];
  };
  return [...statements.flatMap((each) => read(each, false)), ...lapsed.flatMap((each) => read(each, true))];
}
