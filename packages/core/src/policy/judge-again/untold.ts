import { isDeepStrictEqual } from "node:util";
import { listBuildImages } from "../../build/strategies/find.ts";
import type { Stage } from "../../stages.ts";
import type { ForbiddenBase } from "../forbidden-section.ts";
import type { Policy, PolicyBase } from "../schema.ts";
import type { JudgedAgain } from "./facts.ts";

/** Something that a stage would ask under the newer policy, and did not under the older. */
export interface Untold extends Omit<JudgedAgain, "thing"> {
  stage: Stage;
}

/**
 * Where the newer of two policies has a stage look for what no evidence says of any image, as the older did not ask for
 * it. What it asks of each image's own is told by {@link judgeAgain}.
 */
export function listUntold(before: Policy, after: Policy): Untold[] {
  return [
    ...after.bases.flatMap((base) => listOfBase(before, base)),
    ...listOfForbidden(before, after),
    ...listOfScan(before.scan, after.scan),
    ...listOfExploited(before, after),
  ].map((each) => ({ ...each, isUnknown: true }));
}

/** What was found by others than grype was held to no list, and a gate may ask whether it is on it. */
function listOfExploited(before: Policy, { scan, environments }: Policy): Untold[] {
  const gates = [scan, ...Object.values(environments)].flatMap(({ refuse }) => refuse ?? []);
  if (scan.data?.kev !== true || before.scan.data?.kev === true || !gates.some(({ kev }) => kev)) return [];
  const problem = "no evidence says what of it is on CISA's list (scan.data.kev)";
  return [{ stage: "scan", rule: "scan.gate", problem }];
}

function listOfBase({ bases }: Policy, after: PolicyBase): Untold[] {
  const stage = "base";
  const { approval, mayChange = [], name } = after;
  const before = bases.find((each) => each.name === name);
  if (before === undefined) return [];
  const gone = (before.mayChange ?? []).filter((path) => !mayChange.some((each) => isAtOrBelow(path, each)));
  const { maxBehind, score } = approval ?? {};
  const old = before.approval;
  const isFarther = maxBehind !== undefined && !((old?.maxBehind ?? Number.POSITIVE_INFINITY) <= maxBehind);
  const isHigher = score !== undefined && !isDeepStrictEqual(score, old?.score);
  return [
    ...gone.map(
      (path): Untold => ({
        ...{ stage, rule: "base.changed" },
        problem: `base '${name}' lets ${path} be changed no more, and no evidence says who does`,
      }),
    ),
    ...(isFarther
      ? [
          {
            stage,
            rule: "base.behind",
            problem: `no evidence says how far it is behind base '${name}' (maxBehind)`,
          } as const,
        ]
      : []),
    ...(isHigher
      ? [
          {
            stage,
            rule: "base.approval",
            problem: `no evidence says how base '${name}' scores (approval.score)`,
          } as const,
        ]
      : []),
  ];
}

/** The finding names the nearest base alone, and no version that the older policy did not know. */
function listOfForbidden(before: Policy, after: Policy): Untold[] {
  return after.forbiddenBases
    .filter((each) => !wasKnown(before, each))
    .map(({ name }) => ({
      ...{ stage: "base", rule: "base.forbidden" },
      problem: `no evidence says whether it stands on '${name}' (forbiddenBases)`,
    }));
}

function wasKnown({ bases, forbiddenBases, build, enforceFrom }: Policy, now: ForbiddenBase): boolean {
  if (forbiddenBases.some((older) => isDeepStrictEqual(older, now))) return true;
  // What stood on an image to build in was refused, by way of whatever.
  const refused = enforceFrom?.["base.build-image"] === undefined ? listBuildImages(build.builders) : [];
  // Versions that were approved are those that a finding names.
  const told = [...refused, ...(now.lineage ? [] : bases)];
  const found = told.filter(({ image }) => image === now.image).flatMap(({ digests }) => digests);
  return now.digests?.every((each) => found.includes(each)) === true;
}

const isAtOrBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

function listOfScan(before: Policy["scan"], after: Policy["scan"]): Untold[] {
  const stage = "scan";
  const scanners = after.scanners.filter((each) => !before.scanners.includes(each));
  const reports = (after.reports ?? []).filter(
    ({ name, required }) => required && before.reports?.some((each) => each.name === name && each.required) !== true,
  );
  const spots = before.allowBlindSpots.filter((each) => !after.allowBlindSpots.includes(each));
  return [
    ...scanners.map(
      (name): Untold => ({ stage, rule: "scan.severity", problem: `no evidence says what ${name} finds in it` }),
    ),
    ...reports.map(
      ({ name }): Untold => ({ stage, rule: "scan.report", problem: `no evidence says what '${name}' reports of it` }),
    ),
    ...spots.map(
      (spot): Untold => ({ stage, rule: "scan.blind-spot", problem: `no evidence says whether it has ${spot}` }),
    ),
    ...(before.ownWord === "accept" && after.ownWord === "refuse"
      ? [{ stage, rule: "scan.severity", problem: "no evidence says what its own word closes (ownWord)" } as const]
      : []),
    ...(after.vex?.unmatched === "refuse" && before.vex?.unmatched !== "refuse"
      ? [{ stage, rule: "scan.vex", problem: "no evidence says which VEX matches nothing (vex.unmatched)" } as const]
      : []),
  ];
}
