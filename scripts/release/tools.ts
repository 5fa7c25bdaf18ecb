// Our own release of tools: `node scripts/release/tools.ts FOLDER [NAME…] [--platform OS-ARCH]…` builds the lock's
// tools from the Go module proxy, compares each with the lock, and leaves FOLDER/TAG/FILE and FOLDER/TAG/SHA256SUMS as
// a release has them. It prints the tags. What is already there is built again: a release's bytes are made here and
// nowhere else.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildTool } from "@goldenpath/core/tools/build-tool";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { type LockedTool, productionTools, type ToolPlatform } from "@goldenpath/core/tools/lock";
import { ownReleaseAsset, ownReleaseTag } from "@goldenpath/core/tools/own-release";
import { describeError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import { createTerminalPorts } from "../../packages/cli/src/ports.ts";

interface ReleaseOptions {
  platforms: readonly ToolPlatform[];
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * Builds one tool's release into `folder`.
 * @returns its tag; undefined where the lock has no build of it for these platforms
 * @throws InfrastructureError of Go, and `tool-mismatch` where what comes out is not the lock's
 */
export async function buildRelease(
  tool: LockedTool,
  folder: string,
  { platforms, ports, env }: ReleaseOptions,
): Promise<string | undefined> {
  const tag = ownReleaseTag(tool);
  const directory = join(folder, tag);
  const wanted = (Object.keys(tool.builds) as ToolPlatform[]).filter(
    (platform) => platforms.length === 0 || platforms.includes(platform),
  );
  if (wanted.length === 0) return undefined;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const sums: string[] = [];
  for (const platform of wanted.sort()) {
    const asset = ownReleaseAsset(tool, platform);
    await buildTool(tool, join(directory, asset), { platform, cacheDirectory: toolCacheDirectory(env), ports, env });
    sums.push(`${tool.builds[platform]}  ${asset}\n`);
  }
  await writeFile(join(directory, "SHA256SUMS"), sums.join(""));
  return tag;
}

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      options: { platform: { type: "string", multiple: true } },
      allowPositionals: true,
    });
    const [folder, ...names] = positionals;
    const strange = names.find((name) => !productionTools.some((tool) => tool.name === name));
    if (folder === undefined || strange !== undefined) {
      const known = productionTools.map(({ name }) => name).join(", ");
      throw new UserError(`scripts/release/tools.ts FOLDER [NAME…] [--platform OS-ARCH]…: NAME is one of ${known}`, {
        code: "arguments-invalid",
      });
    }
    const options = {
      platforms: (values.platform ?? []) as ToolPlatform[],
      ports: createTerminalPorts({ out: process.stderr }),
      env: process.env,
    };
    for (const tool of productionTools) {
      if (names.length > 0 && !names.includes(tool.name)) continue;
      const tag = await buildRelease(tool, resolve(folder), options);
      if (tag !== undefined) console.log(tag);
    }
  } catch (error) {
    console.error(describeError(error));
    process.exitCode = 2;
  }
}
