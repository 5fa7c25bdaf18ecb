import { InfrastructureError, isKnownError } from "../errors.ts";
import { createDigester, digestAlgorithm } from "../oci/digest.ts";
import type { Descriptor } from "../oci/manifest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { answerError } from "./answers.ts";
import type { AuthorizedTransport } from "./auth.ts";
import { registryEndpoint } from "./endpoint.ts";
import { parseContentLength, parseContentRange } from "./ranges.ts";
import { retryDelay } from "./retry.ts";
import { describeCause, type Transport, type TransportResponse } from "./transport.ts";

/** As much has to come for a broken connection to count as a new start, rather than as one more failed try. Bytes. */
const progressWorth = 1024 * 1024;

export interface DownloadContext {
  transport: Transport;
  authorized: AuthorizedTransport;
  plainHttp: readonly string[];
  debug(message: string): void;
}

/**
 * A blob as it comes, its connection taken up again by Range where it breaks off. The stream ends well only when size and digest are those of the descriptor:
 * what was read before that is not to be believed.
 * @throws InfrastructureError `blob-not-found`, `registry-error`, `registry-unreachable`; from the stream also `digest-mismatch`
 */
export async function openVerifiedBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
): Promise<AsyncIterable<Uint8Array>> {
  const where = `blob ${descriptor.digest} of ${formatRepository(repository)}`;
  const first = await requestFrom(0);

  function mismatch(why: string): InfrastructureError {
    return new InfrastructureError(`${where} is not what its digest says: ${why}`, { code: "digest-mismatch", safeToRetry: false });
  }

  async function requestFrom(offset: number): Promise<TransportResponse> {
    const response = await context.authorized.send(
      {
        method: "GET",
        url: new URL(`${repository.name}/blobs/${descriptor.digest}`, registryEndpoint(repository.registry, context.plainHttp)),
        headers: { accept: "*/*", ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
      },
      { repository, action: "pull" },
    );
    if (response.status === 404) {
      throw new InfrastructureError(`${where} is not there (404)`, { code: "blob-not-found", safeToRetry: false });
    }
    // A 206 to a request without Range would be a part of the blob in the place of the whole.
    if (response.status === 200 || (response.status === 206 && offset > 0)) {
      const length = parseContentLength(response.header("content-length"));
      const expected = response.status === 206 ? descriptor.size - offset : descriptor.size;
      if (length === undefined || length === expected) return response;
      await response.discard();
      throw mismatch(`it has ${response.status === 206 ? offset + length : length} bytes, not ${descriptor.size}`);
    }
    if (response.status < 400) await response.discard();
    throw answerError(response, repository, "pull from", where);
  }

  /** How many bytes of this answer's body to leave out: a server without ranges sends everything again. */
  function overlap(response: TransportResponse, offset: number): number {
    if (response.status === 200) return offset;
    const range = parseContentRange(response.header("content-range") ?? "");
    if (range?.start === offset && range.end === descriptor.size - 1) return 0;
    throw new InfrastructureError(`${where}: asked for what follows byte ${offset}, ${repository.registry} sends another range`, {
      code: "registry-error",
    });
  }

  async function* stream(): AsyncGenerator<Uint8Array> {
    const digester = createDigester(digestAlgorithm(descriptor.digest));
    let offset = 0;
    let failures = 0;
    let reachedAtFailure = 0;
    let response = first;
    for (;;) {
      let why = "the connection ended early";
      let skip = 0;
      try {
        skip = overlap(response, offset);
        for await (const chunk of response.stream()) {
          const rest = skip < chunk.byteLength ? chunk.subarray(skip) : undefined;
          skip -= chunk.byteLength - (rest?.byteLength ?? 0);
          if (rest === undefined) continue;
          offset += rest.byteLength;
          if (offset > descriptor.size) throw mismatch(`it has more than ${descriptor.size} bytes`);
          digester.update(rest);
          yield rest;
        }
      } catch (error) {
        if (isKnownError(error)) throw error;
        why = describeCause(error);
      }
      if (offset === descriptor.size) {
        const digest = digester.digest();
        if (digest !== descriptor.digest) throw mismatch(`its bytes have the digest ${digest}`);
        return;
      }
      if (offset - reachedAtFailure >= progressWorth) failures = 0;
      reachedAtFailure = offset;
      failures++;
      if (failures >= context.transport.attempts) {
        throw new InfrastructureError(`${where} breaks off after ${offset} of ${descriptor.size} bytes: ${why} (tried ${failures} times)`, {
          code: "registry-unreachable",
          attempts: failures,
        });
      }
      context.debug(`${where}: ${why} after ${offset} bytes; taking up from there`);
      await context.transport.wait(retryDelay(failures, undefined, Math.random()));
      response = await requestFrom(offset);
    }
  }

  // An answer that nobody reads would hold its connection: whoever stops early, or never begins, lets it go by returning the iterator.
  return stream();
}

/** A whole blob in memory. @throws InfrastructureError `too-large`, and what {@link openVerifiedBlob} throws */
export async function readVerifiedBlob(
  context: DownloadContext,
  repository: Repository,
  descriptor: Descriptor,
  maxBytes: number,
): Promise<Uint8Array> {
  if (descriptor.size > maxBytes) {
    throw new InfrastructureError(
      `blob ${descriptor.digest} of ${formatRepository(repository)} is too large: ${descriptor.size} bytes, at most ${maxBytes} are read`,
      { code: "too-large", safeToRetry: false },
    );
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of await openVerifiedBlob(context, repository, descriptor)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}
