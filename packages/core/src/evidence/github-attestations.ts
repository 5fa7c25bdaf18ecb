import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { UserError } from "@goldenpath/foundation/errors";
import { findNextLink } from "@goldenpath/registry-client/links";
import { digestAlgorithm } from "@goldenpath/registry-client/oci/digest";
import type { TransportResponse } from "@goldenpath/registry-client/transport";
import { z } from "zod";
import type { BesideBundle, BundleSource } from "../signing/bundles-beside.ts";
import { maxBundleBytes } from "../signing/schemes/scheme.ts";
import { readClaim } from "../signing/sigstore.ts";
import {
  askGithub,
  type GithubQuestion,
  type GithubSurroundings,
  githubFailed,
  githubUrl,
  readGithubAnswer,
} from "./ask-github.ts";
import { decodeSnappy } from "./snappy.ts";

/** A repository on GitHub whose attestations are asked for. */
export interface GithubRepository {
  owner: string;
  name: string;
}

/** `OWNER/REPO`, or why it is none. */
export function parseGithubRepository(text: string): GithubRepository | { problem: string } {
  const [, owner, name] = /^([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)\/([A-Za-z0-9._-]+)$/.exec(text) ?? [];
  if (owner === undefined || name === undefined || /^\.+$/.test(name)) return { problem: "expected OWNER/REPO" };
  return { owner, name };
}

/** Pages of 100; more attestations of one digest than these have are somebody's flood. */
const maxPages = 5;
const maxPageBytes = 4 * maxBundleBytes;

const maxRepositoryBytes = 1024 * 1024;

const repositorySchema = z.object({ full_name: z.string() });
const answerSchema = z.object({
  attestations: z.array(
    z.object({
      bundle: z.record(z.string(), z.unknown()).nullish(),
      bundle_url: z.string().nullish(),
    }),
  ),
});

/**
 * The attestations that GitHub keeps of a digest for a repository (`actions/attest-build-provenance`), by its REST API
 * (`GITHUB_API_URL`, with `GITHUB_TOKEN` or `GH_TOKEN`). They are a stranger's until they are verified: an owner's API
 * says that they are there, and nothing of whom they are by.
 * https://docs.github.com/rest/repos/attestations
 * @throws when asked: UserError `github-url-invalid`, `github-unauthorized`; InfrastructureError `github-unreachable`,
 *   `github-error`
 */
export function readGithubAttestations(repository: GithubRepository, context: GithubSurroundings): BundleSource {
  const { owner, name } = repository;
  let isShown: Promise<void> | undefined;
  return async (subject) => {
    // GitHub knows subjects by SHA-256 alone.
    if (digestAlgorithm(subject) !== "sha256") return [];
    const what = `attestations of ${subject} for ${owner}/${name}`;
    const question = { what, permission: "attestations: read", readUpTo: maxPageBytes, mayBeAbsent: true };
    let url: URL | undefined = githubUrl(context.env, ["repos", owner, name, "attestations", subject]);
    url.searchParams.set("per_page", "100");
    const found: BesideBundle[] = [];
    const budget: Budget = { left: maxFetchedBytes };
    for (let page = 1; url !== undefined; page++) {
      if (page > maxPages)
        throw githubFailed(what, `${url.host} has more than ${maxPages} pages of them`, { safeToRetry: false });
      const answer: TransportResponse = await askGithub(url, question, context);
      if (answer.status === 404) {
        isShown ??= requireShown(repository, context);
        await isShown;
        context.ports.log.notice(`GitHub has no ${what}`);
        return found;
      }
      found.push(...(await readAnswer(answer, question, budget, context)));
      url = nextPage(answer, url, what);
    }
    return found;
  };
}

/**
 * GitHub answers 404 for what is not there, and for what it hides: only where the repository is shown does it mean that
 * there are none. A failure among them would otherwise be passed over by whoever may not read.
 */
async function requireShown({ owner, name }: GithubRepository, context: GithubSurroundings): Promise<void> {
  const what = `facts of repository ${owner}/${name}`;
  const question = { what, permission: "metadata: read", readUpTo: maxRepositoryBytes, mayBeAbsent: true };
  const answer = await askGithub(githubUrl(context.env, ["repos", owner, name]), question, context);
  if (answer.status === 404) {
    throw new UserError(`GitHub does not show repository ${owner}/${name}: what it keeps for it is not known`, {
      code: "github-unauthorized",
      wayOut: "Check the name, and give GITHUB_TOKEN a token that may read its attestations (`attestations: read`).",
    });
  }
  readGithubAnswer(answer, repositorySchema, question);
}

/** Of all bundles of one digest that are listed by their addresses, decoded. Bytes. */
const maxFetchedBytes = 4 * maxBundleBytes;
interface Budget {
  left: number;
}

/** Bundles of one page that are fetched at the same time. */
const concurrency = 4;

async function readAnswer(
  answer: TransportResponse,
  question: GithubQuestion,
  budget: Budget,
  context: GithubSurroundings,
): Promise<BesideBundle[]> {
  const { attestations } = readGithubAnswer(answer, answerSchema, question);
  return mapConcurrently(concurrency, attestations, async ({ bundle, bundle_url: url }) => {
    const bytes = bundle
      ? new TextEncoder().encode(JSON.stringify(bundle))
      : await fetchBundle(url ?? undefined, question, budget, context);
    return { bytes, predicateType: claimedType(bytes) };
  });
}

/**
 * One that the list has by its address alone, in GitHub's store of them: JSON, as a block of Snappy, which is how
 * `gh attestation` reads it as well.
 */
async function fetchBundle(
  address: string | undefined,
  { what }: GithubQuestion,
  budget: Budget,
  context: GithubSurroundings,
): Promise<Uint8Array> {
  // What is listed and not handed out could be what is said against the image: it is not passed over.
  const failed = (why: string): Error =>
    githubFailed(what, why, {
      safeToRetry: false,
      wayOut: "Get them with `gh attestation download`, and give the file by `bundle`.",
    });
  if (address === undefined) throw failed("GitHub lists one without its bundle");
  const url = URL.parse(address);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url?.hostname ?? "");
  if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && isLocal)))
    throw failed("GitHub lists one at an address that is none");
  const tooMuch = `there are more than ${maxFetchedBytes} bytes of them`;
  if (budget.left <= 0) throw failed(tooMuch);
  const question = { what, permission: "none", readUpTo: maxBundleBytes, isElsewhere: true } as const;
  const { bytes } = await askGithub(url, question, context);
  const decoded = decodeSnappy(bytes, maxBundleBytes);
  if (decoded === undefined) throw failed("a bundle of them is not as GitHub keeps it");
  budget.left -= decoded.byteLength;
  if (budget.left < 0) throw failed(tooMuch);
  return decoded;
}

function claimedType(bytes: Uint8Array): string {
  try {
    return readClaim(bytes).predicateType;
  } catch (error) {
    // What it is wrong with is said where it is verified.
    if (error instanceof UserError) return "";
    throw error;
  }
}

/** GitHub pages by a cursor, and says where the next page is. */
function nextPage(answer: TransportResponse, current: URL, what: string): URL | undefined {
  const link = findNextLink(answer.header("link"));
  if (link === undefined) return undefined;
  const url = URL.parse(link, current.href);
  // The token goes nowhere else, and a part of the list is no answer.
  if (url?.origin !== current.origin)
    throw githubFailed(what, "the next page of them is on another host", { safeToRetry: false });
  return url;
}
