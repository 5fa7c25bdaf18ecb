import { InfrastructureError } from "../errors.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { type Descriptor, type ImageIndex, type Manifest, mediaTypes, parseManifest } from "../oci/manifest.ts";
import { formatReference, formatRepository, type Repository } from "../oci/reference.ts";
import { answerError, hasProblem } from "./answers.ts";
import type { DownloadContext } from "./download.ts";
import { registryEndpoint } from "./endpoint.ts";
import { encodeIndex, fallbackTag, hasAll, mergeIntoIndex, referrerDescriptor } from "./fallback-index.ts";
import { type FetchedManifest, getManifest, hasManifest, putManifest } from "./manifests.ts";
import { fetchPages } from "./pages.ts";
import { serialise } from "./queue.ts";
import { retryDelay } from "./retry.ts";

export interface Referrers {
  list(repository: Repository, subject: Digest): Promise<Descriptor[]>;
  /** To be called after the push of a manifest with a subject, with whether the registry answered with `OCI-Subject`. */
  announce(repository: Repository, subject: Digest, manifest: Manifest, acknowledged: boolean): Promise<void>;
}

/** How often a fallback list is written anew when others write it at the same time. */
const maxUpdates = 12;
/** After a write, another client that had read the list before may still write it without ours. Milliseconds until a second look, up to twice that. */
const settleTime = 150;

