import { InfrastructureError } from "@goldenpath/foundation/errors";
import { answerError } from "./answers.ts";
import type { ListOptions } from "./client.ts";
import type { DownloadContext } from "./download.ts";
import { registryEndpoint } from "./endpoint.ts";
import { encodeIndex, fallbackTag, hasAll, mergeIntoIndex, referrerDescriptor } from "./fallback-index.ts";
import { getManifestBytes, hasManifest, mayRead, putManifest } from "./manifests.ts";
import { type Digest, digestOf } from "./oci/digest.ts";
import { type Descriptor, type ImageIndex, type Manifest, mediaTypes } from "./oci/manifest.ts";
import { formatReference, formatRepository, type Repository } from "./oci/reference.ts";
import { fetchPages } from "./pages.ts";
import { serialise } from "./queue.ts";
import { classifyReferrersAnswer, type ReferrerList, readFallbackList, readReferrersPage } from "./referrer-list.ts";
import { writeCondition } from "./tag.ts";

/** A manifest with a subject, after its push; `isPromised`: the registry answered with `OCI-Subject`, so that it would list it by itself. */
export interface PushedReferrer {
  manifest: Manifest;
  isPromised: boolean;
}

export interface Referrers {
  list(repository: Repository, subject: Digest, options?: ListOptions): Promise<Descriptor[]>;
  /** To be called after the push of manifests that have this subject: makes sure that the subject's list has them. */
  announce(repository: Repository, subject: Digest, pushed: readonly PushedReferrer[]): Promise<void>;
}

/** A fallback list, as far as this client has to do with it. */
interface OwnList {
  where: string;
  repository: Repository;
  subject: Digest;
  /** What this client put there, to be put back should another client overwrite it. */
  entries: Map<Digest, Descriptor>;
  /** Those of them that were there at a second look. */
  settled: Set<Digest>;
  /** The update under way: whatever comes meanwhile joins it, or waits for it and is written with all else that came. */
  update: Promise<void> | undefined;
}

/** How often a fallback list is written anew when others write it at the same time. */
const maxUpdates = 12;
/**
 * After a write, another client that had read the list before may still write it without ours: how long it is waited until a second look, in milliseconds (up to
 * twice that, by chance). Another client takes about as long as this one from its reading to its writing; so on a slow registry it is that time twice.
 */
const settleTime = { least: 150, most: 1500 };

/**
 * The referrers of subjects: by the API where the registry has one, and otherwise in the fallback tag, which this client then writes.
 *
 * Whether there is an API is found out once for each repository, not for each host: Artifactory, Nexus, GitLab and gateways serve repositories of one host from
 * different places. It costs at most one request for each.
 *
 * What a fallback tag can promise: nothing is lost among any number of clients that write it as this one does where the registry reads If-Match and If-None-Match.
 * Where it does not (all that are known), a writer that stops between its reading and its writing for longer than the others wait takes their entries away, and so
 * does a client that never looks again (most others). What this client wrote it puts back for as long as it writes to that list; a reader that must not miss
 * anything cannot know.
 */
