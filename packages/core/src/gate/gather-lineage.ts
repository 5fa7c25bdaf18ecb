import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type ImageId, isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { findByBuildType } from "../build/strategies/find.ts";
import { mostRebases, runImage } from "../build/strategies/rebase.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { type Provenance, readProvenance } from "../signing/provenance.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { findRebased, type Lineage, type LineageBase, type LineageImage, listNamedImages } from "./lineage.ts";

type Evidence = ReadonlyMap<Digest, CollectedEvidence>;

/** Where nothing is signed of an image yet: what it was rebased from, and onto which bases. */
export interface AskedLineage {
  rebased: ImageId;
  bases: readonly ImageId[];
}

interface LineageOptions {
  /** What is signed about another image, as the gate asks for it. */
  gatherEvidence(image: ImageFacts): Promise<Evidence>;
  asked?: AskedLineage;
}

/** Provenances of one image that are followed, and bases that are fetched for one: far more than there are. */
const most = 32;
/** Images that are looked at of one: whoever signs might else have each of many name many others. */
const mostImages = 64;

/**
 * An image that was rebased, what it was rebased from, and so on back to what was built, each with what is signed about
 * it and with the bases that it stood on. Nothing where nobody says that it was rebased: then no request is made. Only
 * repositories that the policy names are asked.
 * @throws what the registry client throws, but for what is not there: that is said instead
 */
export async function gatherLineage(
  client: RegistryClient,
  { policy }: Pick<LoadedPolicy, "policy">,
  image: ImageFacts,
  evidence: Evidence,
  { gatherEvidence, asked: told }: LineageOptions,
): Promise<Lineage | undefined> {
  if (told === undefined && listRebases(readAll(evidence)).length === 0) return undefined;
  const found = new Map<Digest, LineageImage | { problem: string }>();
  const asked = new Set<Digest>([image.reference.digest]);
  let next: { image: ImageFacts; evidence: Evidence; more?: AskedLineage }[] = [
    { image, evidence, ...(told === undefined ? {} : { more: told }) },
  ];
  for (let depth = 0; depth <= mostRebases && next.length > 0; depth++) {
    const before: typeof next = [];
    for (const { image: each, evidence: about, more } of next) {
      const provenances = readAll(about);
      const named = [...provenances.flatMap((build) => listNamedImages(build, runImage)), ...(more?.bases ?? [])];
      const { registry, name, digest } = each.reference;
      const bases = await fetchBases(client, policy, named);
      found.set(digest, { repository: { registry, name }, digest, children: each.children, evidence: about, bases });
      const older = [
        ...listRebases(provenances).flatMap((build) => findRebased(build) ?? []),
        ...(more === undefined ? [] : [more.rebased]),
      ];
      for (const old of older.slice(0, most)) {
        if (asked.has(old.digest)) continue;
        if (asked.size >= mostImages) {
          found.set(old.digest, { problem: `of more than ${mostImages} images it is said that it goes back to them` });
          continue;
        }
        asked.add(old.digest);
        const facts = await fetchOld(client, policy, old);
        if ("problem" in facts) found.set(old.digest, facts);
        else before.push({ image: facts, evidence: await gatherEvidence(facts) });
      }
    }
    next = before;
  }
  return found;
}

function readAll(evidence: Evidence): Provenance[] {
  const statements = [...evidence.values()].flatMap((each) => [...each.statements, ...each.lapsed]);
  return statements
    .filter(({ statement }) => statement.predicateType === predicateTypes.provenance)
    .slice(0, most)
    .flatMap(({ statement }) => {
      const read = readProvenance(statement);
      return "problem" in read ? [] : [read];
    });
}

function listRebases(provenances: readonly Provenance[]): Provenance[] {
  return provenances.filter(({ buildType }) => findByBuildType(buildType)?.isRebase === true);
}

async function fetchOld(
  client: RegistryClient,
  { environments }: Policy,
  { repository, digest }: ImageId,
): Promise<ImageFacts | { problem: string }> {
  const where = formatRepository(repository);
  const own = Object.values(environments).flatMap(({ from, to }) => [...from, ...to]);
  if (!own.some((prefix) => isWithin(repository, prefix)))
    return { problem: `${where}@${digest} lies where no environment of the policy takes images from or promotes to` };
  try {
    return await fetchImageFacts(client, { ...repository, digest });
  } catch (error) {
    if (error instanceof UserError && error.code === "image-not-found")
      return { problem: `${where}@${digest} is not in its registry` };
    throw error;
  }
}

async function fetchBases(
  client: RegistryClient,
  { bases }: Policy,
  named: readonly ImageId[],
): Promise<LineageBase[]> {
  const known = new Set(bases.map(({ image }) => formatRepository(parseRepository(image))));
  const once = new Map(named.map((each) => [`${formatRepository(each.repository)}@${each.digest}`, each]));
  const found: LineageBase[] = [];
  for (const base of [...once.values()].slice(0, most)) {
    if (!known.has(formatRepository(base.repository))) continue;
    try {
      const { children } = await fetchImageFacts(client, { ...base.repository, digest: base.digest });
      found.push(...children.map((child) => ({ ...base, child })));
    } catch (error) {
      // What is not there is what no image can be told to stand on, and that refuses.
      if (!(error instanceof UserError && error.code === "image-not-found")) throw error;
    }
  }
  return found;
}
