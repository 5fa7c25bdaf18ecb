import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import {
  formatReference,
  type PinnedReference,
  parseReference,
  type Reference,
} from "@goldenpath/registry-client/oci/reference";
import { downloadTool, isRefusedDownload, maxToolBytes, type ToolLocation } from "./fetch.ts";
import type { LockedFile } from "./lock.ts";
import { labelOf, type Search } from "./search.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Of an artifact that has tools, and of each file in it. */
export const toolsMediaType = "application/vnd.goldenpath.tools.v1";
export const toolFileMediaType = "application/vnd.goldenpath.tool.v1";

export type Mirror =
  | { kind: "url"; base: URL; authorization?: string }
  /** An artifact by digest, as `goldenpath tools publish` makes it. */
  | { kind: "oci"; reference: PinnedReference };

/**
 * The mirror that `GOLDENPATH_TOOL_MIRROR` names; undefined where it is not set.
 * @throws UserError `tool-mirror-invalid`
 */
export function parseMirror(env: Env, mask: Ports["mask"]): Mirror | undefined {
  const value = env["GOLDENPATH_TOOL_MIRROR"];
  if (!value) return undefined;
  if (value.startsWith("oci://")) return { kind: "oci", reference: parseArtifact(value) };
  const base = URL.parse(value);
  if (base === null || !["http:", "https:"].includes(base.protocol) || base.search !== "" || base.hash !== "") {
    // Not printed: what can't be parsed can't be stripped of a password either.
    throw new UserError(
      "GOLDENPATH_TOOL_MIRROR is not a base URL: expected http(s)://HOST[:PORT][/PATH] without a query, or oci://HOST/NAME@sha256:DIGEST",
      { code: "tool-mirror-invalid" },
    );
  }
  const user = decodeURIComponent(base.username);
  const password = decodeURIComponent(base.password);
  base.username = "";
  base.password = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  if (user === "" && password === "") return { kind: "url", base };
  const authorization = Buffer.from(`${user}:${password}`).toString("base64");
  if (password !== "") mask(password);
  mask(authorization);
  return { kind: "url", base, authorization: `Basic ${authorization}` };
}

function parseArtifact(value: string): PinnedReference {
  const invalid = (why: string): UserError =>
    new UserError(`GOLDENPATH_TOOL_MIRROR ${why}: expected oci://HOST/NAME@sha256:DIGEST`, {
      code: "tool-mirror-invalid",
      wayOut: "`goldenpath tools publish oci://HOST/NAME` fills one, and prints the name to put there.",
    });
  let reference: Reference;
  try {
    reference = parseReference(value.slice("oci://".length));
  } catch {
    throw invalid("names no artifact of a registry");
  }
  const { registry, name, digest } = reference;
  if (digest === undefined) throw invalid("names no digest, and what is behind a tag can change");
  return { registry, name, digest };
}

/** What to print for a mirror's file. */
export function formatMirror(mirror: Mirror, search: Search, file: LockedFile): string {
  return mirror.kind === "url"
    ? locateOnMirror(mirror, search, file).url
    : `oci://${formatReference(mirror.reference)}`;
}

/** MIRROR/NAME/VERSION/OS-ARCH/FILE, as a cache has it. */
function locateOnMirror(
  mirror: Extract<Mirror, { kind: "url" }>,
  { tool, platform }: Search,
  { file }: LockedFile,
): ToolLocation {
  const url = new URL([tool.name, tool.version, platform, file].map(encodeURIComponent).join("/"), mirror.base).href;
  return { url, ...(mirror.authorization === undefined ? {} : { authorization: mirror.authorization }) };
}

/**
 * Gets one of the search's files from the mirror, the first of them that it has.
 * @param keep what to do with a file: called with the way to get its bytes
 * @throws InfrastructureError as `downloadTool`; UserError and InfrastructureError of the registry client
 */
export async function fetchFromMirror<T>(
  mirror: Mirror,
  search: Search,
  keep: (file: LockedFile, fetch: (partial: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  if (mirror.kind === "oci") return fetchFromArtifact(mirror.reference, search, keep);
  const refused: string[] = [];
  for (const [index, file] of search.files.entries()) {
    const location = locateOnMirror(mirror, search, file);
    try {
      const { sha256s } = file;
      return await keep(file, (partial) =>
        downloadTool(location, partial, { ...search.options, label: labelOf(search), sha256s }),
      );
    } catch (error) {
      if (!isRefusedDownload(error) || index === search.files.length - 1) throw withReasons(error, refused);
      refused.push((error as Error).message);
    }
  }
  throw new TypeError("nothing of this tool can be verified, so nothing is to be fetched");
}

function withReasons(error: unknown, earlier: readonly string[]): unknown {
  if (!(error instanceof InfrastructureError) || earlier.length === 0) return error;
  const { code, safeToRetry, attempts, wayOut } = error;
  return new InfrastructureError([...earlier, error.message].join("; "), {
    code,
    safeToRetry,
    attempts,
    ...(wayOut === undefined ? {} : { wayOut }),
    cause: error,
  });
}

async function fetchFromArtifact<T>(
  reference: PinnedReference,
  search: Search,
  keep: (file: LockedFile, fetch: (partial: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const { ports, env, signal } = search.options;
  const where = `oci://${formatReference(reference)}`;
  const client = createRegistryClient({ ports, env, ...(signal === undefined ? {} : { signal }) });
  try {
    const root = await client.fetchManifest(reference);
    const { file, layer } = findLayer(root.kind === "image" ? root.manifest.layers : [], search, where);
    return await keep(file, async (partial) => {
      const task = ports.progress.start(`Downloading ${labelOf(search)}`, { unit: "bytes", amount: layer.size });
      try {
        // The end of it fails where the bytes are not of the layer's digest, which is the lock's.
        const content = Readable.from(counted(await client.openBlob(reference, layer), (bytes) => task.advance(bytes)));
        await pipeline(content, createWriteStream(partial), signal === undefined ? {} : { signal });
        task.done();
      } catch (error) {
        task.failed();
        throw error;
      }
    });
  } catch (error) {
    // A mirror that is not there, or not for us, is one source less, as one by URL is.
    if (!(error instanceof UserError)) throw error;
    const { message, wayOut } = error;
    throw new InfrastructureError(`${where}: ${message}`, {
      code: "tool-download-failed",
      safeToRetry: false,
      ...(wayOut === undefined ? {} : { wayOut }),
      cause: error,
    });
  } finally {
    await client.close();
  }
}

/** A layer is known by its digest alone: names in an artifact are for people. */
function findLayer(
  layers: readonly Descriptor[],
  search: Search,
  where: string,
): { file: LockedFile; layer: Descriptor } {
  for (const file of search.files) {
    const layer = layers.find(({ digest }) => digest.startsWith("sha256:") && file.sha256s.includes(digestHex(digest)));
    if (layer === undefined) continue;
    if (layer.size <= maxToolBytes) return { file, layer };
    throw new InfrastructureError(
      `${labelOf(search)} in ${where} has ${layer.size} bytes, and is larger than any tool`,
      {
        code: "tool-mismatch",
      },
    );
  }
  throw new InfrastructureError(
    `${where} has no ${labelOf(search)} for ${search.platform}: none of its ${layers.length} files has a SHA-256 of the lock`,
    {
      code: "tool-download-failed",
      safeToRetry: false,
      wayOut: "Fill a mirror by this version's lock with `goldenpath tools publish`, and name its new digest.",
    },
  );
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    count(chunk.byteLength);
    yield chunk;
  }
}
