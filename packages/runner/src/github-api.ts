import { randomUUID } from "node:crypto";
import { parseApiUrl } from "@goldenpath/core/policy/github";
import type { Context } from "@goldenpath/foundation/ports";
import { createProxyAgent } from "@goldenpath/registry-client/proxy";
import { Octokit } from "@octokit/core";
import { retry } from "@octokit/plugin-retry";
import { throttling } from "@octokit/plugin-throttling";
import { fetch } from "undici";

const Client = Octokit.plugin(retry, throttling);
export type GithubClient = InstanceType<typeof Client>;

/** The plugin's own, a conflict, as an empty repository is one and stays so, and what is too large. */
const doNotRetry = [400, 401, 403, 404, 409, 410, 413, 422, 451];
/** Milliseconds without a byte. */
const stallTimeout = 30_000;
/** A limit that lasts longer is not waited for: nothing that a report writes is worth it. Seconds. */
const longestWait = 120;
/** Times that a request is made again where GitHub says that there were too many. */
const limitRetries = 2;

export interface Github {
  client: GithubClient;
  /**
   * What an address of GitHub's storage has, without the token: who is to have it says the address.
   * @param most bytes
   * @throws RangeError where it has more; Error where it is not there
   */
  download(url: string, most: number, signal: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * GitHub's REST API with the waits that it asks for: a second between two writes, three after what sends mails, and
 * where it says that there were too many, as long as it says. Through the proxy, as all that goes out.
 * @param second milliseconds; tests have a shorter one
 * @throws UserError `github-url-invalid`, `proxy-invalid`
 */
export function openGithub(token: string, { env, ports }: Pick<Context, "ports" | "env">, second = 1_000): Github {
  const dispatcher = createProxyAgent(
    { env, ports },
    { headersTimeout: stallTimeout, bodyTimeout: stallTimeout, connect: { timeout: stallTimeout } },
  );
  const waitFor = (seconds: number, _options: unknown, _octokit: unknown, tried: number): boolean =>
    tried < limitRetries && seconds <= longestWait;
  const client = new Client({
    auth: token,
    baseUrl: parseApiUrl(env["GITHUB_API_URL"]).href.replace(/\/+$/, ""),
    userAgent: "goldenpath",
    request: {
      fetch: (url: string, options: object) => fetch(url, { ...options, dispatcher }),
    },
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message: string) => ports.log.debug(message),
      error: (message: string) => ports.log.debug(message),
    },
    retry: { retryAfterBaseValue: second, doNotRetry },
    // Two clients of one process share no queue: each is a job's own.
    throttle: { id: randomUUID(), retryAfterBaseValue: second, onRateLimit: waitFor, onSecondaryRateLimit: waitFor },
  });
  return {
    client,
    async download(url, most, signal) {
      const { status, body } = await fetch(parseApiUrl(url), { dispatcher, signal, redirect: "error" });
      if (status !== 200 || body === null) throw new Error(`the storage answered ${status}`);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        size += chunk.byteLength;
        if (size > most) throw new RangeError(`it has more than ${most} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    },
    close: () => dispatcher.destroy(),
  };
}
