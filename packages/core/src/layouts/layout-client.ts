import { basename } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { contentFrom, createVerifiedContent } from "@goldenpath/registry-client/content";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type PinnedReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { LayoutSubject } from "./layout-subject.ts";
import { type ReadyImage, readAll, readLayout } from "./read-layout.ts";
import type { Storage } from "./storage.ts";

/**
 * The host of images that are in no registry. No name below `invalid` ever leads anywhere (RFC 2606): what would write
 * there fails, and no policy names it as a place.
 */
export const layoutHost = "oci-layout.invalid";

export interface LayoutImage {
  /** The same client, which has the layout's image as well: to be read, and never to be written beside. */
  client: RegistryClient;
  reference: PinnedReference;
}

/**
 * The one image of a layout, as if it lay in a registry of its own, which has nothing signed about it. Each blob is held
 * to its digest as it is read.
 * @throws UserError `image-not-found`: it is not the image that is meant; InfrastructureError `built-image-invalid`,
 *   `manifest-invalid`, `config-invalid`
 */
export async function openLayoutImage(
  storage: Storage,
  { path, digest: expected }: LayoutSubject,
  client: RegistryClient,
): Promise<LayoutImage> {
  const image = await readLayout(storage, () => false);
  const root = image.manifests.at(-1)?.digest as Digest;
  if (expected !== undefined && expected !== root) {
    throw new UserError(`the image in ${path} is ${root}, and not ${expected}`, {
      code: "image-not-found",
      wayOut: "Give the layout and the digest of one build: something else lies there.",
    });
  }
  const repository = { registry: layoutHost, name: nameOf(path) };
  return { client: serveLayout(image, client), reference: { ...repository, digest: root } };
}

/** Of the folder, or of the archive without its ending. */
function nameOf(path: string): string {
  const plain = basename(path.replace(/\/+$/, ""))
    .replace(/\.tar$/, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return plain === "" ? "image" : plain;
}

function serveLayout({ manifests, blobs }: ReadyImage, client: RegistryClient): RegistryClient {
  const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const isHere = ({ registry }: Repository): boolean => registry === layoutHost;
  const open = (descriptor: Descriptor): AsyncIterable<Uint8Array> => {
    const found = blobs.find((blob) => blob.descriptor.digest === descriptor.digest)?.open;
    if (found === undefined) throw notThere(`blob ${descriptor.digest}`);
    const what = `blob ${descriptor.digest} of the OCI layout`;
    return createVerifiedContent(contentFrom(what, found), descriptor).read(0, descriptor.size);
  };
  return {
    ...client,
    // A getter: a copy would stand still.
    get traffic() {
      return client.traffic;
    },
    fetchManifest: async (reference) => {
      if (!isHere(reference)) return client.fetchManifest(reference);
      const manifest = reference.digest === undefined ? undefined : byDigest.get(reference.digest);
      if (manifest === undefined) throw notThere(formatReference(reference));
      return manifest;
    },
    resolve: async (reference, options) => {
      if (!isHere(reference)) return client.resolve(reference, options);
      return reference.digest !== undefined && byDigest.has(reference.digest) ? reference.digest : undefined;
    },
    fetchBlob: async (repository, descriptor, maxBytes) => {
      if (!isHere(repository)) return client.fetchBlob(repository, descriptor, maxBytes);
      if (maxBytes !== undefined && descriptor.size > maxBytes)
        throw notThere(`blob ${descriptor.digest}, as small as it has to be,`);
      return readAll(open(descriptor));
    },
    openBlob: async (repository, descriptor) =>
      isHere(repository) ? open(descriptor) : client.openBlob(repository, descriptor),
    hasBlob: async (repository, digest) =>
      isHere(repository)
        ? blobs.some(({ descriptor }) => descriptor.digest === digest)
        : client.hasBlob(repository, digest),
    listReferrers: async (repository, subject, options) =>
      isHere(repository) ? [] : client.listReferrers(repository, subject, options),
    listTags: async (repository) => (isHere(repository) ? [] : client.listTags(repository)),
  };
}

function notThere(what: string): UserError {
  return new UserError(`${what} is not in the OCI layout`, { code: "image-not-found" });
}
