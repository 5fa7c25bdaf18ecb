import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { createProxyAgent } from "@goldenpath/registry-client/proxy";
import { isRetryError, isRetryStatus, parseRetryAfter, retryDelay } from "@goldenpath/registry-client/retry";
import { sleepFor } from "@goldenpath/registry-client/stop";
import type { Dispatcher } from "undici";
import { maxPolicyBytes } from "./parse.ts";

/** A file of a GitHub repository at one commit. */
export interface GithubFile {
  owner: string;
  repository: string;
  /** From the repository's root, without a slash at its start. */
  path: string;
  /** 40 lower case hexadecimal digits. */
  commit: string;
}

const attempts = 4;
const stallTimeout = 30_000;
/** For one try, of at most a megabyte. Milliseconds. */
const wholeAnswer = 120_000;

/**
 * Fetches a file through the contents API of GitHub or of a GitHub Enterprise Server (`GITHUB_API_URL`), with
 * `GITHUB_TOKEN` or `GH_TOKEN` where there is one. Redirects are not followed: they come with a repository's new name,
 * and then whoever pinned the old one should know. Tests hand in a `sleep`, so as not to wait between tries.
 * @throws UserError `policy-not-found`, `policy-unauthorized`, `policy-moved`, `policy-invalid` (too large),
 *   `github-url-invalid`; InfrastructureError `github-unreachable`, `github-error`
 */
