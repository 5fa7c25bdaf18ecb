import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  isWithin,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { listTaggedImages } from "../evidence/gather-record.ts";
import { isPointerRepository } from "../policy/pointer.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { describeImage, type FleetFailure, type FleetImage } from "./facts.ts";
import { planScope } from "./looked-at.ts";

/** Repositories whose tags are looked at, and images that are, at the same time. */
const concurrency = 6;
/** Of manifests and bundles, of all images together. Bytes. */
const maxRemembered = 48 * 1024 * 1024;

export interface FleetSource {
  client: RegistryClient;
  policy: LoadedPolicy;
  now: Date;
  /** Images that are visited at the same time. */
  visits?: number;
  /** Somebody named the repositories: one with nothing in it is a mistake then. */
  areNamed?: boolean;
}

/** One image of the fleet, with what was collected about it: gone after the visit. */
export interface VisitedImage {
  client: RegistryClient;
  facts: FleetImage;
  image: ImageFacts;
  evidence: CollectedEvidence;
}

export interface GatheredFleet<T> {
  /** In the order of the repositories and of the first of their tags. */
  visited: T[];
  failures: FleetFailure[];
}

export interface ListedFleet {
  /** Repositories that somebody named. */
  named: readonly string[];
  /** Only this environment's. */
  environment?: string | undefined;
  /** Entries of `environments.*.to` below which there may be nothing yet. */
  mayBeEmpty?: readonly string[];
}

/**
 * The repositories of a policy's environments: those that are named, or else what the registries' catalogues list below
 * `environments.*.to`. That a catalogue lists nothing is an error where nobody has said so: it may be that the login
 * sees nothing, and a fleet of no images would have no findings.
 * @throws UserError `reference-invalid`, `arguments-invalid` for one that no environment promotes to,
 *   `catalog-unavailable`, `fleet-empty`; the client's errors
 */
export async function gatherRepositories(
  client: RegistryClient,
  { environments }: Pick<Policy, "environments">,
  { named, environment, mayBeEmpty = [] }: ListedFleet,
): Promise<Repository[]> {
  const { prefixes } = planScope({ environments }, named, environment);
  const unknown = mayBeEmpty.find((each) => !prefixes.includes(each));
  if (unknown !== undefined) {
    throw new UserError(`${unknown} may be empty, and is none of environments.*.to: ${prefixes.join(", ")}`, {
      code: "arguments-invalid",
    });
  }
  const isOwn = (repository: Repository): boolean => prefixes.some((prefix) => isWithin(repository, prefix));
  const given = named.map((text) => parseRepository(text, "HOST/NAME"));
  const astray = given.find((repository) => !isOwn(repository));
  if (astray !== undefined) {
    throw new UserError(
      `${formatRepository(astray)} is of no environment, which put images in ${prefixes.join(", ") || "no repository"}`,
      { code: "arguments-invalid" },
    );
  }
  if (given.length > 0) return given;
  const found: Repository[] = [];
  for (const prefix of prefixes) {
    const [registry = "", ...name] = prefix.split("/");
    const below = { registry, name: name.join("/") };
    // No image belongs where the policy in force is kept.
    const listed = (await client.listRepositories(below)).filter((each) => !isPointerRepository(each));
    const own = listed.filter((each) => isWithin(each, prefix));
    if (own.length === 0 && !mayBeEmpty.includes(prefix)) {
      throw new UserError(`the catalogue of ${registry} lists no repository below ${prefix}`, {
        code: "fleet-empty",
        wayOut: `Log in as whoever sees them, or name them. Where nothing was promoted there yet: --may-be-empty ${prefix}.`,
      });
    }
    found.push(...own);
  }
  return [...new Map(found.map((each) => [formatRepository(each), each])).values()];
}

/**
 * Visits every image that a tag of these repositories points at, with all that signers of the policy say of it: by
 * manifests, configs and evidence, and no layer. What can't be looked at, or whose visit fails, is a failure in the list,
 * and the others are visited all the same.
 * @throws what is no fault of one image: that the work was given up, and errors of this program
 */
export async function gatherFleet<T>(
  { client, policy, now, visits = concurrency, areNamed = false }: FleetSource,
  repositories: readonly Repository[],
  visit: (image: VisitedImage) => Promise<T>,
): Promise<GatheredFleet<T>> {
  const reader = rememberReads(client, maxRemembered);
  const failures: FleetFailure[] = [];
  const attempt = async <R>(what: string, work: () => Promise<R>): Promise<R | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!isKnownError(error) || error.code === "aborted" || error.name === "PolicyViolation") throw error;
      failures.push({ what, problem: error.message });
      return undefined;
    }
  };
  const listed = await mapConcurrently(concurrency, repositories, async (repository) => {
    const found = await attempt(formatRepository(repository), () => listImages(reader, repository));
    failures.push(...(found?.failures ?? []));
    if (areNamed && found?.images.length === 0 && found.failures.length === 0)
      failures.push({ what: formatRepository(repository), problem: "no tag of it points at an image" });
    return found?.images ?? [];
  });
  if (repositories.length > 0 && failures.length === 0 && listed.flat().length === 0) {
    const what = repositories.slice(0, 5).map(formatRepository).join(", ");
    failures.push({ what, problem: `no tag of ${repositories.length} repositories points at an image` });
  }
  const visited = await mapConcurrently(visits, listed.flat(), ({ repository, digest, tags }) =>
    attempt(formatReference({ ...repository, digest }), async () => {
      const image = await fetchImageFacts(reader, { ...repository, digest });
      const evidence = await collectEvidence(reader, repository, digest, policy.policy.signers, { now });
      const facts = describeImage(image, tags, evidence, policy);
      return { result: await visit({ client: reader, facts, image, evidence }) };
    }),
  );
  // They come as they come: whoever compares two runs wants them in one order.
  const sorted = failures.toSorted((a, b) => (a.what < b.what ? -1 : a.what > b.what ? 1 : 0));
  return { visited: visited.flatMap((each) => (each === undefined ? [] : [each.result])), failures: sorted };
}

interface ListedImage {
  repository: Repository;
  digest: Digest;
  tags: string[];
}

async function listImages(
  client: RegistryClient,
  repository: Repository,
): Promise<{ images: ListedImage[]; failures: FleetFailure[] }> {
  const { images, unreadable } = await listTaggedImages(client, repository);
  return {
    images: [...images].map(([digest, tags]) => ({ repository, digest, tags })),
    failures: unreadable.map(({ tag, why }) => ({ what: formatReference({ ...repository, tag }), problem: why })),
  };
}
