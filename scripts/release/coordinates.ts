import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ownRepository } from "@goldenpath/core/tools/own-release";
import { root } from "../steps.ts";

/**
 * Where goldenpath's own releases are. A fork changes these (`repository` where core has it), and nothing else does.
 */
export const coordinates = {
  repository: ownRepository,
  npmPackage: "@goldenpath-ci/goldenpath",
  image: "ghcr.io/goldenpath-ci/goldenpath",
} as const;

/** The version that every package of this repository has. */
export function readVersion(): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}
