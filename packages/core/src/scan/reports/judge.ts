import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { ReporterRule } from "../../policy/scan-section.ts";
import type { Violation } from "../../result.ts";
import { formatDuration } from "../duration.ts";
import { type CarriedReport, carryReports, type JudgedScan } from "./carried.ts";
import type { ImportedReport, UnfitReport, UsedReport } from "./report.ts";

/** Times of other machines may be ahead of ours by so much. */
const clockSkew = 60 * 60_000;

/** A report of a reporter, and by whose word it is of an image. */
export interface ReportCandidate {
  read: ImportedReport | UnfitReport;
  /** The signer's name in the policy; undefined for a file that was given in this job. */
  signer?: string;
  /** When it was signed at the latest, by somebody else's word. */
  signedAt?: Date;
  /** Its signer's word, or its signature, has ended. */
  isLapsed?: true;
  /** Of the signed bundle, or of the file: `sha256:…`. */
  digest: string;
  /** The image or index that it is signed about. */
  about?: Digest;
}

/** The image that reports are asked for. */
export interface ReportedImage {
  /** HOST/NAME@DIGEST, for messages. */
  thing: string;
  digest: Digest;
  /** Of its config, by which some scanners name an image. */
  config: Digest;
  /** Of the index that it is in, or its own. */
  root: Digest;
  /** Digests of the index's other images and of their configs. */
  others: readonly string[];
  platform?: string;
}

export interface JudgedReports {
  used: UsedReport[];
  /** Of a rescan: those that are not there any more, as a scan before told them. */
  carried: CarriedReport[];
  violations: Violation[];
}

/**
 * Which of a reporter's reports count for one image: of those that are signed, and of those that were given, the newest
 * each, with all that have no time. What can't be taken is a violation, unless a newer one says that it is overtaken;
 * and so is that there is none, where the policy demands one. Silence of a report sets nothing aside.
 * @param before of a rescan: the scans of the image before. A report's age was for the scan that let the image in to ask
 *   about: here the newest one counts, however old, and what is not there any more as a scan before told it
 */
export function judgeReports(
  rule: ReporterRule,
  image: ReportedImage,
  candidates: readonly ReportCandidate[],
  now: Date,
  before?: readonly JudgedScan[],
): JudgedReports {
  const asked = before === undefined ? rule : { ...rule, maxAge: Number.POSITIVE_INFINITY };
  const concerning = candidates.filter(({ read }) => !isOfOther(read, image));
  const judged = concerning.map((candidate) => ({ candidate, ...examine(asked, image, candidate, now) }));
  const fit = judged.flatMap(({ candidate, problem }) =>
    problem === undefined && candidate.isLapsed !== true ? [candidate as FitCandidate] : [],
  );
  const used = [true, false].flatMap((isSigned) =>
    takeNewest(fit.filter((each) => (each.signer !== undefined) === isSigned)),
  );
  const newest = Math.max(...used.map(({ read }) => read.time?.getTime() ?? Number.NEGATIVE_INFINITY));
  const problems = judged.flatMap(({ candidate, problem, isOld }) => {
    const time = (candidate.read.time ?? candidate.signedAt)?.getTime();
    if (time !== undefined && time <= newest) return [];
    // A report out of its signer's time proves nothing, and what it overtook is not the newest again because of that.
    if (candidate.isLapsed === true)
      return problem === undefined && used.length > 0
        ? [`a later one is there, and the word of its signer ${candidate.signer} or its signature has ended`]
        : [];
    return problem === undefined || (isOld === true && used.length > 0) ? [] : [describe(candidate, problem)];
  });
  const counting = used.map(
    ({ read, signer, digest }): UsedReport => ({
      ...{ reporter: rule.name, report: read, digest },
      ...(signer === undefined ? {} : { signer }),
    }),
  );
  const carried = before === undefined ? [] : carryReports(rule.name, image.digest, counting, before);
  const isMissing = counting.length === 0 && carried.length === 0 && problems.length === 0 && rule.required;
  const missing = before === undefined ? "there is none" : "there is none, and no scan before had one";
  return {
    used: counting,
    carried,
    violations: [...new Set([...problems, ...(isMissing ? [missing] : [])])].map((problem) =>
      refuse(rule, image, problem, before !== undefined),
    ),
  };
}

type FitCandidate = ReportCandidate & { read: ImportedReport };

/** Of another platform's image of the same index: nothing is wrong with it. */
function isOfOther(read: ReportCandidate["read"], { digest, config, others }: ReportedImage): boolean {
  if (!("digests" in read)) return false;
  return (
    !read.digests.some((each) => each === digest || each === config) &&
    read.digests.some((each) => others.includes(each))
  );
}

function examine(
  { maxAge, undated, given }: ReporterRule,
  { digest, config, root, others }: ReportedImage,
  { read, signer, about }: ReportCandidate,
  now: Date,
): { problem?: string; isOld?: true } {
  if ("problem" in read) return { problem: read.problem };
  const isNamed = read.digests.some((each) => each === digest || each === config);
  const isRootAlone = others.length === 0 && read.digests.includes(root);
  if (!isNamed && !isRootAlone) {
    const [named] = read.digests;
    if (named !== undefined && !read.digests.includes(root)) return { problem: `it says that it is of ${named}` };
    if (others.length > 0 && about !== digest)
      return { problem: "it is of the whole index, and does not say of which platform's image" };
    if (signer === undefined && given !== "any") return { problem: "it does not name the image by its digest" };
  }
  if (read.time === undefined) return undated === "accept" ? {} : { problem: "it does not say when it was made" };
  const age = now.getTime() - read.time.getTime();
  if (age < -clockSkew) return { problem: `it says that it is of ${read.time.toISOString()}, which is in the future` };
  if (age > maxAge) {
    const problem = `it is of ${read.time.toISOString()}, and the policy accepts ${formatDuration(maxAge)}`;
    return { problem, isOld: true };
  }
  return {};
}

function takeNewest(fit: readonly FitCandidate[]): FitCandidate[] {
  const newest = Math.max(...fit.map(({ read }) => read.time?.getTime() ?? Number.NEGATIVE_INFINITY));
  return fit.filter(({ read }) => read.time === undefined || read.time.getTime() === newest);
}

function describe({ signer }: ReportCandidate, problem: string): string {
  return `${signer === undefined ? "one that was given" : `one that ${signer} signed`} can't be taken: ${problem}`;
}

function refuse(
  { name, signers, given, tools }: ReporterRule,
  image: ReportedImage,
  problem: string,
  isRescan: boolean,
): Violation {
  const ways = [
    ...(signers === undefined ? [] : [`have ${signers.join(" or ")} sign it about ${image.digest}`]),
    ...(given === undefined
      ? []
      : [
          `give its file in the input 'reports' (${name}=FILE)${isRescan ? " of a scan of this image, and sign that" : ""}`,
        ]),
  ];
  return {
    rule: "scan.report",
    thing: `the report of ${name} about ${image.thing}`,
    problem: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`,
    wayOut: `Let ${tools.join(" or ")} scan this digest, and ${ways.join(", or ")}.`,
    ...(image.platform === undefined ? {} : { platform: image.platform }),
  };
}
