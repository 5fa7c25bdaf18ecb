import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { DownloadContext } from "./download.ts";
import { isSameOrigin, resolveOwnUrl } from "./endpoint.ts";
import { findNextLink } from "./links.ts";
import { maxManifestBytes } from "./oci/manifest.ts";
import type { Repository } from "./oci/reference.ts";
import type { TransportResponse } from "./transport.ts";

/** More pages than any list of tags or referrers has that goldenpath can do something with. */
const maxPages = 500;
/** Of all pages together, which whoever asked holds in memory. */
const maxListBytes = 32 * 1024 * 1024;

/**
 * Fetches a list page by page along its Link headers. `onPage` takes each answer, whatever its status, and says whether
 * to go on.
 * @throws InfrastructureError `registry-error` for a list that leads back into itself, has no end or is too large, or
 *   leads to another host
 */
export async function fetchPages(
  context: DownloadContext,
  repository: Repository,
  first: URL,
  accept: string,
  onPage: (response: TransportResponse) => boolean | Promise<boolean>,
  action: "pull" | "list" = "pull",
): Promise<void> {
  const refuse = (why: string): never => {
    throw new InfrastructureError(`the list at ${first.host}${first.pathname} ${why}`, {
      code: "registry-error",
      safeToRetry: false,
    });
  };
  const seen = new Set<string>();
  let bytes = 0;
  for (let url = first; ; ) {
    if (seen.has(url.href)) return refuse("leads back to a page that was there before");
    if (seen.size >= maxPages) return refuse(`has more than ${maxPages} pages`);
    seen.add(url.href);
    const response = await context.authorized.send(
      { method: "GET", url, headers: { accept }, readUpTo: maxManifestBytes },
      { repository, action },
    );
    bytes += response.bytes.byteLength;
    if (bytes > maxListBytes) return refuse(`has more than ${maxListBytes} bytes`);
    if (!(await onPage(response))) return;
    const next = findNextLink(response.headers("link"));
    if (next === undefined) return;
    // Relative to what was asked for: a redirect of one page does not move the list.
    const target = resolveOwnUrl(next, url, context.plainHttp, "a next page");
    if (!isSameOrigin(target, first)) return refuse(`goes on at another host, ${target.host}`);
    url = target;
  }
}
