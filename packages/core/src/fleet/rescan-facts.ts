import type { ListedViolation } from "../result.ts";
import type { ToldFinding } from "../scan/told-findings.ts";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";
import type { SourcePlace } from "./gather-places.ts";

/** What a rescan says of one image. `later`: it is refused from a day on. */
export type RescanVerdict = "pass" | "later" | "fail";

/** One thing that the policy refuses in an image, and who is to mend it where. */
export interface RefusedThing {
  violation: ListedViolation;
  /** From when on it counts. */
  countsFrom: Date;
  /** Of a vulnerability. */
  finding?: ToldFinding;
  action: "rebase" | "update";
  owner: string;
  place?: SourcePlace;
}

export interface RescannedImage {
  image: FleetImage;
  owner: string;
  verdict: RescanVerdict;
  countsFrom?: Date;
  refused: RefusedThing[];
  /** Findings of any severity. */
  findings: number;
  /** `signed` now; `unchanged`: the same was said not long ago; `not`: nothing is signed in this run. */
  evidence: "signed" | "unchanged" | "not";
}

export interface RescanReport {
  policy: { name: string; serial: number };
  at: Date;
  images: RescannedImage[];
  failures: FleetFailure[];
  notes: string[];
  requests: number;
}

/** By what a reader asks for, how many images there are, and how they stand. */
export function groupFleet(
  { images }: Pick<RescanReport, "images">,
  keyOf: (image: RescannedImage) => string,
): Map<string, { images: number } & Record<RescanVerdict, number>> {
  const count = (own: readonly RescannedImage[], verdict: RescanVerdict): number =>
    own.filter((each) => each.verdict === verdict).length;
  return new Map(
    [...Map.groupBy(images, keyOf)].map(([key, own]) => [
      key,
      { images: own.length, fail: count(own, "fail"), later: count(own, "later"), pass: count(own, "pass") },
    ]),
  );
}

/** As JSON, for programs. */
export function describeRescan(report: RescanReport): Record<string, unknown> {
  const { policy, at, images, failures, notes, requests } = report;
  const rebase = new Map<string, string[]>();
  for (const { image, refused } of images) {
    if (!refused.some(({ action }) => action === "rebase")) continue;
    const base = image.base?.name ?? "(its base)";
    rebase.set(base, [...(rebase.get(base) ?? []), nameImage(image)]);
  }
  return {
    ...{ policy, at: at.toISOString(), requests, failures, notes },
    counts: groupFleet(report, () => "all").get("all") ?? { images: 0, fail: 0, later: 0, pass: 0 },
    rebase: Object.fromEntries(rebase),
    images: images.map(({ image, owner, verdict, countsFrom, refused, findings, evidence }) => ({
      image: nameImage(image),
      ...{ tags: image.tags, environments: image.environments, source: image.source, base: image.base?.name },
      ...{ strategy: image.strategy, owner, verdict, findings, evidence },
      ...(countsFrom === undefined ? {} : { countsFrom: countsFrom.toISOString() }),
      refused: refused.map(({ violation, action, place, countsFrom: from, owner: whose }) => ({
        ...{ rule: violation.rule, thing: violation.thing, wayOut: violation.wayOut, action, owner: whose },
        countsFrom: from.toISOString(),
        ...(place === undefined ? {} : { place }),
      })),
    })),
  };
}
