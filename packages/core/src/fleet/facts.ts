import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, isWithin, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { findByBuildType } from "../build/strategies/find.ts";
import { findEntries } from "../evidence/record-facts.ts";
import { listSources, readAnyBuilds } from "../gate/binding.ts";
import { matchesSource } from "../gate/match-source.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { listStageSigners } from "../scan/choose-known.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { CollectedEvidence } from "../signing/types.ts";

/** An image's children, as the SBOMs and bases are told by. */
export type LookedImage = Pick<ImageFacts, "children">;

/** The base of one platform's image, by what the base stage signed. */
export interface FleetBase {
  name: string;
  image: string;
  digest: string;
  /** diffIDs of its layers. */
  layers: readonly string[];
}

/** An image that is there for an environment, by what is signed about it. */
export interface FleetImage {
  repository: Repository;
  digest: Digest;
  tags: readonly string[];
  /** Those that a promotion let it into; none: nobody says how it came in. */
  environments: readonly string[];
  /** When it was let in last, and each time with the environment. */
  promotions: readonly { environment: string; at: Date }[];
  /** Of the newest provenance. */
  source?: { repository: string; commit?: string };
  strategy?: string;
  /** Its base, where all of its platforms stand on one of that name. */
  base?: Pick<FleetBase, "name" | "image" | "digest">;
  /** Who answers for it by the policy; absent where that says nobody. */
  owner?: string;
}

/** What could not be looked at: nothing is known of it. */
export interface FleetFailure {
  /** HOST/NAME, HOST/NAME:TAG or HOST/NAME@DIGEST. */
  what: string;
  problem: string;
}

const baseSchema = z.object({
  children: z.array(
    z.object({
      digest: z.string(),
      base: z.object({ name: z.string(), image: z.string(), digest: z.string() }).nullish(),
      matchedLayers: z.number().int().nonnegative(),
      layers: z.array(z.string()),
    }),
  ),
});

/** Of each platform's image the base that the base stage proved, where what it signed names exactly the image's layers. */
export function readBases(
  image: LookedImage,
  { statements }: Pick<CollectedEvidence, "statements">,
  policy: Policy,
): Map<Digest, FleetBase> {
  const allowed = listStageSigners(policy, "base");
  const told = statements
    .filter(
      ({ statement, signers }) =>
        statement.predicateType === predicateTypes.base && signers.some((name) => allowed.has(name)),
    )
    .flatMap(({ statement }) => baseSchema.safeParse(statement.predicate).data?.children ?? []);
  const bases = new Map<Digest, FleetBase>();
  for (const { digest, config } of image.children) {
    const layers: readonly string[] = config.rootfs.diff_ids;
    const own = told.find(
      (each) =>
        each.digest === digest &&
        each.base != null &&
        each.layers.length === layers.length &&
        each.layers.every((layer, index) => layer === layers[index]),
    );
    if (own?.base == null) continue;
    const { name, image: from, digest: of } = own.base;
    bases.set(digest, { name, image: from, digest: of, layers: layers.slice(0, own.matchedLayers) });
  }
  return bases;
}

/** What is signed about an image → what the fleet's lists tell of it. */
export function describeImage(
  image: ImageFacts,
  tags: readonly string[],
  evidence: CollectedEvidence,
  { policy, inForce }: LoadedPolicy,
): FleetImage {
  const repository: Repository = { registry: image.reference.registry, name: image.reference.name };
  const promotions = Object.entries(policy.environments)
    .filter(([, { to }]) => to.some((prefix) => isWithin(repository, prefix)))
    .flatMap(([environment, { promoter }]) =>
      findEntries({ repository, evidence }, promoter, environment, inForce).found.map(({ summary }) => ({
        environment,
        at: summary.timeVerified,
      })),
    );
  const [build] = readAnyBuilds(policy, evidence).toSorted((a, b) => b.finishedOn.getTime() - a.finishedOn.getTime());
  const bases = [...readBases(image, evidence, policy).values()];
  const [base, ...others] = bases;
  const isOne = bases.length === image.children.length && others.every(({ name }) => name === base?.name);
  const owner = build === undefined ? undefined : ownerBySource(policy, build.sourceRepository, repository);
  const strategy = build === undefined ? undefined : findByBuildType(build.buildType)?.name;
  return {
    ...{ repository, digest: image.reference.digest, tags, promotions },
    environments: [...new Set(promotions.map(({ environment }) => environment))],
    ...(build === undefined
      ? {}
      : {
          source: {
            repository: build.sourceRepository,
            ...(build.sourceCommit === undefined ? {} : { commit: build.sourceCommit }),
          },
        }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(base === undefined || !isOne ? {} : { base: { name: base.name, image: base.image, digest: base.digest } }),
    ...(owner === undefined ? {} : { owner }),
  };
}

/** The first binding of the policy that names an owner and has the source repository; one that it names itself goes first. */
function ownerBySource(policy: Policy, source: string, destination: Repository): string | undefined {
  const bindings = listSources(policy).filter(({ owner, repository }) => {
    return owner !== undefined && matchesSource(source, repository);
  });
  const where = formatRepository(destination);
  const exact = bindings.find(({ repository, to }) => repository === source || to?.includes(where) === true);
  return (exact ?? bindings[0])?.owner;
}

/** HOST/NAME@DIGEST */
export function nameImage({ repository, digest }: Pick<FleetImage, "repository" | "digest">): string {
  return `${formatRepository(repository)}@${digest}`;
}

/** `linux/amd64`, and nothing for an image that is its own child. */
export function namePlatform(image: LookedImage, child: Digest): string | undefined {
  if (image.children.length === 1) return undefined;
  const found = image.children.find(({ digest }) => digest === child);
  return found === undefined ? undefined : formatPlatform(found.platform);
}
