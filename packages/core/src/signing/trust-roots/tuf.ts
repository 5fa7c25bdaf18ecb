import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { createTransport } from "@goldenpath/registry-client/transport";
import { type TargetFile, Updater } from "tuf-js";
import { PersistError } from "tuf-js/dist/error.js";
import type { TufSource } from "../sigstore-instance.ts";
import { openTrustCache, type TrustCache } from "./cache.ts";
import { baseOf, type Mirror, type MirrorLimits, openMirror } from "./tuf-mirror.ts";

type Surroundings = Pick<Context, "ports" | "env" | "signal" | "workingDirectory"> &
  Partial<Pick<Context, "temporaryDirectory">>;

const usualLimits: MirrorLimits = { attempts: 3, stallTimeout: 15_000, wholeTimeout: 90_000 };
/** Of a trusted root, or of root metadata. Bytes. */
const maxTrustedRoot = 1024 * 1024;
/** What is kept besides roots and the target, by tuf-js's names. */
const kept = ["timestamp", "snapshot", "targets"] as const;

/**
 * The text of a trusted root, as a repository by The Update Framework has it now: verified from `root` on, which is
 * verified root metadata of it, by tuf-js (https://theupdateframework.github.io/specification/latest/, section 5).
 * Where the mirror is away, what was verified before counts as long as its own dates say so.
 * @throws InfrastructureError `trusted-root-unavailable`, `trusted-root-expired`, `trusted-root-rejected`; UserError
 *   `trusted-root-missing`
 */
