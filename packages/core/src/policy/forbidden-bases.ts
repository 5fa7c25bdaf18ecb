import { listBuildImages } from "../build/strategies/find.ts";
import type { ForbiddenBase } from "./forbidden-section.ts";
import { listPinned } from "./pinned.ts";
import type { Policy } from "./schema.ts";

/** No day of the rule's puts off what the organisation itself has not put off. */
const always = "2000-01-01";

type Catalogue = Pick<Policy, "bases" | "build" | "forbiddenBases">;

/** A version of a base, or of what builds run in, is gone; `digests` undefined: all that the tags point at. */
interface Gone {
  name: string;
  image: string;
  digests: ForbiddenBase["digests"];
  lineage: boolean;
}

/**
 * What a team's policy leaves out of its organisation's bases and builders, as what nothing may stand on. Most bases
 * stand on another: an image on one that is not there any more would pass for one on what lies below, whatever its own
 * base was refused for.
 * @param whose the team's policy, by its name
 */
export function forbidLeftOut(before: Catalogue, after: Catalogue, whose: string): ForbiddenBase[] {
  const taken = new Set(after.forbiddenBases.map((each) => each.name));
  return [...listGoneBases(before, after), ...listGoneBuilders(before, after)].map((gone) => ({
    ...{ name: freeName(gone.name, taken), image: gone.image },
    ...(gone.digests === undefined ? {} : { digests: gone.digests }),
    ...{ lineage: gone.lineage, reason: `${whose} leaves it out`, enforceFrom: always },
  }));
}

function listGoneBases({ bases }: Catalogue, after: Catalogue): Gone[] {
  // Of two bases that have a version the other one may be kept: what is approved can't be forbidden.
  const kept = new Set(listPinned(after.bases));
  return bases.flatMap(({ name, image, digests }): Gone[] => {
    const left = after.bases.find((each) => each.name === name);
    // By its approvals alone: what the tags point at is what it was.
    if (digests.length === 0)
      return left === undefined || left.digests.length > 0 ? [{ name, image, digests: undefined, lineage: false }] : [];
    const gone = digests.filter((digest) => !kept.has(`${image}@${digest}`));
    return gone.length === 0 ? [] : [{ name, image, digests: gone, lineage: false }];
  });
}

/** What was built on an image to build in is refused with it, whatever else it stands on. */
function listGoneBuilders(before: Catalogue, after: Catalogue): Gone[] {
  const kept = new Set(listPinned(listBuildImages(after.build.builders)));
  return listBuildImages(before.build.builders).flatMap(({ name, image, digests }): Gone[] => {
    const gone = digests.filter((digest) => !kept.has(`${image}@${digest}`));
    return gone.length === 0 ? [] : [{ name, image, digests: gone, lineage: true }];
  });
}

function freeName(name: string, taken: Set<string>): string {
  const free = (count: number): string => {
    const end = count === 1 ? "-left-out" : `-left-out-${count}`;
    const own = `${name.slice(0, 63 - end.length).replace(/-$/, "")}${end}`;
    return taken.has(own) ? free(count + 1) : own;
  };
  const own = free(1);
  taken.add(own);
  return own;
}
