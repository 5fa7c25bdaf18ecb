import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import { createTransport, type TransportResponse } from "@goldenpath/registry-client/transport";
import type { z } from "zod";
import { parseApiUrl } from "../policy/github.ts";

export type GithubSurroundings = Pick<Context, "ports" | "env" | "signal">;

/** What is asked of GitHub's REST API. */
export interface GithubQuestion {
  /** In messages, in the plural: `attestations of …`. */
  what: string;
  /** What a token needs for it. */
  permission: string;
  /** Bytes of the answer at most. */
  readUpTo: number;
  /** "It is not there" is an answer as well. */
  mayBeAbsent?: boolean;
  /** It lies with somebody else, whose address is the right to it: no token goes there. */
  isElsewhere?: true;
}

/**
 * A URL of the API, by `GITHUB_API_URL`.
 * @throws UserError `github-url-invalid`
 */
export function githubUrl(env: Context["env"], segments: readonly string[]): URL {
  const api = parseApiUrl(env["GITHUB_API_URL"]);
  return new URL(`${api.pathname.replace(/\/+$/, "")}/${segments.map(encodeURIComponent).join("/")}`, api);
}

/**
 * Asks GitHub with `GITHUB_TOKEN` or `GH_TOKEN` where there is one, again where that may help.
 * @throws UserError `github-unauthorized`; InfrastructureError `github-unreachable`, `github-error`
 */
export async function askGithub(
  url: URL,
  { what, permission, readUpTo, mayBeAbsent = false, isElsewhere }: GithubQuestion,
  { ports, env, signal }: GithubSurroundings,
): Promise<TransportResponse> {
  const token = isElsewhere ? undefined : env["GITHUB_TOKEN"] || env["GH_TOKEN"] || undefined;
  if (token !== undefined) ports.mask(token);
  const transport = createTransport({ ports, env, signal, attempts: 4, stallTimeout: 30_000 });
  try {
    const answer = await transport.send({
      method: "GET",
      url,
      headers: {
        ...(isElsewhere ? {} : { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      staysOnHost: true,
      readUpTo,
    });
    if (answer.status === 200 || (mayBeAbsent && answer.status === 404)) return answer;
    // By 403 GitHub says "too many requests" as well.
    const isLimited = answer.header("retry-after") !== undefined || answer.header("x-ratelimit-remaining") === "0";
    if ([401, 403, 404].includes(answer.status) && !isLimited && !isElsewhere) {
      throw new UserError(`${url.host} does not show the ${what}: it answers ${answer.status}`, {
        code: "github-unauthorized",
        wayOut: `Give GITHUB_TOKEN a token that may read them (\`${permission}\`).`,
      });
    }
    throw githubFailed(what, isLimited ? "the rate limit is used up" : `${url.host} answers ${answer.status}`);
  } catch (error) {
    if (!(error instanceof InfrastructureError) || ["github-error", "aborted"].includes(error.code)) throw error;
    if (error.code === "registry-unreachable") {
      throw new InfrastructureError(`the ${what} can't be had: ${url.host} can't be reached`, {
        code: "github-unreachable",
        cause: error,
        wayOut: "Check the network, the proxy settings and GITHUB_API_URL, then run again.",
      });
    }
    throw githubFailed(what, error.message, { cause: error });
  } finally {
    await transport.close();
  }
}

/** @throws InfrastructureError `github-error` where it is not what GitHub's documentation says */
export function readGithubAnswer<T extends z.ZodType>(
  { bytes }: TransportResponse,
  schema: T,
  { what }: Pick<GithubQuestion, "what">,
): z.output<T> {
  let json: unknown;
  try {
    json = parseJson(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw githubFailed(what, "GitHub answers something else than documented", { safeToRetry: false });
}

export function githubFailed(
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
