import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { createTransport, type Transport } from "@goldenpath/registry-client/transport";
import type { Fetcher } from "tuf-js";
import { DownloadHTTPError } from "tuf-js/dist/error.js";
import type { TrustCache } from "./cache.ts";

export interface MirrorLimits {
  attempts: number;
  /** How long nothing may come, and how long all of it may take. Milliseconds. */
  stallTimeout: number;
  wholeTimeout: number;
}

export interface Mirror {
  fetcher: Fetcher;
  /** Why it could not be asked: from then on it was not asked again, and what is kept of it answered. */
  away(): string | undefined;
  /** That what it gave has no end: nothing to bridge. */
  refused(): string | undefined;
  /** Root metadata that it gave, by its file's name. */
  roots: ReadonlyMap<string, Uint8Array>;
  close(): Promise<void>;
}

/** A mirror's URL in its one form, as tuf-js makes the names of files of it, without a slash at its end. */
export function baseOf(mirror: string): string {
  return new URL(mirror).href.replace(/\/+$/, "");
}

/**
 * A repository as tuf-js asks for it. Where it can't be reached, what is kept is the answer, for all that is asked from
 * then on, so that nobody who blocks a part of it makes a state of old and new; whether that still holds is for the
 * metadata's own dates.
 */
export function openMirror(
  base: string,
  cache: TrustCache,
  folder: string,
  { ports, env, signal }: Pick<Context, "ports" | "env" | "signal">,
  { attempts, stallTimeout, wholeTimeout }: MirrorLimits,
): Mirror {
  const deadline = AbortSignal.timeout(wholeTimeout);
  const either = AbortSignal.any([signal, deadline]);
  const transport: Transport = createTransport({ ports, env, signal: either, attempts, stallTimeout });
  const roots = new Map<string, Uint8Array>();
  let away: string | undefined;
  let refused: string | undefined;

  async function fetchBytes(url: string, most: number): Promise<Buffer> {
    const name = url.slice(`${base}/`.length);
    if (away !== undefined) return readKept(name);
    const answer = await ask(url, most).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!(error instanceof InfrastructureError)) throw error;
      if (error.code === "too-large") {
        refused = `${name} is larger than the ${most} bytes that it may have`;
        throw error;
      }
      away = deadline.aborted ? `it takes longer than ${wholeTimeout / 1000} s` : error.message;
      return undefined;
    });
    if (answer === undefined) return readKept(name);
    if (answer.status === 200) {
      if (isRoot(name)) roots.set(name, answer.bytes);
      return Buffer.from(answer.bytes);
    }
    // By these two a repository says that there is no such file. Of root metadata that was there before that is no news:
    // whoever hides the newer root would have keys count again that it took away.
    if (answer.status === 404 || answer.status === 403) {
      const before = isRoot(name) ? await cache.read(name) : undefined;
      if (before !== undefined) return before;
      throw new DownloadHTTPError(`${name} is not there`, answer.status);
    }
    away = `it answers ${answer.status} for ${name}`;
    return readKept(name);
  }

  function isRoot(name: string): boolean {
    return /^\d+\.root\.json$/.test(name);
  }

  function ask(url: string, most: number) {
    return transport.send({ method: "GET", url: new URL(url), readUpTo: most });
  }

  async function readKept(name: string): Promise<Buffer> {
    const kept = await cache.read(name);
    if (kept === undefined) throw new DownloadHTTPError(`${name} is not kept`, 404);
    return kept;
  }

  let files = 0;
  return {
    fetcher: {
      downloadBytes: fetchBytes,
      async downloadFile(url, most, handler) {
        const bytes = await fetchBytes(url, most);
        files += 1;
        const passing = join(folder, `.download-${files}`);
        await writeFile(passing, bytes);
        return handler(passing);
      },
    },
    away: () => away,
    refused: () => refused,
    roots,
    close: () => transport.close(),
  };
}