export async function fetchGithubFile(
  file: GithubFile,
  context: Pick<Context, "ports" | "env" | "signal">,
  sleep = sleepFor,
): Promise<Uint8Array> {
  const url = contentsUrl(file, context.env["GITHUB_API_URL"]);
  const token = context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"] || undefined;
  if (token !== undefined) context.ports.mask(token);
  const headers = {
    accept: "application/vnd.github.raw+json",
    "user-agent": "goldenpath",
    "x-github-api-version": "2022-11-28",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const dispatcher = createProxyAgent(context, {
    headersTimeout: stallTimeout,
    bodyTimeout: stallTimeout,
    connect: { timeout: stallTimeout },
  });
  try {
    for (let attempt = 1; ; attempt += 1) {
      // A byte now and then keeps no timer of undici's from being set anew.
      const signal = AbortSignal.any([context.signal, AbortSignal.timeout(wholeAnswer)]);
      const answer = await ask(url, { headers, signal });
      context.signal.throwIfAborted();
      if (answer.bytes !== undefined) return answer.bytes;
      if (!answer.retry || attempt === attempts) throw answer.failure(attempt);
      context.ports.log.debug(`${url.host} did not answer as it should, trying again`);
      await sleep(retryDelay(attempt, answer.retryAfter, Math.random()), context.signal);
    }
  } finally {
    await dispatcher.destroy();
  }

  async function ask(target: URL, options: Pick<Dispatcher.RequestOptions, "headers" | "signal">): Promise<Answer> {
    let response: Dispatcher.ResponseData;
    try {
      const { origin, pathname, search } = target;
      response = await dispatcher.request({ ...options, origin, path: `${pathname}${search}`, method: "GET" });
      const bytes = await readCapped(response.body, maxPolicyBytes);
      if (response.statusCode === 200) {
        return bytes === undefined
          ? refuse(tooLarge(file))
          : { bytes, retry: false, failure: () => new Error("unused") };
      }
    } catch (error) {
      return {
        retry: isRetryError(error) || (error instanceof DOMException && error.name === "TimeoutError"),
        failure: (tried) =>
          new InfrastructureError(
            `the policy ${formatGithubFile(file)} cannot be fetched: ${target.host} cannot be reached`,
            {
              code: "github-unreachable",
              attempts: tried,
              cause: error,
              wayOut: "Check the network, the proxy settings and GITHUB_API_URL, then run again.",
            },
          ),
      };
    }
    return describeStatus(file, response.statusCode, response.headers, target.host, token !== undefined);
  }
}

interface Answer {
  bytes?: Uint8Array;
  retry: boolean;
  retryAfter?: number | undefined;
  failure(tried: number): Error;
}

function refuse(error: Error): Answer {
  return { retry: false, failure: () => error };
}

function describeStatus(
  file: GithubFile,
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  host: string,
  hasToken: boolean,
): Answer {
  const name = formatGithubFile(file);
  const header = (key: string): string | undefined => [headers[key]].flat()[0];
  // GitHub says "too many requests" by 403 as well, its primary limit with nothing left and its secondary one with
  // Retry-After.
  const isLimited =
    status === 429 ||
    (status === 403 && (header("retry-after") !== undefined || header("x-ratelimit-remaining") === "0"));
  if (isLimited || isRetryStatus(status)) {
    const retryAfter = parseRetryAfter(header("retry-after"), new Date());
    const why = isLimited ? "the rate limit is used up" : `${host} answered ${status}`;
    return {
      retry: !isLimited || retryAfter !== undefined,
      retryAfter,
      failure: (tried) =>
        new InfrastructureError(`the policy ${name} cannot be fetched: ${why}`, {
          code: "github-error",
          attempts: tried,
          wayOut: isLimited && !hasToken ? "Set GITHUB_TOKEN: without one the limit is low." : "Run again later.",
        }),
    };
  }
  if (status >= 300 && status < 400) {
    return refuse(
      new UserError(`the policy ${name} is not there any more: ${host} redirects to another place`, {
        code: "policy-moved",
        wayOut: "Name the repository as it is called now.",
      }),
    );
  }
  if (status === 404 || status === 422) {
    return refuse(
      new UserError(
        `the policy ${name} is not found: no such repository, commit or file${hasToken ? ", or the token may not read it" : ""}`,
        {
          code: "policy-not-found",
          wayOut: hasToken
            ? "Check the name and the commit, and give the token read access to the contents of that repository."
            : "Check the name and the commit; for a private repository set GITHUB_TOKEN.",
        },
      ),
    );
  }
  if (status === 401 || status === 403) {
    return refuse(
      new UserError(`the policy ${name} may not be read: ${host} answered ${status}`, {
        code: "policy-unauthorized",
        wayOut: "Give GITHUB_TOKEN a token that may read the contents of that repository.",
      }),
    );
  }
  return refuse(
    new InfrastructureError(`the policy ${name} cannot be fetched: ${host} answered ${status}`, {
      code: "github-error",
      safeToRetry: true,
    }),
  );
}

function contentsUrl(file: GithubFile, api: string | undefined): URL {
  const base = parseApiUrl(api);
  const path = [file.owner, file.repository, "contents", ...file.path.split("/")].map(encodeURIComponent).join("/");
  const url = new URL(`${base.pathname.replace(/\/+$/, "")}/repos/${path}`, base);
  url.searchParams.set("ref", file.commit);
  return url;
}

/**
 * The root of GitHub's REST API, by `GITHUB_API_URL`; github.com's where that is not set.
 * @throws UserError `github-url-invalid`: a token goes only where nobody on the way can read it
 */
export function parseApiUrl(api: string | undefined): URL {
  const base = URL.parse(api || "https://api.github.com");
  const isLocal = base !== null && ["localhost", "127.0.0.1", "[::1]"].includes(base.hostname);
  if (base === null || !(base.protocol === "https:" || (base.protocol === "http:" && isLocal))) {
    throw new UserError(`GITHUB_API_URL is '${api}': expected an https URL`, {
      code: "github-url-invalid",
      wayOut: "On a GitHub Enterprise Server it is https://HOST/api/v3.",
    });
  }
  return base;
}

export function formatGithubFile(file: GithubFile): string {
  return `${file.owner}/${file.repository}//${file.path}@${file.commit}`;
}

function tooLarge(file: GithubFile): UserError {
  return new UserError(`the policy ${formatGithubFile(file)} is larger than ${maxPolicyBytes} bytes`, {
    code: "policy-invalid",
  });
}

/** A body's bytes, or undefined where it has more than `max`. */
async function readCapped(body: AsyncIterable<Uint8Array>, max: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