export async function fetchTufTarget(
  source: TufSource,
  root: Uint8Array,
  surroundings: Surroundings,
  limits = usualLimits,
): Promise<string> {
  const folder = await mkdtemp(join(surroundings.temporaryDirectory ?? tmpdir(), "goldenpath-tuf-"));
  const cache = openTrustCache(source, surroundings);
  const mirror = openMirror(baseOf(source.mirror), cache, folder, surroundings, limits);
  try {
    await writeFile(join(folder, "root.json"), root);
    const seen = await cache.read("timestamp.json");
    for (const name of kept) {
      const bytes = await cache.read(`${name}.json`);
      if (bytes !== undefined) await writeFile(join(folder, `${name}.json`), bytes);
    }
    const bytes = await update(source, { folder, cache, mirror }, surroundings.signal);
    const why = mirror.away();
    if (why === undefined) await keep({ folder, cache, mirror }, seen);
    else
      surroundings.ports.log.warning(
        `${source.mirror} can't be asked whom to trust (${cleanLine(why)}): what it said before counts, which still holds`,
      );
    return new TextDecoder().decode(bytes);
  } finally {
    await mirror.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Opened {
  folder: string;
  cache: TrustCache;
  mirror: Mirror;
}

async function update(source: TufSource, opened: Opened, signal: AbortSignal): Promise<Uint8Array> {
  const { folder, mirror } = opened;
  const base = baseOf(source.mirror);
  try {
    const updater = new Updater({
      metadataDir: folder,
      metadataBaseUrl: base,
      targetDir: folder,
      targetBaseUrl: `${base}/targets`,
      fetcher: mirror.fetcher,
    });
    await updater.refresh();
    const found = await updater.getTargetInfo(source.target);
    if (found === undefined) {
      throw new UserError(`${source.mirror} has no target '${source.target}'`, {
        code: "trusted-root-missing",
        wayOut: "Set `tuf.target` in the policy's `sigstore` to the name that the repository has for its trusted root.",
      });
    }
    return await readTarget(updater, found, opened);
  } catch (error) {
    signal.throwIfAborted();
    // Of this machine: a disk that is full, a folder that nobody may write to.
    const isOwn = error instanceof PersistError || (error as NodeJS.ErrnoException | undefined)?.syscall !== undefined;
    throw error instanceof UserError || isOwn ? error : explain(source, mirror, error);
  }
}

/** By its digest from what is kept, else from the mirror. */
async function readTarget(updater: Updater, found: TargetFile, { folder, cache }: Opened): Promise<Uint8Array> {
  const digest = found.hashes["sha256"];
  if (digest === undefined || !/^[0-9a-f]{64}$/.test(digest) || !(found.length <= maxTrustedRoot))
    throw new Error(`target ${found.path} has no SHA-256, or more than ${maxTrustedRoot} bytes`);
  const name = `target-${digest}`;
  const before = await cache.read(name);
  if (before !== undefined) {
    const holds = await found.verify(Readable.from([before])).then(
      () => true,
      () => false,
    );
    if (holds) return before;
  }
  const path = join(folder, name);
  await updater.downloadTarget(found, path);
  const bytes = await readFile(path);
  await cache.write(name, bytes);
  return bytes;
}

/**
 * All of it was verified, whoever it came from. What another run has kept meanwhile stands: it may have seen more.
 * `seen`: what was kept before this one.
 */
async function keep({ folder, cache, mirror }: Opened, seen: Buffer | undefined): Promise<void> {
  for (const [name, bytes] of mirror.roots) await cache.write(name, bytes);
  const now = await cache.read("timestamp.json");
  if (now !== undefined && (seen === undefined || !now.equals(seen))) return;
  // What leads to all others goes last.
  for (const name of kept.toReversed()) await cache.write(`${name}.json`, await readFile(join(folder, `${name}.json`)));
}

function explain({ mirror: base }: TufSource, mirror: Mirror, error: unknown): Error {
  const why = cleanLine(error instanceof Error ? error.message : String(error));
  const away = mirror.away();
  const fail = (
    code: "trusted-root-unavailable" | "trusted-root-expired" | "trusted-root-rejected",
    what: string,
    wayOut: string,
  ) =>
    new InfrastructureError(`${base} does not say whom to trust: ${what}`, {
      code,
      safeToRetry: code !== "trusted-root-rejected",
      cause: error,
      wayOut,
    });
  if (away !== undefined)
    return fail(
      "trusted-root-unavailable",
      `it can't be asked (${cleanLine(away)}), and nothing is kept of it that still holds`,
      "Run again when it is there; or give the trusted root in the policy or in a file, which asks nobody.",
    );
  const refused = mirror.refused();
  if (refused === undefined && /\bis expired\b/.test(why))
    return fail(
      "trusted-root-expired",
      `${why}, and nothing newer is there`,
      "Have the repository's keepers sign it anew. A mirror that lags, or is kept from its source, looks the same.",
    );
  return fail(
    "trusted-root-rejected",
    refused ?? why,
    "Look who has written to that mirror: what it gives is not what the keys of its root have signed, or older than what it gave before.",
  );
}

/**
 * Root metadata as a mirror has it, or had it before: bytes that mean nothing until their digest was compared.
 * @throws InfrastructureError `trusted-root-unavailable`
 */
export async function fetchTufRoot(
  source: TufSource,
  surroundings: Surroundings,
  { attempts, stallTimeout, wholeTimeout } = usualLimits,
): Promise<Uint8Array> {
  const { mirror, root } = source;
  const { ports, env, signal } = surroundings;
  const cache = openTrustCache(source, surroundings);
  const name = `first-${root.digest.slice("sha256:".length)}`;
  const before = await cache.read(name);
  if (before !== undefined && digestOf(before) === root.digest) return before;
  const either = AbortSignal.any([signal, AbortSignal.timeout(wholeTimeout)]);
  const transport = createTransport({ ports, env, signal: either, attempts, stallTimeout });
  const url = new URL(`${baseOf(mirror)}/${root.version}.root.json`);
  const unavailable = (why: string, cause?: unknown) =>
    new InfrastructureError(`${url.href} can't be had: ${why}`, {
      code: "trusted-root-unavailable",
      cause,
      wayOut:
        "Look whether the policy's `tuf.mirror` and `tuf.root.version` are right; or keep root.json with the policy.",
    });
  try {
    const { status, bytes } = await transport.send({ method: "GET", url, readUpTo: maxTrustedRoot });
    if (status !== 200) throw unavailable(`it answers ${status}`);
    if (digestOf(bytes) === root.digest) await cache.write(name, bytes);
    return bytes;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof InfrastructureError && error.code === "trusted-root-unavailable") throw error;
    throw unavailable(error instanceof Error ? error.message : String(error), error);
  } finally {
    await transport.close();
  }
}
