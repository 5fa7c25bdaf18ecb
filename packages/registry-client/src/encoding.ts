import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";
import { InfrastructureError } from "@goldenpath/foundation/errors";

type Decode = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

/** Content codings of RFC 9110 section 8.4.1 and its registry. */
const codings: Readonly<Record<string, Decode>> = {
  gzip: gunzipSync,
  "x-gzip": gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** One proxy compresses; that several do it to one answer is possible. */
const maxCodings = 3;

/**
 * A whole body without its Content-Encoding, at most `maxBytes` of it. Nobody asked for one, but proxies and CDNs in
 * front of registries compress JSON all the same, and Go's client, by which registries are tried, undoes it.
 * @throws InfrastructureError `too-large`; `registry-error` for what is not what the header says
 */
export function decodeContent(
  bytes: Uint8Array,
  contentEncoding: string | undefined,
  maxBytes: number,
  where: string,
): Uint8Array {
  const names = (contentEncoding ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity");
  const failed = (why: string, cause?: unknown): InfrastructureError =>
    new InfrastructureError(`the answer ${where} ${why}`, { code: "registry-error", cause });
  if (names.length > maxCodings) throw failed(`is encoded ${names.length} times`);
  let decoded = bytes;
  for (const name of names.reverse()) {
    const decode = Object.hasOwn(codings, name) ? codings[name] : undefined;
    if (decode === undefined) throw failed(`has a Content-Encoding that is not known: ${name}`);
    try {
      decoded = decode(decoded, { maxOutputLength: Math.max(maxBytes, 1) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        throw new InfrastructureError(`the answer ${where} is too large: more than ${maxBytes} bytes, unpacked`, {
          code: "too-large",
          safeToRetry: false,
        });
      }
      throw failed(`is not ${name}, which its Content-Encoding says`, error);
    }
  }
  return decoded;
}
