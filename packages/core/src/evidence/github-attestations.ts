import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { findNextLink } from "@goldenpath/registry-client/links";
import { digestAlgorithm } from "@goldenpath/registry-client/oci/digest";
import { createTransport, type TransportResponse } from "@goldenpath/registry-client/transport";
import { z } from "zod";
import { parseApiUrl } from "../policy/github.ts";
import type { BesideBundle, BundleSource } from "../signing/bundles-beside.ts";
import { maxBundleBytes } from "../signing/schemes/scheme.ts";
import { readClaim } from "../signing/sigstore.ts";

type Surroundings = Pick<Context, "ports" | "env" | "signal">;

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
export function readGithubAttestations({ owner, name }: GithubRepository, context: Surroundings): BundleSource {
  const { env, ports } = context;
  const token = env["GITHUB_TOKEN"] || env["GH_TOKEN"] || undefined;
  if (token !== undefined) ports.mask(token);
  return async (subject) => {
    // GitHub knows subjects by SHA-256 alone.
    if (digestAlgorithm(subject) !== "sha256") return [];
    const api = parseApiUrl(env["GITHUB_API_URL"]);
    const path = ["repos", owner, name, "attestations", subject].map(encodeURIComponent).join("/");
    let url: URL | undefined = new URL(`${api.pathname.replace(/\/+$/, "")}/${path}`, api);
    url.searchParams.set("per_page", "100");
    const found: BesideBundle[] = [];
    const what = `attestations of ${subject} for ${owner}/${name}`;
    for (let page = 1; url !== undefined; page++) {
      if (page > maxPages)
        throw failed(what, `${api.host} has more than ${maxPages} pages of them`, { safeToRetry: false });
      const answer: TransportResponse = await ask(url, what, token, context);
      if (answer.status === 404) {
        ports.log.notice(`GitHub has no ${what}, or does not show them to this token`);
        return found;
      }
      found.push(...readAnswer(answer, what));
      url = nextPage(answer, url, what);
    }
    return found;
  };
}

async function ask(
  url: URL,
  what: string,
  token: string | undefined,
  context: Surroundings,
): Promise<TransportResponse> {
  const { ports, env, signal } = context;
  const transport = createTransport({ ports, env, signal, attempts: 4, stallTimeout: 30_000 });
  try {
    const answer = await transport.send({
      method: "GET",
      url,
      headers: {
        accept: "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      staysOnHost: true,
      readUpTo: maxPageBytes,
    });
    if ([200, 404].includes(answer.status)) return answer;
    // By 403 GitHub says "too many requests" as well.
    const isLimited = answer.header("retry-after") !== undefined || answer.header("x-ratelimit-remaining") === "0";
    if ((answer.status === 401 || answer.status === 403) && !isLimited) {
      throw new UserError(`${url.host} does not show the ${what}: it answers ${answer.status}`, {
        code: "github-unauthorized",
        wayOut: "Give GITHUB_TOKEN a token that may read the repository's attestations (`attestations: read`).",
      });
    }
    throw failed(what, isLimited ? "the rate limit is used up" : `${url.host} answers ${answer.status}`);
  } catch (error) {
    if (!(error instanceof InfrastructureError) || ["github-error", "aborted"].includes(error.code)) throw error;
    if (error.code === "registry-unreachable") {
      throw new InfrastructureError(`the ${what} can't be had: ${url.host} can't be reached`, {
        code: "github-unreachable",
        cause: error,
        wayOut: "Check the network, the proxy settings and GITHUB_API_URL, then run again.",
      });
    }
    throw failed(what, error.message, { cause: error });
  } finally {
    await transport.close();
  }
}

function readAnswer({ bytes }: TransportResponse, what: string): BesideBundle[] {
  let json: unknown;
  try {
    json = parseJson(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  const parsed = answerSchema.safeParse(json);
  if (!parsed.success) throw failed(what, "GitHub answers something else than documented", { safeToRetry: false });
  return parsed.data.attestations.flatMap(({ bundle }) => {
    // What is listed and not handed out could be what is said against the image: it is not passed over.
    if (bundle === undefined || bundle === null) {
      throw failed(what, "GitHub lists one without its bundle", {
        safeToRetry: false,
        wayOut: "Get them with `gh attestation download`, and give the file by `bundle`.",
      });
    }
    const text = new TextEncoder().encode(JSON.stringify(bundle));
    return [{ bytes: text, predicateType: claimedType(text) }];
  });
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
    throw failed(what, "the next page of them is on another host", { safeToRetry: false });
  return url;
}

function failed(
  what: string,
  why: string,
  {
    safeToRetry = true,
    wayOut = "Run again later.",
    cause,
  }: { safeToRetry?: boolean; wayOut?: string; cause?: unknown } = {},
): InfrastructureError {
  return new InfrastructureError(`the ${what} can't be had: ${why}`, {
    code: "github-error",
    safeToRetry,
    wayOut,
    ...(cause === undefined ? {} : { cause }),
  });
}
