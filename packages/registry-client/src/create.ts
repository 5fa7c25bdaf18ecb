import { InfrastructureError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { answerError } from "./answers.ts";
import { createAuthorizedTransport } from "./auth.ts";
import type { BlobTransfer, RegistryClient, RegistryClientOptions, ResolveOptions, TransferOptions } from "./client.ts";
import { contentFrom } from "./content.ts";
import { createCredentialStore } from "./credentials.ts";
import { blobContent, type DownloadContext, openVerifiedBlob, readVerifiedBlob } from "./download.ts";
import { registryEndpoint } from "./endpoint.ts";
import { plainHttpRules } from "./host-settings.ts";
import { getManifest, getManifestBytes, hasManifest, imageNotFound } from "./manifests.ts";
import type { Digest } from "./oci/digest.ts";
import type { Descriptor } from "./oci/manifest.ts";
import { formatReference, type Reference, type Repository } from "./oci/reference.ts";
import { fetchPages } from "./pages.ts";
import { createManifestPusher } from "./push.ts";
import { createReferrers } from "./referrers.ts";
import { readTag, setTag } from "./tag.ts";
import { createTransport, type TransportOptions } from "./transport.ts";
import { headBlob, requestMount, uploadBlob } from "./upload.ts";
import { cancelUpload, startMount } from "./upload-session.ts";

/** What {@link RegistryClient.fetchBlob} holds in memory unless told otherwise. Bytes. */
const defaultMaxBlob = 64 * 1024 * 1024;

// Without a list it is one only for the name beside it: Go writes an empty list as null, and some servers leave it out.
const tagsSchema = z
  .looseObject({ name: z.string().optional(), tags: z.array(z.string()).nullish() })
  .refine(({ name, tags }) => tags !== undefined || name !== undefined, "it has neither a name nor tags");

/**
 * A client for any number of registries, by the OCI distribution specification 1.1. To be closed: it holds connections. Tests hand in a `sleep`, so as not to
 * wait between tries.
 * @throws UserError `proxy-invalid`, `host-settings-invalid`
 */
export function createRegistryClient(given: RegistryClientOptions & Pick<TransportOptions, "sleep">): RegistryClient {
  const options = { ...given, plainHttp: plainHttpRules(given) };
  const transport = createTransport(options);
  const authorized = createAuthorizedTransport(transport, createCredentialStore(options), options);
  const context: DownloadContext = {
    transport,
    authorized,
    plainHttp: options.plainHttp,
    debug: (message) => options.ports.log.debug(message),
    note: (message) => options.ports.log.warning(message),
  };
  const referrers = createReferrers(context);
  const { pushManifest, pushReferrers } = createManifestPusher(context, referrers);

  async function fetchManifest(reference: Reference) {
    const fetched = await getManifest(context, reference);
    if (fetched === undefined) throw imageNotFound(reference);
    return fetched.manifest;
  }

  async function resolve(reference: Reference, { wasThere = false }: ResolveOptions = {}): Promise<Digest | undefined> {
    if (reference.digest !== undefined) {
      const isThere =
        (await hasManifest(context, reference, reference.digest)) ||
        (wasThere && (await getManifestBytes(context, reference)) !== undefined);
      return isThere ? reference.digest : undefined;
    }
    // A tag's digest is computed from its manifest, which costs one request as well: a HEAD would give the registry's word for it.
    return (await getManifest(context, reference))?.manifest.digest;
  }

  async function copyBlob(from: Repository, to: Repository, descriptor: Descriptor, options: TransferOptions = {}): Promise<BlobTransfer> {
    // A mount of what is there costs no more than the question whether it is.
    const begun = await startMount(context, to, descriptor.digest, from);
    if (begun === "mounted") return "mounted";
    if (options.isMissing !== true && (await headBlob(context, to, descriptor.digest, "push"))) {
      if (begun !== undefined) await cancelUpload(context, begun);
      return "present";
    }
    await uploadBlob(context, to, descriptor, blobContent(context, from, descriptor), { ...options, begun, isMissing: true });
    return "copied";
  }

  async function listTags(repository: Repository): Promise<string[]> {
    const tags: string[] = [];
    const url = new URL(`${repository.name}/tags/list?n=1000`, registryEndpoint(repository.registry, context.plainHttp));
    await fetchPages(context, repository, url, "application/json", (response) => {
      // A repository without anything in it does not exist for most registries.
      if (response.status === 404) return false;
      if (response.status !== 200) throw answerError(response, repository, "pull from", "the list of tags");
      tags.push(...parseTags(response.bytes, repository));
      return true;
    });
    return [...new Set(tags)];
  }

  return {
    fetchManifest,
    resolve,
    fetchBlob: (repository, descriptor, maxBytes = defaultMaxBlob) => readVerifiedBlob(context, repository, descriptor, maxBytes),
    openBlob: (repository, descriptor) => openVerifiedBlob(context, repository, descriptor),
    hasBlob: (repository, digest) => headBlob(context, repository, digest),
    pushBlob: (repository, descriptor, content, options) =>
      uploadBlob(context, repository, descriptor, contentFrom(`what is to be uploaded as ${descriptor.digest}`, content), options),
    copyBlob,
    mountBlob: (repository, digest, from) => requestMount(context, repository, digest, from),
    pushManifest,
    pushReferrers,
    readTag: (repository, tag) => readTag(context, repository, tag),
    setTag: (repository, tag, manifest, expected, seen) => setTag(context, repository, tag, manifest, expected, seen),
    listReferrers: (repository, subject, options) => referrers.list(repository, subject, options),
    listTags,
    traffic: transport.traffic,
    close: () => transport.close(),
  };
}

function parseTags(bytes: Uint8Array, repository: Repository): string[] {
  try {
    return tagsSchema.parse(parseJson(new TextDecoder().decode(bytes))).tags ?? [];
  } catch (error) {
    throw new InfrastructureError(`the list of tags of ${formatReference(repository)} is malformed`, {
      code: "registry-error",
      cause: error,
    });
  }
}
