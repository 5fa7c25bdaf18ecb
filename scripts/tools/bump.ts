// A row of the tools' lock for a version: from what the publisher signed, and from a build that is measured here.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpackMember } from "@goldenpath/core/tools/archive";
import { sha256OfFile } from "@goldenpath/core/tools/cache";
import { downloadTool } from "@goldenpath/core/tools/fetch";
import type { LockedTool, ToolPlatform, ToolPublisher, ToolRelease } from "@goldenpath/core/tools/lock";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Ports } from "@goldenpath/foundation/ports";
import type { TrustMaterial } from "@sigstore/verify";
import { parseChecksums, verifySigned } from "./checksums.ts";

export interface BumpOptions {
  /** Whose signatures count. */
  trust: () => Promise<TrustMaterial>;
  /** The module's `h1:`, and what its build hashes to; asked only where the version changes. */
  go: GoMeasures;
  ports: Ports;
  env: Readonly<Record<string, string | undefined>>;
  /** In place of `https://github.com`. */
  github?: string;
}

export interface GoMeasures {
  moduleSum(path: string, version: string): Promise<LockedTool["module"]["sum"]>;
  measureBuild(tool: LockedTool, platform: ToolPlatform): Promise<string>;
}

/** Text files of a release; the largest has some kilobytes. */
const maxTextBytes = 1024 * 1024;

/**
 * The row as it is to be. Without a version, the publisher's latest.
 * @throws UserError `version-invalid`, `version-missing`, `checksums-invalid`, `signature-invalid`,
 *   `signer-unexpected`, `asset-missing`, `release-changed`; InfrastructureError of downloads, of archives and of Go
 */
export async function bumpTool(row: LockedTool, wanted: string | undefined, options: BumpOptions): Promise<LockedTool> {
  const version = (wanted ?? (await findLatest(row, options))).replace(/^v/, "");
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new UserError(`'${version}' is not a version of ${row.name}: expected MAJOR.MINOR.PATCH`, {
      code: "version-invalid",
    });
  }
  const { releases: before, ...rest } = row;
  const releases = row.publisher === undefined ? undefined : await fetchReleases(row, row.publisher, version, options);
  if (version === row.version) {
    for (const [platform, release] of Object.entries(releases ?? {}))
      refuseChange(row, before?.[platform as ToolPlatform], release);
    return orderFields({ ...row, ...(releases === undefined ? {} : { releases }) });
  }
  const moduleVersion = `v${version}`;
  const next: LockedTool = {
    ...rest,
    version,
    module: { ...row.module, version: moduleVersion, sum: await options.go.moduleSum(row.module.path, moduleVersion) },
    ldflags: row.ldflags.replaceAll(row.version, version),
    builds: {},
    ...(releases === undefined ? {} : { releases }),
  };
  const builds: Partial<Record<ToolPlatform, string>> = {};
  for (const platform of Object.keys(row.builds) as ToolPlatform[])
    builds[platform] = await options.go.measureBuild(next, platform);
  return orderFields({ ...next, builds });
}

/** A lock whose rows differ only in what was changed is a lock whose changes can be read. */
function orderFields(row: LockedTool): LockedTool {
  const { name, version, module, toolchain, ldflags, builds, releases, publisher, versionCommand, note, ...more } = row;
  const kept = Object.entries({ releases, publisher, versionCommand, note }).filter(([, value]) => value !== undefined);
  return { name, version, module, toolchain, package: more.package, ldflags, builds, ...Object.fromEntries(kept) };
}

/**
 * What is published under a version never changes; where it did, or where the hash that was copied was wrong, somebody
 * has to look.
 */
function refuseChange(row: LockedTool, before: ToolRelease | undefined, now: ToolRelease | undefined): void {
  if (before === undefined || now === undefined || before.sha256 === now.sha256) return;
  throw new UserError(
    `${now.url} is signed with the SHA-256 ${now.sha256}, and the lock has ${before.sha256}${before.unverified === true ? ", which nobody had verified" : ""}`,
    {
      code: "release-changed",
      wayOut: `Find out where the lock's value came from; then take 'releases' out of ${row.name}'s row, and run this again.`,
    },
  );
}

