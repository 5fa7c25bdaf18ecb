import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { buildTool } from "./build-tool.ts";
import { keepFile } from "./cached.ts";
import { downloadTool } from "./fetch.ts";
import { type LockedFile, releasedFile } from "./lock.ts";
import { fetchFromMirror, formatMirror, parseMirror } from "./mirror.ts";
import { locateInOwnRelease } from "./own-release.ts";
import { labelOf, type Search, type ToolSource } from "./search.ts";

/** A place that the tool can be got from. */
export interface Offer {
  source: ToolSource;
  /** A URL, or a Go module. */
  origin: string;
  /** What is in the cache after it. */
  store(): Promise<LockedFile>;
}

/**
 * In their order: the places that can have the tool, and why each of the others can't. @throws UserError
 * `tool-mirror-invalid`
 */
export function listSources(search: Search): (Offer | { source: ToolSource; reason: string })[] {
  return [offerMirror(search), ...offerOwnRelease(search), offerRelease(search), offerBuild(search)];
}

function offerMirror(search: Search): Offer | { source: ToolSource; reason: string } {
  const mirror = parseMirror(search.options.env, search.options.ports.mask);
  if (mirror === undefined) return { source: "mirror", reason: "GOLDENPATH_TOOL_MIRROR is not set" };
  const [first] = search.files;
  if (first === undefined) return { source: "mirror", reason: nothingKnown(search) };
  return {
    source: "mirror",
    origin: formatMirror(mirror, search, first),
    store: () => fetchFromMirror(mirror, search, (file, fetch) => keepFile(search, file, fetch)),
  };
}

/** Builds that are the lock's byte for byte; a lock of somebody else's has none. */
function offerOwnRelease(search: Search): (Offer | { source: ToolSource; reason: string })[] {
  const { tool, platform, ownReleases } = search;
  if (ownReleases === undefined) return [];
  const sha256 = tool.builds[platform];
  if (sha256 === undefined) return [{ source: "own-release", reason: nothingBuilt(search) }];
  const url = locateInOwnRelease(tool, platform, ownReleases);
  return [offerDownload(search, "own-release", url, { file: tool.name, sha256s: [sha256] })];
}

function offerRelease(search: Search): Offer | { source: ToolSource; reason: string } {
  const release = search.tool.releases?.[search.platform];
  if (release === undefined) return { source: "release", reason: "the lock knows no release file for this platform" };
  const offer = offerDownload(search, "release", release.url, releasedFile(search.tool, release));
  if (release.unverified !== true) return offer;
  const store = (): ReturnType<Offer["store"]> => {
    const { name, version } = search.tool;
    search.options.ports.log.warning(
      `${name} ${version} is taken from its publisher by a hash that nobody has compared with the publisher's signed ones`,
    );
    return offer.store();
  };
  return { ...offer, store };
}

function offerDownload(search: Search, source: ToolSource, url: string, file: LockedFile): Offer {
  const options = { ...search.options, label: labelOf(search), sha256s: file.sha256s };
  return {
    source,
    origin: url,
    store: () => keepFile(search, file, (partial) => downloadTool({ url }, partial, options)),
  };
}

function offerBuild(search: Search): Offer | { source: ToolSource; reason: string } {
  const { tool, platform, options } = search;
  const sha256 = tool.builds[platform];
  if (sha256 === undefined) return { source: "build", reason: nothingBuilt(search) };
  const file: LockedFile = { file: tool.name, sha256s: [sha256] };
  return {
    source: "build",
    origin: `${tool.module.path}@${tool.module.version}`,
    store: () => keepFile(search, file, (partial) => buildTool(tool, partial, { ...options, ...search })),
  };
}

export async function hasGo({ options }: Search): Promise<boolean> {
  return (await findInPath("go", options.env)) !== undefined;
}

export function nothingKnown({ tool, platform }: Pick<Search, "tool" | "platform">): string {
  return `the lock has no SHA-256 of ${tool.name} ${tool.version} for ${platform}, so nothing could be verified`;
}

function nothingBuilt(search: Search): string {
  const { tool, platform, files } = search;
  if (files.length === 0) return nothingKnown(search);
  return `the lock has no SHA-256 of a build of ${tool.name} ${tool.version} for ${platform}`;
}
