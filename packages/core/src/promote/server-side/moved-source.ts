import { isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { isSameRepository, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";

/**
 * A client that reads at `to` what is gone at `from`, by digest only: the same digest is the same bytes, wherever they
 * are. A product that moves takes the image away from where the promotion reads it, and may have been asked by a run
 * that was killed since.
 *
 * Referrers stay in the source's list, of whose image nothing is known any more; for an image that is gone there, the
 * destination's are listed as well, for a product that takes them along. Whoever believes none of them unverified loses
 * nothing by it.
 */
export function readWhereMoved(client: RegistryClient, from: Repository, to: Repository): RegistryClient {
  const isMoved = (repository: Repository): boolean => isSameRepository(repository, from);
  const orThere = async <T>(repository: Repository, read: (where: Repository) => Promise<T>): Promise<T> => {
    try {
      return await read(repository);
    } catch (error) {
      if (!isMoved(repository) || !isKnownError(error) || !["image-not-found", "blob-not-found"].includes(error.code))
        throw error;
      return read(to).catch((second: unknown) => {
        // At neither place: what is said is about the one that was asked for.
        throw isKnownError(second) && second.code === error.code ? error : second;
      });
    }
  };
  return {
    ...client,
    get traffic() {
      return client.traffic;
    },
    fetchManifest: (reference) =>
      reference.digest === undefined
        ? client.fetchManifest(reference)
        : orThere(reference, (where) =>
            client.fetchManifest({ ...digestOf(reference), registry: where.registry, name: where.name }),
          ),
    async resolve(reference, options) {
      const found = await client.resolve(reference, options);
      if (found !== undefined || reference.digest === undefined || !isMoved(reference)) return found;
      return client.resolve({ ...to, digest: reference.digest });
    },
    fetchBlob: (repository, descriptor, maxBytes) =>
      orThere(repository, (where) => client.fetchBlob(where, descriptor, maxBytes)),
    openBlob: (repository, descriptor) => orThere(repository, (where) => client.openBlob(where, descriptor)),
    hasBlob: async (repository, digest) =>
      (await client.hasBlob(repository, digest)) || (isMoved(repository) && (await client.hasBlob(to, digest))),
    async listReferrers(repository, subject, options) {
      const listed = await client.listReferrers(repository, subject, options);
      if (!isMoved(repository) || (await client.resolve({ ...from, digest: subject })) !== undefined) return listed;
      const known = new Set(listed.map(({ digest }) => digest));
      return [
        ...listed,
        ...(await client.listReferrers(to, subject, options)).filter(({ digest }) => !known.has(digest)),
      ];
    },
  };
}

function digestOf({ digest }: Reference): Pick<Reference, "digest"> {
  return digest === undefined ? {} : { digest };
}
