import rows from "./lock.json" with { type: "json" };

/** `os-arch` in Go's words, as in a tool cache or on a mirror: `linux-amd64`. */
export type ToolPlatform = `${string}-${string}`;

/** One external tool: what it is made of, how its build is repeated, and what comes out of that. */
export interface LockedTool {
  /** Unique in a lock; also the name of its file. */
  name: string;
  /** Without a leading `v`. */
  version: string;
  /** The Go module that has its source; `sum` is that module's `h1:` as in a go.sum file. */
  module: { path: string; version: string; sum: `h1:${string}` };
  /** The exact Go release, since another one makes other bytes. */
  toolchain: `go${string}`;
  /** The main package, relative to the module's folder. */
  package: string;
  ldflags: string;
  /**
   * SHA-256 (hex) of what `CGO_ENABLED=0 go build -trimpath -buildvcs=false` gives, per platform. Our own release has
   * the same bytes.
   */
  builds: Readonly<Partial<Record<ToolPlatform, string>>>;
  /** The publisher's own files, of this version; only where the SHA-256 is known. */
  releases?: Readonly<Partial<Record<ToolPlatform, ToolRelease>>>;
  /** How `npm run tools:bump` finds what the publisher signed. */
  publisher?: ToolPublisher;
  /**
   * How a copy found in PATH says its version: the first group of `pattern` (multi-line). A tool without it is known by
   * its bytes only.
   */
  versionCommand?: { args: readonly string[]; pattern: string; env?: Readonly<Record<string, string>> };
  /** For readers of the lock. */
  note?: string;
}

export interface ToolRelease {
  url: string;
  /** Of the file at `url`, hex. */
  sha256: string;
  /** The program's path in that file, where it is an archive (`.tar.gz`); without it the file is the program. */
  member?: string;
  /** The program's own SHA-256, where it is known: then the program is what a cache keeps, and not the archive. */
  memberSha256?: string;
  /**
   * The hash was copied from others who use the tool, and nobody has held it against what the publisher signed: `npm
   * run tools:bump` does.
   */
  unverified?: true;
}

/** `{version}` stands for the version in each of the names. */
export interface ToolPublisher {
  /** `OWNER/REPO` on github.com, whose releases are tagged `vVERSION`. */
  repository: string;
  assets: Readonly<Partial<Record<ToolPlatform, string>>>;
  /** As in {@link ToolRelease}, of each asset. */
  member?: string;
  /** Lines of `SHA-256  FILE`. */
  checksums: string;
  /** The Sigstore bundle of a signature over the checksums. */
  bundle: string;
  /** Who signs: the certificate's subject alternative name, and who vouched for it. */
  signer: { subject: string; issuer: string };
}

/**
 * The tools that goldenpath itself runs. Each module's sum and build's hash was measured from the module proxy with the
 * toolchain that is named.
 */
export const productionTools = rows as unknown as readonly LockedTool[];

/** `linux-amd64` and the like, for this machine unless told. */
export function toolPlatform(os: string = process.platform, arch: string = process.arch): ToolPlatform {
  const goOs = os === "win32" ? "windows" : os;
  const goArch = { x64: "amd64", ia32: "386" }[arch] ?? arch;
  return `${goOs}-${goArch}`;
}

/**
 * The SHA-256 values that a program from outside may have to be run as this tool: our own build's, and the publisher's.
 */
export function acceptedSha256s(tool: LockedTool, platform: ToolPlatform): readonly string[] {
  const release = tool.releases?.[platform];
  const published = release?.member === undefined ? release?.sha256 : release.memberSha256;
  return [tool.builds[platform], published].filter((sha256) => sha256 !== undefined);
}

/** A file that the lock knows by its bytes: what a cache keeps and a mirror has. */
export interface LockedFile {
  /** NAME/VERSION/OS-ARCH/FILE is its path in a cache and on a mirror. */
  file: string;
  sha256s: readonly string[];
  /** Set for an archive: what of it is the tool. */
  archive?: { member: string; memberSha256?: string };
}

/** What can be verified of a tool, the program before an archive of it. Empty: nothing. */
export function lockedFiles(tool: LockedTool, platform: ToolPlatform): LockedFile[] {
  const sha256s = acceptedSha256s(tool, platform);
  const program = sha256s.length === 0 ? [] : [{ file: tool.name, sha256s }];
  const release = tool.releases?.[platform];
  return release?.member === undefined ? program : [...program, archiveFile(release, release.member)];
}

function archiveFile({ url, sha256, memberSha256 }: ToolRelease, member: string): LockedFile {
  const file = decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");
  return { file, sha256s: [sha256], archive: { member, ...(memberSha256 === undefined ? {} : { memberSha256 }) } };
}

/** The file that the publisher's release has. */
export function releasedFile(tool: LockedTool, release: ToolRelease): LockedFile {
  return release.member === undefined
    ? { file: tool.name, sha256s: [release.sha256] }
    : archiveFile(release, release.member);
}
