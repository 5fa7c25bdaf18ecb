import type { LockedTool, ToolPlatform } from "./lock.ts";

/** The repository that has goldenpath's own releases, of its tools as well. */
export const ownRepository = "goldenpath-ci/goldenpath";

/** Where the files of those releases are. */
export const ownReleases = `https://github.com/${ownRepository}/releases/download`;

/**
 * The tag of the release that has a tool's builds; another toolchain makes other bytes, and a release never changes.
 */
export function ownReleaseTag({ name, version, toolchain }: LockedTool): string {
  return `tool-${name}-${version}-${toolchain}`;
}

/** The name of a build among that release's files. */
export function ownReleaseAsset({ name }: LockedTool, platform: ToolPlatform): string {
  return `${name}-${platform}`;
}

export function locateInOwnRelease(tool: LockedTool, platform: ToolPlatform, releases: string): string {
  return `${releases}/${encodeURIComponent(ownReleaseTag(tool))}/${encodeURIComponent(ownReleaseAsset(tool, platform))}`;
}