export function createReferrers(context: DownloadContext): Referrers {
  /**
   * By repository: `proven` has listed something that was pushed; `absent` has no such route; `unkept` promised to list what was pushed, and did not. Found out
   * once.
   */
  const api = new Map<string, "proven" | "absent" | "unkept">();
  /** Repositories whose API has given a list: there, a refusal is one. */
  const served = new Set<string>();
  const lists = new Map<string, OwnList>();
  /** By repository and kind of condition: the registry has refused a write for it, so that it reads it. */
  const compares = new Set<string>();

  /** Undefined where the registry does not serve the API. */
  async function listByApi(repository: Repository, subject: Digest): Promise<Descriptor[] | undefined> {
    const found = new Map<Digest, Descriptor>();
    let isServed = true;
    let isFirst = true;
    const url = new URL(`${repository.name}/referrers/${subject}`, registryEndpoint(repository.registry, context.plainHttp));
    await fetchPages(context, repository, url, mediaTypes.ociIndex, async (response) => {
      const where = `of the referrers of ${formatReference({ ...repository, digest: subject })}`;
      const answer = classifyReferrersAnswer(response);
      const page = answer === "list" ? readReferrersPage(response, where) : undefined;
      if (page !== undefined) {
        noteDropped(page, where);
        for (const descriptor of page.index.manifests) found.set(descriptor.digest, descriptor);
        isFirst = false;
        served.add(formatRepository(repository));
        return true;
      }
      // Where the first page was there, the API is: a list that ends before its end would leave evidence out.
      if (!isFirst) throw answerError(response, repository, "pull from", `a further page ${where}`);
      const isRefused =
        answer === "unless-unreadable" && (served.has(formatRepository(repository)) || !(await mayRead(context, repository, subject)));
      if (answer === "error" || isRefused) throw answerError(response, repository, "pull from", `the list ${where}`);
      isServed = false;
      // A page of something else (a gateway's, for a while) says not much.
      const isRoute = answer === "unless-unreadable" || (typeof answer === "object" && answer.absent === "route");
      if (isRoute && api.get(formatRepository(repository)) === undefined) api.set(formatRepository(repository), "absent");
      return false;
    });
    return isServed ? [...found.values()] : undefined;
  }

  /** `other`: there is something at the tag that is neither a list nor the subject itself. */
  async function readFallback(
    repository: Repository,
    subject: Digest,
  ): Promise<{ index: ImageIndex | undefined; exists: boolean; other?: boolean; etag: string | undefined }> {
    const reference = { ...repository, tag: fallbackTag(subject) };
    const fetched = await getManifestBytes(context, reference);
    if (fetched === undefined) return { index: undefined, exists: false, etag: undefined };
    const where = formatReference(reference);
    const list = readFallbackList(fetched.bytes, subject, where);
    if (typeof list === "string") {
      context.debug(`${where} is no list of referrers: there are none by it`);
      return { index: undefined, exists: true, other: list === "other", etag: fetched.etag };
    }
    noteDropped(list, where);
    return { index: list.index, exists: true, etag: fetched.etag };
  }

  function noteDropped({ dropped }: ReferrerList, where: string): void {
    if (dropped > 0)
      context.note(
        `${dropped} ${dropped === 1 ? "entry" : "entries"} ${where.startsWith("of ") ? where : `of ${where}`} cannot be read, and ${dropped === 1 ? "is" : "are"} passed over`,
      );
  }

  async function list(repository: Repository, subject: Digest, options: ListOptions = {}): Promise<Descriptor[]> {
    const known = api.get(formatRepository(repository));
    const listed = known === "absent" ? undefined : await listByApi(repository, subject);
    // Some registries serve the API, and list nothing that they were not told by the fallback tag.
    if (listed !== undefined && listed.length > 0 && known !== "unkept") return listed;
    if (options.hasFallbackTag === false) return listed ?? [];
    const { index } = await readFallback(repository, subject);
    return [...new Map([...(index?.manifests ?? []), ...(listed ?? [])].map((each) => [each.digest, each])).values()];
  }

  async function announce(repository: Repository, subject: Digest, pushed: readonly PushedReferrer[]): Promise<void> {
    const promised = pushed.filter((each) => each.isPromised);
    const isKept =
      promised.length > 0 && (await serialise(`api ${formatRepository(repository)}`, () => isListed(repository, subject, promised)));
    const unlisted = isKept ? pushed.filter((each) => !each.isPromised) : pushed;
    await addToFallback(
      repository,
      subject,
      unlisted.map(({ manifest }) => referrerDescriptor(manifest)),
    );
  }

  /** The header promises that the registry lists the referrer. Some send it and do not; so the first promise of a repository is checked. */
  async function isListed(repository: Repository, subject: Digest, promised: readonly PushedReferrer[]): Promise<boolean> {
    const name = formatRepository(repository);
    const known = api.get(name);
    // `absent` was said before there was anything here; who promises now has the API after all, or is found out.
    if (known === "proven" || known === "unkept") return known === "proven";
    const listed = new Set((await listByApi(repository, subject))?.map((each) => each.digest));
    const isKept = promised.every(({ manifest }) => listed.has(manifest.digest));
    api.set(name, isKept ? "proven" : "unkept");
    return isKept;
  }

  async function addToFallback(repository: Repository, subject: Digest, descriptors: readonly Descriptor[]): Promise<void> {
    if (descriptors.length === 0) return;
    const where = formatReference({ ...repository, tag: fallbackTag(subject) });
    const own = lists.get(where) ?? { where, repository, subject, entries: new Map(), settled: new Set(), update: undefined };
    lists.set(where, own);
    for (const each of descriptors) {
      own.entries.set(each.digest, each);
      own.settled.delete(each.digest);
    }
    while (!descriptors.every((each) => own.settled.has(each.digest))) {
      own.update ??= updateFallback(own).finally(() => {
        own.update = undefined;
      });
      await own.update;
    }
  }

  /** Writes and looks again, until the list has all that this client put there: a read, a write and a read, where nobody else writes. */
  async function updateFallback(own: OwnList): Promise<void> {
    for (let attempt = 1; attempt <= maxUpdates; attempt++) {
      const begun = Date.now();
      const turn = await serialise(own.where, () => takeTurn(own));
      for (const digest of turn.listed) own.settled.add(digest);
      if (turn.kind === "listed") return;
      if (attempt > 1) context.debug(`${own.where}: another client wrote the list of referrers at the same time; writing it again`);
      const least = Math.min(Math.max(2 * (Date.now() - begun), settleTime.least), settleTime.most);
      await context.transport.wait(least * (1 + Math.random()));
    }
    // The last write has not been looked at yet.
    const { index } = await readFallback(own.repository, own.subject);
    if (hasAll(index, [...own.entries.keys()])) {
      for (const digest of own.entries.keys()) own.settled.add(digest);
      return;
    }
    throw new InfrastructureError(
      `the list of referrers at ${own.where} could not be written: other clients overwrite it (tried ${maxUpdates} times)`,
      { code: "registry-error", attempts: maxUpdates, wayOut: "Run again when nobody else pushes referrers of the same image." },
    );
  }

  /** One turn of read, merge and write. `listed`: all of this client's entries are there, and stay there as far as can be known. */
  async function takeTurn(own: OwnList): Promise<{ kind: "listed" | "written" | "refused"; listed: Digest[] }> {
    const before = await readFallback(own.repository, own.subject);
    // Somebody's tag of that name is not ours to move: the specification has the client report it.
    if (before.other === true) {
      throw new InfrastructureError(`${own.where} is not an index of referrers, and is somebody's tag`, {
        code: "manifest-invalid",
        safeToRetry: false,
        wayOut: "Delete that tag, or keep the image in a repository of its own.",
      });
    }
    const entries = [...own.entries.values()];
    const digests = entries.map((each) => each.digest);
    if (hasAll(before.index, digests)) return { kind: "listed", listed: digests };
    // Where the subject itself is seen, nobody can tell whether there is such a tag: any condition could be one that never holds. Whoever wrote meanwhile is seen at the second look.
    const condition = before.exists && before.index === undefined ? {} : writeCondition(before.exists, before.etag);
    const kind = `${formatRepository(own.repository)} ${Object.keys(condition).join()}`;
    const write = async (base: ImageIndex | undefined): Promise<boolean> => {
      const bytes = encodeIndex(mergeIntoIndex(base, entries), own.where);
      const manifest = { bytes, mediaType: mediaTypes.ociIndex, digest: digestOf(bytes) };
      return (await putManifest(context, own.repository, fallbackTag(own.subject), manifest, condition)).status !== 412;
    };
    const isWritten = await write(before.index).catch(async (error: unknown) => {
      // Registries take no index that names a manifest that has been deleted since: such entries go, and nothing else does.
      if (before.index === undefined || !(error instanceof InfrastructureError) || error.code !== "registry-error") throw error;
      const live = await withoutDeleted(own.repository, before.index);
      if (live.manifests.length === before.index.manifests.length) throw error;
      return write(live);
    });
    if (!isWritten) {
      compares.add(kind);
      return { kind: "refused", listed: [] };
    }
    // Where the registry compares, whoever read before this write has to read again, and no second look is needed.
    return compares.has(kind) ? { kind: "listed", listed: digests } : { kind: "written", listed: [] };
  }

  async function withoutDeleted(repository: Repository, index: ImageIndex): Promise<ImageIndex> {
    const manifests: Descriptor[] = [];
    for (const each of index.manifests) if (await hasManifest(context, repository, each.digest)) manifests.push(each);
    return { ...index, manifests };
  }

  return { list, announce };
}
