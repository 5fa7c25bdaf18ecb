import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { createProxyAgent } from "@goldenpath/registry-client/proxy";
import { watchForStall } from "@goldenpath/registry-client/stall";
import { sleepFor } from "@goldenpath/registry-client/stop";
import { fetch } from "undici";

type Env = Readonly<Record<string, string | undefined>>;
/** Between two tries. Tests hand in one that does not wait. */
export type Sleep = typeof sleepFor;

const attempts = 3;
const stallTimeout = 60_000;
/** The largest tool so far has 100 MB. */
export const maxToolBytes = 512 * 1024 * 1024;

export interface ToolLocation {
  /** Without credentials, so that it may be printed. */
  url: string;
  authorization?: string;
}

interface FileOptions {
  label: string;
  ports: Ports;
  env: Env;
  signal?: AbortSignal;
  maxBytes?: number;
  /** So long may nothing come, and in twice that time too little. Milliseconds. */
  stallTimeout?: number;
  sleep?: Sleep;
}

interface DownloadOptions extends FileOptions {
  sha256s: readonly string[];
}

/**
 * Downloads one file and verifies it before anybody else can see it.
 * @throws InfrastructureError `tool-download-failed`; `tool-mismatch` when the bytes are not one of `sha256s`
 */
export async function downloadTool(location: ToolLocation, target: string, options: DownloadOptions): Promise<void> {
  const actual = await downloadFile(location, target, options);
  if (options.sha256s.includes(actual)) return;
  throw new InfrastructureError(
    `${location.url} is not ${options.label}: its SHA-256 is ${actual}, expected ${options.sha256s.join(" or ")}. It was not run.`,
    {
      code: "tool-mismatch",
      wayOut: "Find out who changed that file, and put the right one there.",
      safeToRetry: false,
    },
  );
}

/**
 * Downloads one file, and tries again where that may help; nothing of it is believed yet.
 * @returns its SHA-256, hex
 * @throws InfrastructureError `tool-download-failed`; `tool-mismatch`: it is too large
 */
export async function downloadFile(location: ToolLocation, target: string, options: FileOptions): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await downloadOnce(location, target, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (isKnownError(error) && (attempt >= attempts || !isTransient(error))) throw error;
      if (attempt >= attempts) {
        throw new InfrastructureError(`${location.url} can't be downloaded: ${reasonOf(error)}`, {
          code: "tool-download-failed",
          attempts: attempt,
          cause: error,
        });
      }
      const sleep = options.sleep ?? sleepFor;
      await sleep(250 * 2 ** attempt * (1 + Math.random()), options.signal ?? new AbortController().signal);
    }
  }
}

async function downloadOnce(location: ToolLocation, target: string, options: FileOptions): Promise<string> {
  // Node's own fetch ignores the proxy variables.
  const dispatcher = createProxyAgent(options, { headersTimeout: stallTimeout, bodyTimeout: stallTimeout });
  const tooSlow = new AbortController();
  const watch = watchForStall(options.stallTimeout ?? stallTimeout, (error) => tooSlow.abort(error));
  const signal = AbortSignal.any([tooSlow.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  try {
    const response = await fetch(location.url, {
      dispatcher,
      headers: location.authorization === undefined ? {} : { authorization: location.authorization },
      signal,
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new InfrastructureError(`${location.url} answered ${response.status}`, {
        code: "tool-download-failed",
        safeToRetry: response.status >= 500 || response.status === 429 || response.status === 408,
      });
    }
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const task = options.ports.progress.start(`Downloading ${options.label}`, {
      unit: "bytes",
      ...(Number.isSafeInteger(length) && length > 0 ? { amount: length } : {}),
    });
    try {
      const hash = createHash("sha256");
      let size = 0;
      const meter = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          size += chunk.length;
          hash.update(chunk);
          task.advance(chunk.length);
          watch.moved(chunk.length);
          watch.arm();
          done(
            size > (options.maxBytes ?? maxToolBytes)
              ? new InfrastructureError(`${location.url} is larger than any tool`, { code: "tool-mismatch" })
              : null,
            chunk,
          );
        },
      });
      watch.arm();
      await pipeline(Readable.fromWeb(response.body), meter, createWriteStream(target), { signal });
      task.done();
      return hash.digest("hex");
    } catch (error) {
      task.failed();
      throw error;
    }
  } finally {
    watch.end();
    await dispatcher.destroy();
  }
}

/** Nobody answered, or only to say that it can't be now. */
export function isTransient(error: unknown): boolean {
  return error instanceof InfrastructureError && error.code === "tool-download-failed" && error.safeToRetry;
}

/** A server that is there said that it has no such file, or not for us. */
export function isRefusedDownload(error: unknown): boolean {
  return error instanceof InfrastructureError && error.code === "tool-download-failed" && !error.safeToRetry;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
