import { type ByteRange, etagHeader, formatEtag, isNotModified, parseRange } from "./conditions.ts";
import { refuse } from "./errors.ts";
import { type Digest, isDigest } from "./grammar.ts";
import { type Exchange, emptyReply, type Reply } from "./reply.ts";
import type { Repositories } from "./repositories.ts";
import type { RegistrySettings } from "./settings.ts";

/** @throws RegistryError 400 DIGEST_INVALID */
export function parseDigest(value: string): Digest {
  return isDigest(value) ? value : refuse(400, "DIGEST_INVALID", `'${value}' is not a sha256 or sha512 digest`);
}

/** GET and HEAD of a blob, whole or one range of it. */
export async function serveBlob(
  repositories: Repositories,
  exchange: Exchange,
  name: string,
  digest: Digest,
  settings: RegistrySettings,
): Promise<Reply> {
  const size = repositories.find(name)?.blobs.get(digest);
  if (size === undefined) return refuseUnknownBlob(name, digest);
  const validators = {
    "Docker-Content-Digest": digest,
    ...etagHeader(digest, settings),
    ...(settings.ranges ? { "Accept-Ranges": "bytes" } : {}),
  };
  if (isNotModified(exchange, digest)) return emptyReply(304, validators);
  const headers = { ...validators, "Content-Type": "application/octet-stream" };
  if (exchange.method === "HEAD") return { status: 200, headers: { ...headers, "Content-Length": String(size) } };
  const ifRange = exchange.headers["if-range"];
  const isRanged = settings.ranges && (ifRange === undefined || ifRange === formatEtag(digest));
  const range = isRanged ? parseRange(exchange.headers.range, size) : undefined;
  if (range === "unsatisfiable") {
    return refuse(416, "SIZE_INVALID", `the blob has ${size} bytes`, {
      headers: { "Content-Range": `bytes */${size}` },
    });
  }
  const { start, end }: ByteRange = range ?? { start: 0, end: size };
  const length = { "Content-Length": String(end - start) };
  const body = size === 0 ? Buffer.alloc(0) : await repositories.openContent(digest, start, end);
  if (body === undefined) return refuseUnknownBlob(name, digest);
  return range === undefined
    ? { status: 200, headers: { ...headers, ...length }, body }
    : { status: 206, headers: { ...headers, ...length, "Content-Range": `bytes ${start}-${end - 1}/${size}` }, body };
}

export async function deleteBlob(repositories: Repositories, name: string, digest: Digest): Promise<Reply> {
  if (!(await repositories.deleteBlob(name, digest))) return refuseUnknownBlob(name, digest);
  return emptyReply(202, { "Docker-Content-Digest": digest });
}

export function refuseUnknownBlob(name: string, digest: Digest): never {
  return refuse(404, "BLOB_UNKNOWN", `${name} has no blob ${digest}`, { detail: { digest } });
}
