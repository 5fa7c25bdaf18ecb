import { answerError } from "./answers.ts";
import type { DownloadContext } from "./download.ts";
import { apiUrl } from "./endpoint.ts";
import { mayRead } from "./manifests.ts";
import type { Digest } from "./oci/digest.ts";
import { type Descriptor, type Manifest, mediaTypes } from "./oci/manifest.ts";
import { formatReference, formatRepository, type Repository } from "./oci/reference.ts";
import { fetchPages } from "./pages.ts";
import { serialise } from "./queue.ts";
import { classifyReferrersAnswer, noteDropped, readReferrersPage } from "./referrer-list.ts";
import type { TransportResponse } from "./transport.ts";

/**
 * What is known of a repository's API: `proven` has listed something that was pushed; `absent` has no such route;
 * `unkept` promised to list what was pushed, and did not.
 */
type Standing = "proven" | "absent" | "unkept";

export interface ReferrersApi {
  /** Undefined as long as nothing is known. */
  standing(repository: Repository): Standing | undefined;
  /** Undefined where the registry does not serve the API. */
  list(repository: Repository, subject: Digest): Promise<Descriptor[] | undefined>;
  /**
   * The header promises that the registry lists the referrer. Some send it and do not; so the first promise of a
   * repository is checked.
   */
  keepsPromise(repository: Repository, subject: Digest, promised: readonly Manifest[]): Promise<boolean>;
}

interface State {
  readonly context: DownloadContext;
  /** By repository. Found out once. */
  readonly standings: Map<string, Standing>;
  /** Repositories whose API has given a list: there, a refusal is one. */
  readonly served: Set<string>;
}

export function createReferrersApi(context: DownloadContext): ReferrersApi {
  const state: State = { context, standings: new Map(), served: new Set() };
  return {
    standing: (repository) => state.standings.get(formatRepository(repository)),
    list: (repository, subject) => listByApi(state, repository, subject),
    keepsPromise: (repository, subject, promised) =>
      serialise(`api ${formatRepository(repository)}`, () => checkPromise(state, repository, subject, promised)),
  };
}

async function listByApi(state: State, repository: Repository, subject: Digest): Promise<Descriptor[] | undefined> {
  const { context, served } = state;
  const found = new Map<Digest, Descriptor>();
  let isServed = true;
  let isFirst = true;
  const url = apiUrl(context, repository, `referrers/${subject}`);
  const where = `of the referrers of ${formatReference({ ...repository, digest: subject })}`;
  await fetchPages(context, repository, url, mediaTypes.ociIndex, async (response) => {
    const answer = classifyReferrersAnswer(response);
    const page = answer === "list" ? readReferrersPage(response, where) : undefined;
    if (page !== undefined) {
      noteDropped(context.note, page, where);
      for (const descriptor of page.index.manifests) found.set(descriptor.digest, descriptor);
      isFirst = false;
      served.add(formatRepository(repository));
      return true;
    }
    // Where the first page was there, the API is: a list that ends before its end would leave evidence out.
    if (!isFirst) throw answerError(response, repository, "pull from", `a further page ${where}`);
    await acceptAbsence(state, repository, subject, response, where);
    isServed = false;
    return false;
  });
  return isServed ? [...found.values()] : undefined;
}

/**
 * Notes what an answer that is no list says of the API. @throws where it says nothing of it: a refusal, or a registry
 * in trouble
 */
async function acceptAbsence(
  { context, standings, served }: State,
  repository: Repository,
  subject: Digest,
  response: TransportResponse,
  where: string,
): Promise<void> {
  const name = formatRepository(repository);
  const answer = classifyReferrersAnswer(response);
  const isRefused =
    answer === "unless-unreadable" && (served.has(name) || !(await mayRead(context, repository, subject)));
  if (answer === "error" || isRefused) throw answerError(response, repository, "pull from", `the list ${where}`);
  // A page of something else (a gateway's, for a while) says not much.
  const isRoute = answer === "unless-unreadable" || (typeof answer === "object" && answer.absent === "route");
  if (isRoute && standings.get(name) === undefined) standings.set(name, "absent");
}

async function checkPromise(
  state: State,
  repository: Repository,
  subject: Digest,
  promised: readonly Manifest[],
): Promise<boolean> {
  const name = formatRepository(repository);
  const known = state.standings.get(name);
  // `absent` was said before there was anything here; who promises now has the API after all, or is found out.
  if (known === "proven" || known === "unkept") return known === "proven";
  const listed = new Set((await listByApi(state, repository, subject))?.map((each) => each.digest));
  const isKept = promised.every(({ digest }) => listed.has(digest));
  state.standings.set(name, isKept ? "proven" : "unkept");
  return isKept;
}
