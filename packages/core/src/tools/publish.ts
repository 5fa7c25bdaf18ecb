import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference, Repository } from "@goldenpath/registry-client/oci/reference";
import { type CachedFile, cacheTool } from "./find.ts";
import { type LockedTool, lockedFiles, productionTools, type ToolPlatform } from "./lock.ts";
import { toolFileMediaType, toolsMediaType } from "./mirror.ts";
import type { FindToolOptions } from "./search.ts";
import { nothingKnown } from "./sources.ts";

export interface PublishedTools {
  reference: PinnedReference;
  /** In the artifact's order. */
  files: { name: string; version: string; platform: ToolPlatform; file: string; sha256: string; size: number }[];
  /** What the lock can't verify, and so has no place there. */
  left: { name: string; platform: ToolPlatform; reason: string }[];
}

interface PublishOptions extends Omit<FindToolOptions, "platform" | "given"> {
  /** All of the lock's where there are none. */
  names: readonly string[];
  /** All that the lock knows where there are none. */
  platforms: readonly ToolPlatform[];
  tag?: string;
}

/** The platforms that a lock has something for. */
export function lockedPlatforms(lock: readonly LockedTool[]): ToolPlatform[] {
  const platforms = lock.flatMap((tool) => [...Object.keys(tool.builds), ...Object.keys(tool.releases ?? {})]);
  return [...new Set(platforms)].sort() as ToolPlatform[];
}

/**
 * Puts tools into a registry as one artifact, for `GOLDENPATH_TOOL_MIRROR=oci://…`: of each tool and platform what the
 * lock can verify. The same files always make the same digest. Everything is there and verified before the first byte
 * is pushed.
 * @throws UserError `tool-unknown`, `tool-platform-unknown`; `findTool`'s errors where one can't be had; the registry
 *   client's
 */
export async function publishTools(
  client: RegistryClient,
  repository: Repository,
  options: PublishOptions,
): Promise<PublishedTools> {
  const { files, left } = await gatherFiles(options);
  const config: Descriptor = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  await client.pushBlob(repository, config, () => emptyBlob.bytes);
  const layers: Descriptor[] = [];
  for (const { path, ...file } of files) {
    const title = `${file.name}/${file.version}/${file.platform}/${file.file}`;
    const layer: Descriptor = {
      mediaType: toolFileMediaType,
      digest: `sha256:${file.sha256}`,
      size: file.size,
      // By these names, `oras pull` makes the folder that a mirror by URL serves.
      annotations: { "org.opencontainers.image.title": title },
    };
    const task = options.ports.progress.start(`Pushing ${title}`, { unit: "bytes", amount: file.size });
    try {
      await client.pushBlob(repository, layer, () => createReadStream(path), {
        onBytes: (bytes) => task.advance(bytes),
      });
      task.done();
    } catch (error) {
      task.failed();
      throw error;
    }
    layers.push(layer);
  }
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: toolsMediaType,
    config,
    layers,
  });
  const digest = await client.pushManifest(
    repository,
    new TextEncoder().encode(manifest),
    mediaTypes.ociManifest,
    options.tag,
  );
  return { reference: { ...repository, digest }, files: files.map(({ path: _, ...file }) => file), left };
}

type GatheredFile = PublishedTools["files"][number] & { path: string };

async function gatherFiles(options: PublishOptions): Promise<{ files: GatheredFile[]; left: PublishedTools["left"] }> {
  const lock = options.lock ?? productionTools;
  const known = lockedPlatforms(lock);
  const platforms = options.platforms.length === 0 ? known : options.platforms;
  const strange = platforms.find((platform) => !known.includes(platform));
  if (strange !== undefined) {
    throw new UserError(`the lock has nothing for platform '${strange}': it has ${known.join(", ")}`, {
      code: "tool-platform-unknown",
    });
  }
  const names = options.names.length === 0 ? lock.map(({ name }) => name) : [...new Set(options.names)];
  const files: GatheredFile[] = [];
  const left: PublishedTools["left"] = [];
  const gather = async (name: string, platform: ToolPlatform): Promise<CachedFile | undefined> => {
    const tool = lock.find((each) => each.name === name);
    if (tool !== undefined && lockedFiles(tool, platform).length === 0) {
      left.push({ name, platform, reason: nothingKnown({ tool, platform }) });
      return undefined;
    }
    return cacheTool(name, { ...options, platform });
  };
  for (const name of names) {
    for (const platform of platforms) {
      const cached = await gather(name, platform);
      if (cached === undefined) continue;
      const version = lock.find((tool) => tool.name === name)?.version ?? "";
      const { size } = await stat(cached.path);
      files.push({ name, version, platform, file: cached.file.file, sha256: cached.sha256, size, path: cached.path });
    }
  }
  if (files.length > 0) return { files, left };
  throw new UserError(`there is nothing to publish: ${left.map(({ reason }) => reason).join("; ")}`, {
    code: "tool-platform-unknown",
  });
}
