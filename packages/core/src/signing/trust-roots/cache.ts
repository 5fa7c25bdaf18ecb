import { createHash, randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { describeError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { readBoundedFile } from "@goldenpath/foundation/text/read-file";
import { toolCacheDirectory } from "../../tools/cache.ts";
import type { TufSource } from "../sigstore-instance.ts";

/** What was verified of a repository the last time: so that an older state of it is noticed, and an outage bridged. */
export interface TrustCache {
  read(name: string): Promise<Buffer | undefined>;
  /** What can't be kept is not kept. */
  write(name: string, bytes: Uint8Array): Promise<void>;
}

/** No metadata that is read has more. Bytes. */
const maxKept = 5_000_000;

/**
 * A folder for each root that is trusted, in the tools' cache. Nothing in it is believed without its signatures, so that
 * whoever can write there can take the memory away and add nothing. In the application's own folder there is none: what
 * is there is the application's.
 */
export function openTrustCache(
  { mirror, root, target }: TufSource,
  { ports, env, workingDirectory }: Pick<Context, "ports" | "env" | "workingDirectory">,
): TrustCache {
  const name = createHash("sha256")
    .update(JSON.stringify([mirror, root.digest, target]))
    .digest("hex");
  const directory = join(toolCacheDirectory(env), "trust-roots", name);
  const inside = relative(workingDirectory, directory);
  if (inside !== ".." && !inside.startsWith("../") && !isAbsolute(inside))
    return { read: async () => undefined, write: async () => undefined };
  return {
    read: async (file) => readBoundedFile(join(directory, file), maxKept).catch(() => undefined),
    async write(file, bytes) {
      const passing = join(directory, `.${file}.${randomBytes(8).toString("hex")}`);
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await writeFile(passing, bytes, { flag: "wx" });
        await rename(passing, join(directory, file));
      } catch (error) {
        ports.log.debug(`${file} of ${mirror} is not kept: ${describeError(error)}`);
        await rm(passing, { force: true }).catch(() => undefined);
      }
    },
  };
}