export function createReferrers(context: DownloadContext): Referrers {
  /** By repository: `proven` has listed something that was pushed; `absent` has no such route. Found out once. */
  const api = new Map<string, "proven" | "absent">();
  /** By list: what this client put there, to be put back should another client overwrite it. */
  const written = new Map<string, Map<Digest, Descriptor>>();

  /** Undefined where the registry does not serve the API. */
  async function listByApi(repository: Repository, subject: Digest): Promise<Descriptor[] | undefined> {
    const found = new Map<Digest, Descriptor>();
    let served = true;
    const url = new URL(`${repository.name}/referrers/${subject}`, registryEndpoint(repository.registry, context.plainHttp));
    await fetchPages(context, repository, url, mediaTypes.ociIndex, (response) => {
      const where = `of the referrers of ${formatReference({ ...repository, digest: subject })}`;
      const contentType = response.header("content-type");
      // 400, 405 and 501: gateways and older registries that take the path for something else. Any other type than an index: a page of their own.
      const isOther = response.status === 200 && contentType?.split(";")[0]?.trim().toLowerCase() !== mediaTypes.ociIndex;
      if ([400, 404, 405, 501].includes(response.status) || isOther) {
        served = false;
        // A repository or image that does not exist yet says nothing about the API.
        const isMissing = hasProblem(response, "NAME_UNKNOWN") || hasProblem(response, "MANIFEST_UNKNOWN");
        if (!isMissing) api.set(formatRepository(repository), "absent");
        return false;
      }
      if (response.status !== 200) throw answerError(response, repository, "pull from", `the list ${where}`);
      const page = parseManifest(response.bytes, contentType, where);
      if (page.kind !== "index") throw notAnIndex(where);
      for (const descriptor of page.manifest.manifests) found.set(descriptor.digest, descriptor);
      return true;
    });
    return served ? [...found.values()] : undefined;
  }

  async function readFallback(
    repository: Repository,
    subject: Digest,
  ): Promise<{ index: ImageIndex | undefined; etag: string | undefined }> {
    const reference = { ...repository, tag: fallbackTag(subject) };
    const fetched: FetchedManifest | undefined = await getManifest(context, reference);
    if (fetched === undefined) return { index: undefined, etag: undefined };
    if (fetched.manifest.kind !== "index") throw notAnIndex(formatReference(reference));
    return { index: fetched.manifest.manifest, etag: fetched.etag };
  }

  async function list(repository: Repository, subject: Digest): Promise<Descriptor[]> {
    const isAbsent = api.get(formatRepository(repository)) === "absent";
    const listed = isAbsent ? undefined : await listByApi(repository, subject);
    // Some registries serve the API, and list nothing that they were not told by the fallback tag.
    if (listed !== undefined && listed.length > 0) return listed;
    const { index } = await readFallback(repository, subject);
    return [...new Map(index?.manifests.map((each) => [each.digest, each])).values()];
  }

  async function announce(repository: Repository, subject: Digest, manifest: Manifest, acknowledged: boolean): Promise<void> {
    const name = formatRepository(repository);
    if (acknowledged) {
      // The header promises that the registry lists the referrer. Some send it and do not; so the first promise of a repository is checked.
      if (api.get(name) === "proven") return;
      const listed = await listByApi(repository, subject);
      if (listed?.some((each) => each.digest === manifest.digest) === true) {
        api.set(name, "proven");
        return;
      }
    }
    await addToFallback(repository, subject, referrerDescriptor(manifest));
  }

  async function addToFallback(repository: Repository, subject: Digest, descriptor: Descriptor): Promise<void> {
    const where = formatReference({ ...repository, tag: fallbackTag(subject) });
    const own = written.get(where) ?? new Map<Digest, Descriptor>();
    written.set(where, own);
    own.set(descriptor.digest, descriptor);
    for (let attempt = 1; attempt <= maxUpdates; attempt++) {
      if (await serialise(where, () => updateFallback(repository, subject, own, where))) {
        // Without a registry that compares before it writes there is no certainty; a second look after a while finds what a slower writer took away.
        await context.transport.wait(settleTime * (1 + Math.random()));
        const { index } = await readFallback(repository, subject);
        if (hasAll(index, [...own.keys()])) return;
      }
      context.debug(`${where}: another client wrote the list of referrers at the same time; writing it again`);
      await context.transport.wait(retryDelay(1, undefined, Math.random()));
    }
    throw new InfrastructureError(
      `the list of referrers at ${where} could not be written: other clients overwrite it (tried ${maxUpdates} times)`,
      { code: "registry-error", attempts: maxUpdates, wayOut: "Run again when nobody else pushes referrers of the same image." },
    );
  }

  /** One turn of read, merge, write, and read again. False when somebody else wrote in between. */
  async function updateFallback(
    repository: Repository,
    subject: Digest,
    own: ReadonlyMap<Digest, Descriptor>,
    where: string,
  ): Promise<boolean> {
    const before = await readFallback(repository, subject);
    if (hasAll(before.index, [...own.keys()])) return true;
    const condition: Record<string, string> =
      before.index === undefined ? { "if-none-match": "*" } : before.etag === undefined ? {} : { "if-match": before.etag };
    // A refusal by the condition (412) needs no look of its own: the list is then another than the one that was to be written.
    const write = async (base: ImageIndex | undefined): Promise<ImageIndex> => {
      const index = mergeIntoIndex(base, [...own.values()]);
      const bytes = encodeIndex(index, where);
      const manifest = { bytes, mediaType: mediaTypes.ociIndex, digest: digestOf(bytes) };
      await putManifest(context, repository, fallbackTag(subject), manifest, condition);
      return index;
    };
    const index = await write(before.index).catch(async (error: unknown) => {
      // Registries take no index that names a manifest that has been deleted since: such entries go, and nothing else does.
      const live = before.index === undefined ? undefined : await withoutDeleted(repository, before.index);
      if (live === undefined || live.manifests.length === before.index?.manifests.length) throw error;
      return write(live);
    });
    const after = await readFallback(repository, subject);
    return hasAll(
      after.index,
      index.manifests.map((each) => each.digest),
    );
  }

  async function withoutDeleted(repository: Repository, index: ImageIndex): Promise<ImageIndex> {
    const manifests: Descriptor[] = [];
    for (const each of index.manifests) if (await hasManifest(context, repository, each.digest)) manifests.push(each);
    return { ...index, manifests };
  }

  return { list, announce };
}

function notAnIndex(where: string): InfrastructureError {
  return new InfrastructureError(`${where} is not an index of referrers`, { code: "manifest-invalid", safeToRetry: false });
}
