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
  /** SHA-256 (hex) of what `CGO_ENABLED=0 go build -trimpath -buildvcs=false` gives, per platform. A platform that is not here can't be verified. */
  builds: Readonly<Partial<Record<ToolPlatform, string>>>;
  /** The publisher's own binaries, as plain files; only where the SHA-256 is known. */
  releases?: Readonly<Partial<Record<ToolPlatform, { url: string; sha256: string }>>>;
  /** How a copy found in PATH says its version: the first group of `pattern` (multi-line). A tool without it is known by its bytes only. */
  versionCommand?: { args: readonly string[]; pattern: string; env?: Readonly<Record<string, string>> };
}

const toolchain = "go1.26.8";

const lifecycleModule = {
  path: "github.com/buildpacks/lifecycle",
  version: "v0.20.11",
  sum: "h1:lr8smVyW59HvkdJj7H3rYbfiNT7ndkV4cV2lQiOnCuo=",
} as const;

/** The tools that goldenpath itself runs. Each sum and hash was measured from the module proxy with the toolchain that is named. */
export const productionTools: readonly LockedTool[] = [
  {
    name: "lifecycle",
    version: "0.20.11",
    module: lifecycleModule,
    toolchain,
    package: "./cmd/lifecycle",
    ldflags: "-s -w -X github.com/buildpacks/lifecycle/cmd.Version=0.20.11",
    builds: { "linux-amd64": "46389cc5fd3783ebe536a8bb956bc78f95248a1c6fae30f81c5c68b3d5859f20" },
    // A release appends its commit: 0.20.11+4e5936a9.
    versionCommand: { args: ["-version"], pattern: "^v?(\\d+\\.\\d+\\.\\d+)(?:\\+[0-9a-f]+)?$" },
  },
  {
    // It has no way to say its version: without a process to launch it ends with an error.
    name: "launcher",
    version: "0.20.11",
    module: lifecycleModule,
    toolchain,
    package: "./cmd/launcher",
    ldflags: "-s -w -X github.com/buildpacks/lifecycle/cmd.Version=0.20.11",
    builds: { "linux-amd64": "afd3fc4071f4d418e60ef0abfe7cf58cd85a619e20bfbac85b6a804bb70d852a" },
  },
  {
    name: "syft",
    version: "1.57.0",
    module: { path: "github.com/anchore/syft", version: "v1.57.0", sum: "h1:H/UHtf0KbIlD12dXsfklFMjZ2+erj2an3h/jBHoX/zE=" },
    toolchain,
    package: "./cmd/syft",
    ldflags: "-s -w -X main.version=1.57.0",
    builds: { "linux-amd64": "600c890e0664fedaa40984b06d1632a42662e9d72e92b62a18231717938fdc9a" },
    versionCommand: {
      args: ["version", "-o", "json"],
      pattern: '"version":\\s*"v?(\\d+\\.\\d+\\.\\d+)"',
      env: { SYFT_CHECK_FOR_APP_UPDATE: "false" },
    },
  },
  {
    name: "grype",
    version: "0.121.2",
    module: { path: "github.com/anchore/grype", version: "v0.121.2", sum: "h1:t8eTlmy/XSrNwjoahWG+oUod1oCLL3KL48l/qwkzUQw=" },
    toolchain,
    package: "./cmd/grype",
    ldflags: "-s -w -X main.version=0.121.2",
    builds: { "linux-amd64": "1d0614577a1e59e9324add04c6b5dec2b2577a82335cd8204f8d85812a6f24ca" },
    versionCommand: {
      args: ["version", "-o", "json"],
      pattern: '"version":\\s*"v?(\\d+\\.\\d+\\.\\d+)"',
      env: { GRYPE_CHECK_FOR_APP_UPDATE: "false" },
    },
  },
];

/** `linux-amd64` and the like, for this machine unless told. */
export function toolPlatform(os: string = process.platform, arch: string = process.arch): ToolPlatform {
  const goOs = os === "win32" ? "windows" : os;
  const goArch = { x64: "amd64", ia32: "386" }[arch] ?? arch;
  return `${goOs}-${goArch}`;
}

/** The SHA-256 values that a file from outside may have to be run as this tool: our own build's, and the publisher's. Empty: nothing can be verified. */
export function acceptedSha256s(tool: LockedTool, platform: ToolPlatform): readonly string[] {
  const release = tool.releases?.[platform];
  const build = tool.builds[platform];
  return [...(build === undefined ? [] : [build]), ...(release === undefined ? [] : [release.sha256])];
}
