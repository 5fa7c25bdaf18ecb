import { createAuthorizedTransport } from "./auth.ts";
import { copyBlob } from "./blob-copy.ts";
import type { RegistryClient, RegistryClientOptions, ResolveOptions } from "./client.ts";
import { contentFrom } from "./content.ts";
import { createCredentialStore, preferIdentities } from "./credentials.ts";
import { type DownloadContext, openVerifiedBlob, readVerifiedBlob } from "./download.ts";
import { plainHttpRules } from "./host-settings.ts";
import { deleteManifest, getManifest, getManifestBytes, hasManifest, imageNotFound } from "./manifests.ts";
import type { Digest } from "./oci/digest.ts";
import type { Reference } from "./oci/reference.ts";
import { createManifestPusher } from "./push.ts";
import { createReferrers } from "./referrers.ts";
import { listRepositories } from "./repository-list.ts";
import { readTag, setTag } from "./tag.ts";
import { listTags } from "./tag-list.ts";
import { createTransport, type TransportOptions } from "./transport.ts";
import { headBlob, requestMount, uploadBlob } from "./upload.ts";

/** What {@link RegistryClient.fetchBlob} holds in memory unless told otherwise. Bytes. */
const defaultMaxBlob = 64 * 1024 * 1024;

/** Work with a client that is closed when it is over, however it ends. */
export async function withRegistryClient<T>(
  options: Parameters<typeof createRegistryClient>[0],
  work: (client: RegistryClient) => Promise<T>,
): Promise<T> {
  const client = createRegistryClient(options);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/**
 * A client for any number of registries, by the OCI distribution specification 1.1. To be closed: it holds connections.
 * Tests hand in a `sleep`, so as not to wait between tries.
 * @throws UserError `proxy-invalid`, `host-settings-invalid`
 */
export function createRegistryClient(given: RegistryClientOptions & Pick<TransportOptions, "sleep">): RegistryClient {
  const options = { ...given, plainHttp: plainHttpRules(given) };
  const transport = createTransport(options);
  const credentials = preferIdentities(createCredentialStore(options), options);
  const authorized = createAuthorizedTransport(transport, credentials, options);
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
    // A tag's digest is computed from its manifest, which costs one request as well: a HEAD would give the registry's
    // word for it.
    return (await getManifest(context, reference))?.manifest.digest;
  }

  return {
    fetchManifest,
    resolve,
    fetchBlob: (repository, descriptor, maxBytes = defaultMaxBlob) =>
      readVerifiedBlob(context, repository, descriptor, maxBytes),
    openBlob: (repository, descriptor) => openVerifiedBlob(context, repository, descriptor),
    hasBlob: (repository, digest) => headBlob(context, repository, digest),
    pushBlob: (repository, descriptor, content, options) =>
      uploadBlob(
        context,
        repository,
        descriptor,
        contentFrom(`what is to be uploaded as ${descriptor.digest}`, content),
        options,
      ),
    copyBlob: (from, to, descriptor, options) => copyBlob(context, from, to, descriptor, options),
    mountBlob: (repository, digest, from) => requestMount(context, repository, digest, from),
    pushManifest,
    pushReferrers,
    readTag: (repository, tag) => readTag(context, repository, tag),
    setTag: (repository, tag, manifest, expected, seen) => setTag(context, repository, tag, manifest, expected, seen),
    listReferrers: (repository, subject, options) => referrers.list(repository, subject, options),
    listTags: (repository) => listTags(context, repository),
    listRepositories: (below) => listRepositories(context, below),
    deleteManifest: (repository, digest) => deleteManifest(context, repository, digest),
    traffic: transport.traffic,
    close: () => transport.close(),
  };
}
