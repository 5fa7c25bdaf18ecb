import { lstat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { describeError, InfrastructureError } from "@goldenpath/foundation/errors";
import { isInside, type ViewPart } from "./view.ts";

/**
 * What a part is mounted on may lie in a folder that the build writes to (a tool or certificates below /tmp), and a
 * program of the build that is over may have left a link on the way: to whoever makes the room, which may be root, that
 * leads to the machine's own files.
 * @throws InfrastructureError `build-directory-unsafe`
 */
export async function requireStraight(parts: readonly ViewPart[]): Promise<void> {
  for (const [index, written] of parts.entries()) {
    if (written.mode !== "rw") continue;
    for (const { mode, to } of parts.slice(index + 1)) {
      // A link is made where nothing is, and never followed itself.
      const way = relative(written.to, mode === "link" ? dirname(to) : to);
      if (way !== "" && isInside(to, written.to)) await requireNoLink(written.from, way.split("/"));
    }
  }
}

async function requireNoLink(folder: string, way: readonly string[]): Promise<void> {
  for (let depth = 1; depth <= way.length; depth += 1) {
    const path = join(folder, ...way.slice(0, depth));
    const stats = await lstat(path).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw unsafe(path, describeError(error), error);
    });
    if (stats === undefined) return;
    if (stats.isSymbolicLink()) throw unsafe(path, "it is a link");
  }
}

function unsafe(path: string, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`the build left ${path} where something of this machine is to be shown: ${why}`, {
    code: "build-directory-unsafe",
    cause,
    safeToRetry: false,
    wayOut: "Find out what in the build wrote it, or keep tools and certificates elsewhere than below /tmp.",
  });
}
