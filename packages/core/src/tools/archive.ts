import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { describeError, InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { ByteReader, MalformedLayer } from "../layers/bytes.ts";
import { expandGzip } from "../layers/gzip.ts";
import { formatName, type TarEvent, TarParser } from "../layers/tar.ts";

export interface UnpackLimits {
  /** Of all that the archive unpacks to. */
  bytes: number;
  entries: number;
}

/** A release is a program with its licence and some text; the largest program so far has 200 MB. */
const unpackLimits: UnpackLimits = { bytes: 1024 ** 3, entries: 1000 };

export interface UnpackOptions {
  /** SHA-256 (hex) that the archive must have. */
  sha256: string;
  /** The program's path in the archive. */
  member: string;
  /** SHA-256 (hex) that the program must have, where that is known. */
  memberSha256?: string;
  /** For messages: the tool and its version. */
  label: string;
  limits?: UnpackLimits;
  signal?: AbortSignal;
}

/**
 * Writes one member of a `.tar.gz` to `target`, which must not be there yet. What was unpacked is what was hashed: the
 * archive's bytes are read once, all of them, and both hashes are compared before this returns. Nothing else of the
 * archive is written, so that its links lead nowhere.
 * @returns the program's SHA-256, hex
 * @throws InfrastructureError `tool-mismatch`; `tool-archive-invalid`: no such member, not a plain file, twice there,
 *   broken, too large
 */
export async function unpackMember(archive: string, target: string, options: UnpackOptions): Promise<string> {
  const { label, sha256 } = options;
  const whole = createHash("sha256");
  // Before the archive: a stream that nobody reads yet would have nobody to tell that it can't be opened.
  const output = await open(target, "wx", 0o600);
  const source = createReadStream(archive, {
    highWaterMark: 1024 * 1024,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const reader = new ByteReader(hashed(source, (chunk) => whole.update(chunk)));
  let problem: MalformedLayer | undefined;
  let program = "";
  try {
    program = await extract(reader, output, options).catch((error: unknown) => {
      if (!(error instanceof MalformedLayer)) throw error;
      problem = error;
      return "";
    });
    // Bytes that are not the lock's are told as such, and not by what is wrong with them.
    await reader.drain();
  } catch (error) {
    if (isKnownError(error) || options.signal?.aborted === true) throw error;
    throw new InfrastructureError(`${archive} can't be unpacked: ${describeError(error)}`, {
      code: "tool-archive-unreadable",
      cause: error,
    });
  } finally {
    await reader.close();
    await output.close();
  }
  const actual = whole.digest("hex");
  if (actual !== sha256) {
    throw mismatch(
      `${archive} is not the archive of ${label}: its SHA-256 is ${actual}, expected ${sha256}. It was not run.`,
    );
  }
  if (problem !== undefined) {
    throw new InfrastructureError(`${archive}, the archive of ${label}, can't be used: ${problem.message}`, {
      code: "tool-archive-invalid",
      wayOut: "Correct the tool's row in the lock: the archive's bytes are the ones that it names.",
      safeToRetry: false,
      cause: problem,
    });
  }
  if (options.memberSha256 !== undefined && program !== options.memberSha256) {
    throw mismatch(
      `'${options.member}' in ${archive} is not ${label}: its SHA-256 is ${program}, expected ${options.memberSha256}. It was not run.`,
    );
  }
  return program;
}

function mismatch(message: string): InfrastructureError {
  return new InfrastructureError(message, {
    code: "tool-mismatch",
    wayOut: "Find out who changed that file, and put the right one there.",
    safeToRetry: false,
  });
}

async function extract(
  reader: ByteReader,
  output: FileHandle,
  { member, limits = unpackLimits }: UnpackOptions,
): Promise<string> {
  const parser = new TarParser();
  const hash = createHash("sha256");
  const seen = { bytes: 0, entries: 0, members: 0, isInside: false, names: [] as string[] };
  const write = async (events: Iterable<TarEvent>): Promise<void> => {
    for (const event of events) {
      if (event.kind === "entry") enter(event, member, seen, limits);
      else if (event.kind === "content" && seen.isInside) {
        hash.update(event.bytes);
        await output.writeFile(event.bytes);
      }
    }
  };
  for await (const chunk of expandGzip(reader)) {
    seen.bytes += chunk.length;
    if (seen.bytes > limits.bytes) throw new MalformedLayer(`it unpacks to more than ${limits.bytes} bytes`);
    await write(parser.push(chunk));
  }
  parser.finish();
  if (seen.members === 0) {
    const others = seen.names.slice(0, 10).map((name) => `'${formatName(name)}'`);
    throw new MalformedLayer(`it has no '${member}'; it has ${others.join(", ") || "nothing"}`);
  }
  return hash.digest("hex");
}

interface Seen {
  bytes: number;
  entries: number;
  members: number;
  isInside: boolean;
  names: string[];
}

function enter(
  { entry }: Extract<TarEvent, { kind: "entry" }>,
  member: string,
  seen: Seen,
  limits: UnpackLimits,
): void {
  seen.entries += 1;
  if (seen.entries > limits.entries) throw new MalformedLayer(`it has more than ${limits.entries} entries`);
  seen.names.push(entry.path);
  seen.isInside = entry.path === member;
  if (!seen.isInside) return;
  seen.members += 1;
  if (seen.members > 1) throw new MalformedLayer(`it has '${member}' twice, and readers take one or the other`);
  if (entry.kind !== "file") throw new MalformedLayer(`its '${member}' is a ${entry.kind} and not a file`);
  if (entry.size === 0) throw new MalformedLayer(`its '${member}' is empty`);
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  update: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    update(chunk);
    yield chunk;
  }
}