async function findLatest({ name, publisher }: LockedTool, options: BumpOptions): Promise<string> {
  if (publisher === undefined) {
    throw new UserError(`${name}'s row names no publisher to ask for the latest version`, {
      code: "version-missing",
      wayOut: `Give the version: npm run tools:bump ${name} VERSION.`,
    });
  }
  const url = `${options.github ?? "https://github.com"}/${publisher.repository}/releases/latest`;
  const response = await ask(url, { redirect: "manual" });
  await response.body?.cancel();
  const version = /\/releases\/tag\/v(?<version>\d+\.\d+\.\d+)$/.exec(response.headers.get("location") ?? "")?.groups?.[
    "version"
  ];
  if (version !== undefined) return version;
  throw new UserError(`${url} does not lead to a release tagged vMAJOR.MINOR.PATCH (it answered ${response.status})`, {
    code: "version-missing",
    wayOut: `Give the version: npm run tools:bump ${name} VERSION.`,
  });
}

async function fetchReleases(
  row: LockedTool,
  publisher: ToolPublisher,
  version: string,
  options: BumpOptions,
): Promise<NonNullable<LockedTool["releases"]>> {
  const named = (template: string): string => template.replaceAll("{version}", version);
  const path = `${publisher.repository}/releases/download/v${version}`;
  const from = `${options.github ?? "https://github.com"}/${path}`;
  const where = `${from}/${named(publisher.checksums)}`;
  const checksums = await fetchText(where);
  const bundle = new TextDecoder().decode(await fetchText(`${from}/${named(publisher.bundle)}`));
  const signer = { ...publisher.signer, subject: named(publisher.signer.subject) };
  verifySigned(checksums, bundle, signer, await options.trust(), where);
  const byFile = parseChecksums(new TextDecoder().decode(checksums), where);
  const releases: Partial<Record<ToolPlatform, ToolRelease>> = {};
  for (const [platform, template] of Object.entries(publisher.assets) as [ToolPlatform, string][]) {
    const asset = named(template);
    const sha256 = byFile.get(asset);
    if (sha256 === undefined) {
      throw new UserError(`${where} has no ${asset}: it has ${[...byFile.keys()].join(", ")}`, {
        code: "asset-missing",
        wayOut: "Correct the names in the row's 'publisher'.",
      });
    }
    const { member } = publisher;
    const memberSha256 = await measureMember(row, `${from}/${asset}`, sha256, member, options);
    releases[platform] = {
      url: `https://github.com/${path}/${asset}`,
      sha256,
      ...(member === undefined ? {} : { member, memberSha256 }),
    };
  }
  return releases;
}

/** The program's own hash, out of the very file that was signed: so that a cache can keep the program. */
async function measureMember(
  row: LockedTool,
  url: string,
  sha256: string,
  member: string | undefined,
  options: BumpOptions,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "goldenpath-bump-"));
  try {
    const label = `${row.name} of ${url.split("/").at(-1)}`;
    const archive = join(folder, "archive");
    await downloadTool({ url }, archive, { label, sha256s: [sha256], ports: options.ports, env: options.env });
    return member === undefined
      ? sha256
      : await unpackMember(archive, join(folder, "program"), { label, sha256, member });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fetchText(url: string): Promise<Uint8Array> {
  const response = await ask(url);
  if (!response.ok) {
    await response.body?.cancel();
    throw new UserError(`${url} answered ${response.status}`, {
      code: "checksums-missing",
      wayOut: "Look whether that version is published and signed.",
    });
  }
  const bytes = await response.bytes();
  if (bytes.byteLength > maxTextBytes)
    throw new UserError(`${url} is larger than ${maxTextBytes} bytes`, { code: "checksums-invalid" });
  return bytes;
}

async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new InfrastructureError(`${url} can't be reached: ${describeError(cause)}`, {
      code: "publisher-unreachable",
      cause: error,
    });
  }
}

export async function hashBuild(path: string): Promise<string> {
  const sha256 = await sha256OfFile(path);
  if (sha256 === undefined) throw new TypeError(`${path} was not built`);
  return sha256;
}
