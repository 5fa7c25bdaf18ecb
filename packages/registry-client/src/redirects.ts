import { InfrastructureError } from "@goldenpath/foundation/errors";
import { isSameOrigin, resolveServerUrl } from "./endpoint.ts";
import type { Exchange } from "./exchange.ts";

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** What the first request of a chain of redirects holds all others to. */
export interface RedirectRules {
  /** Where the first request went: what it shows of itself goes to this origin only. */
  first: URL;
  /** No redirect to another host is followed. It is so for every POST and DELETE. */
  staysOnHost: boolean;
  plainHttp: readonly string[];
}

export function isRedirect(status: number): boolean {
  return redirectStatuses.includes(status);
}

/**
 * The request that follows from a redirect's answer to `sent`.
 * @throws InfrastructureError `redirect-refused`
 */
export function planRedirect(sent: Exchange, status: number, location: string, rules: RedirectRules): Exchange {
  const { method } = sent;
  const url = resolveServerUrl(location, sent.url, rules.plainHttp, "a redirect");
  const headers: Record<string, string> = { ...sent.headers };
  if (!isSameOrigin(url, rules.first)) {
    delete headers["authorization"];
    // What another host says to have done (a mount, an upload's start, a tag set) is not done here, and a POST's body
    // can be a secret (an identity token). Content that is uploaded is something else: the registry may want to have it
    // there.
    if (method === "POST" || method === "DELETE" || rules.staysOnHost) {
      throw new InfrastructureError(`${sent.url.host} redirects a ${method} to ${url.host}`, {
        code: "redirect-refused",
        safeToRetry: false,
      });
    }
  }
  // 303 asks for a GET. 301 and 302 do not keep the method reliably, so only what has no effect follows them.
  if (status === 303 && method !== "HEAD") {
    delete headers["content-type"];
    return { method: "GET", url, headers };
  }
  if (status < 303 && method !== "GET" && method !== "HEAD") {
    throw new InfrastructureError(`${sent.url.host} redirects a ${method} with status ${status}`, {
      code: "redirect-refused",
    });
  }
  return { ...sent, url, headers };
}
