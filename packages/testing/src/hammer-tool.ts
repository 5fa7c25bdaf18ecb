import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cachedToolPath } from "@goldenpath/core/tools/cache";
import type { FindToolOptions } from "@goldenpath/core/tools/find";
import { type LockedTool, toolPlatform } from "@goldenpath/core/tools/lock";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { afterEach, beforeEach } from "vitest";

export const platform = toolPlatform();
export let folder: string;
export let marker: string;
export let warnings: string[];
export let masked: string[];
export const servers: Server[] = [];

/** A program that says a version, and leaves a mark that it ran. */
export function program(version: string, note = ""): string {
  return `#!/bin/sh\n# ${note}\n: > '${marker}'\necho "hammer version ${version}"\n`;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export const genuine = () => program("1.2.3", "the one in the lock");

export function hammer(more: Partial<LockedTool> = {}): LockedTool {
  return {
    name: "hammer",
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w",
    builds: { [platform]: sha256(genuine()) },
    versionCommand: { args: ["version"], pattern: "^hammer version v?(\\d+\\.\\d+\\.\\d+)$" },
    ...more,
  };
}

export function ports(): Ports {
  const silent = silentPorts();
  return {
    ...silent,
    log: { ...silent.log, warning: (text) => void warnings.push(text) },
    mask: (secret) => void masked.push(secret),
  };
}

/** Nothing but what a test puts there: no Go, no tool of the machine. */
export function options(
  more: { tool?: LockedTool; env?: Record<string, string>; given?: string } = {},
): FindToolOptions & { env: Record<string, string> } {
  return {
    ports: ports(),
    lock: [more.tool ?? hammer()],
    sleep: async () => undefined,
    env: { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache"), ...more.env },
    ...(more.given === undefined ? {} : { given: more.given }),
  };
}

export function install(path: string, content: string, mode = 0o755): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

export const cached = () => cachedToolPath(join(folder, "cache"), hammer(), platform);
export const inPath = () => join(folder, "bin", "hammer");

export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Everything below the cache that is not a folder. */
export function filesInCache(): string[] {
  const directory = join(folder, "cache");
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name);
}

/** Registers the hooks that open and close what the tests share. */
export function useHammer(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "goldenpath-tools-"));
    marker = join(folder, "it-was-run");
    warnings = [];
    masked = [];
  });
  afterEach(async () => {
    rmSync(folder, { recursive: true, force: true });
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
}
