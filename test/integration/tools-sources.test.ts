import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type FindToolOptions, findTool, prefetchTools } from "@goldenpath/core/tools/find";
import { type LockedTool, productionTools, toolPlatform } from "@goldenpath/core/tools/lock";
import { locateInOwnRelease } from "@goldenpath/core/tools/own-release";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { failureOf } from "@goldenpath/testing/failure";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildRelease } from "../../scripts/release/tools.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A server of this machine stands in for the publishers and for our own release, whose servers tests don't reach: it
// serves the real programs, packed by the test as publishers pack them, and a lock of the test's own has those
// archives' hashes. Nothing but PATH's empty folder is there: no Go, no tool, empty caches.
const platform = toolPlatform();
const root = join(import.meta.dirname, "../..");
const names = productionTools.map(({ name }) => name);
const programs = useTools(...names);
const sha256 = (bytes: Uint8Array): string => digestHex(digestOf(bytes));

let folder: string;
let server: Server;
let base: string;
/** What is served, by path: bytes, or a file of this machine. */
const served = new Map<string, Uint8Array | { file: string }>();
let asked: string[] = [];
let lock: LockedTool[];

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const content = served.get(path);
    if (content === undefined) response.writeHead(404).end();
    else if (content instanceof Uint8Array) response.end(content);
    else createReadStream(content.file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  lock = names.map(serveAsPublished);
}, 120_000);
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-sources-"));
  asked = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function row(name: string): LockedTool {
  const tool = productionTools.find((each) => each.name === name);
  if (tool === undefined) throw new Error(`${name} is not locked`);
  return tool;
}

function programOf(name: string): string {
  const program = programs[name];
  if (program === undefined) throw new Error(`${name} is not here`);
  return program;
}

/** The production row as a publisher's archive would have it; tools of no publisher are in our own release alone. */
function serveAsPublished(name: string): LockedTool {
  const tool = row(name);
  if (tool.publisher === undefined) {
    served.set(new URL(locateInOwnRelease(tool, platform, `${base}/own`)).pathname, { file: programOf(name) });
    return tool;
  }
  const archive = gzipSync(
    tarOf({ name: "LICENSE", content: "its licence" }, { name, content: readFileSync(programOf(name)), mode: 0o755 }),
    { level: 1 },
  );
  const path = `/download/${name}_${tool.version}.tar.gz`;
  served.set(path, archive);
  return {
    ...tool,
    builds: {},
    releases: { [platform]: { url: `${base}${path}`, sha256: sha256(archive), member: name } },
  };
}

function emptyMachine(): Record<string, string> {
  mkdirSync(join(folder, "bin"), { recursive: true });
  return { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache") };
}

function options(more: Partial<FindToolOptions> = {}): FindToolOptions {
  mkdirSync(join(folder, "private"), { recursive: true });
  return {
    ports: silentPorts(),
    lock,
    ownReleases: `${base}/own`,
    privateDirectory: join(folder, "private"),
    env: emptyMachine(),
    ...more,
  };
}

/** The command line as a process of its own, on the empty machine. */
function goldenpath(args: string[], env: Record<string, string> = {}): ReturnType<typeof runProcess> {
  const bin = join(root, "packages/cli/bin/goldenpath.mjs");
  return runProcess(process.execPath, ["--conditions=goldenpath-source", bin, ...args], {
    env: { ...emptyMachine(), CI: "1", ...env },
  });
}

describe("a fresh machine without Go", () => {
  it("has every stage's tools at once: of our own release or a publisher's archive each, in one request each", async () => {
    const start = performance.now();
    const found = await prefetchTools(names, options());
    console.log(
      `every stage's tools, with empty caches and without Go: ${((performance.now() - start) / 1000).toFixed(1)} s`,
    );
    const published = ["syft", "grype"];
    expect(found.map(({ name, source }) => `${name} ${source}`)).toEqual(
      names.map((name) => `${name} ${published.includes(name) ? "release" : "own-release"}`),
    );
    expect(asked.map((path) => basename(path)).sort()).toEqual(
      names
        .map((name) => (published.includes(name) ? `${name}_${row(name).version}.tar.gz` : `${name}-${platform}`))
        .sort(),
    );
    for (const { name, path, sha256: hash } of found) {
      expect(path.startsWith(join(folder, "private"))).toBe(true);
      expect(hash).toBe(sha256(readFileSync(programOf(name))));
    }
    const syft = found.find(({ name }) => name === "syft")?.path ?? "";
    expect((await runProcess(syft, ["version"], { env: { HOME: folder } })).stdout).toContain(row("syft").version);
  });

  it("has them from its cache the second time, and asks nobody", async () => {
    await prefetchTools(names, options());
    asked = [];
    const again = await prefetchTools(names, options());
    expect(again.map(({ source }) => source)).toEqual(names.map(() => "cache"));
    expect(asked).toEqual([]);
  });

  it("refuses an archive with one wrong byte, in the middle of the program; its twin is the lock's", async () => {
    const path = `/download/syft_${row("syft").version}.tar.gz`;
    const good = served.get(path);
    if (!(good instanceof Uint8Array)) throw new Error("not served");
    const wrong = Buffer.from(good);
    wrong[wrong.length >> 1] = (wrong[wrong.length >> 1] ?? 0) ^ 1;
    served.set(path, wrong);
    try {
      const error = await failureOf(findTool("syft", options()));
      expect(error.code).toBe("tool-mismatch");
      expect(error.message).toContain(`its SHA-256 is ${sha256(wrong)}, expected ${sha256(good)}`);
      expect(readdirSync(join(folder, "private"))).toEqual([]);
    } finally {
      served.set(path, good);
    }
    expect((await findTool("syft", options())).source).toBe("release");
  });

  it("refuses a program in an archive that is another one than the lock's; its twin is", async () => {
    const rows = (memberSha256: string): LockedTool[] =>
      lock.map((tool) => {
        const release = tool.releases?.[platform];
        return release === undefined ? tool : { ...tool, releases: { [platform]: { ...release, memberSha256 } } };
      });
    const error = await failureOf(findTool("grype", options({ lock: rows("0".repeat(64)) })));
    expect(error.code).toBe("tool-mismatch");
    expect(error.message).toContain("'grype' in ");
    expect(existsSync(join(folder, "cache", "grype", row("grype").version, platform, "grype"))).toBe(false);
    const found = await findTool("grype", options({ lock: rows(sha256(readFileSync(programOf("grype")))) }));
    expect(found.source).toBe("release");
  });
});

describe("our own release", () => {
  beforeAll(() => requireCommand("go"));

  it("is made of the lock's builds, and a machine without Go has the tool from it", async () => {
    const made = join(folder, "made");
    const options = { platforms: [platform], ports: silentPorts(), env: process.env };
    const wrong = { ...row("launcher"), builds: { [platform]: "0".repeat(64) } };
    expect((await failureOf(buildRelease(wrong, made, options))).code).toBe("tool-mismatch");
    const tag = (await buildRelease(row("launcher"), made, options)) ?? "";
    expect(await buildRelease(row("launcher"), made, { ...options, platforms: ["plan9-mips"] })).toBeUndefined();
    expect(readdirSync(join(made, tag)).sort()).toEqual(["SHA256SUMS", `launcher-${platform}`]);
    expect(readFileSync(join(made, tag, "SHA256SUMS"), "utf8")).toBe(
      `${row("launcher").builds[platform]}  launcher-${platform}\n`,
    );

    served.set(`/made/${tag}/launcher-${platform}`, { file: join(made, tag, `launcher-${platform}`) });
    const lone = { lock: [row("launcher")], ownReleases: `${base}/made` };
    expect((await findTool("launcher", { ...lone, ports: silentPorts(), env: emptyMachine() })).source).toBe(
      "own-release",
    );
  });
});

// From here on the lock is production's.
describe("a mirror", () => {
  it("by URL is a folder laid out as a cache is", async () => {
    for (const name of names)
      served.set(`/mirror/${name}/${row(name).version}/${platform}/${name}`, { file: programOf(name) });
    const { exitCode, stdout, stderr } = await goldenpath(["tools", "prefetch", "--json"], {
      GOLDENPATH_TOOL_MIRROR: `${base}/mirror`,
    });
    expect(stderr).not.toContain("warning");
    expect(exitCode).toBe(0);
    expect((JSON.parse(stdout) as { source: string }[]).map(({ source }) => source)).toEqual(names.map(() => "mirror"));
  });

  describe("in a registry", () => {
    let registry: RegistryServer;
    beforeEach(async () => {
      registry = await startRegistry();
    });
    afterEach(() => registry.close());

    /** Fills it from a cache that has the programs. */
    async function publish(...args: string[]): ReturnType<typeof runProcess> {
      for (const name of names) {
        const directory = join(folder, "full", name, row(name).version, platform);
        mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, name), readFileSync(programOf(name)));
      }
      return goldenpath(["tools", "publish", `oci://${registry.host}/tools`, ...args], {
        GOLDENPATH_TOOL_CACHE: join(folder, "full"),
      });
    }

    it("is filled by one command and used by the digest that it prints: the same each time", async () => {
      const first = await publish("--platform", platform);
      expect(first.exitCode).toBe(0);
      const mirror = /^GOLDENPATH_TOOL_MIRROR=(oci:\/\/\S+@sha256:[0-9a-f]{64})$/m.exec(first.stdout)?.[1] ?? "";
      expect((await publish("--platform", platform)).stdout).toBe(first.stdout);

      const start = performance.now();
      const { exitCode, stdout } = await goldenpath(["tools", "prefetch", "--json"], {
        GOLDENPATH_TOOL_MIRROR: mirror,
      });
      console.log(
        `the same, out of a registry, by the command line: ${((performance.now() - start) / 1000).toFixed(1)} s`,
      );
      expect(exitCode).toBe(0);
      const found = JSON.parse(stdout) as { name: string; source: string; sha256: string }[];
      expect(found.map(({ name, source }) => `${name} ${source}`)).toEqual(names.map((name) => `${name} mirror`));
      for (const { name, sha256: hash } of found) expect(hash).toBe(row(name).builds[platform]);
    });

    it("that serves other bytes is refused, and so is one that has other tools", async () => {
      const { stdout } = await publish("launcher", "--platform", platform);
      const mirror = /oci:\/\/\S+@sha256:[0-9a-f]{64}/.exec(stdout)?.[0] ?? "";
      const env = { GOLDENPATH_TOOL_MIRROR: mirror };
      const twin = await goldenpath(["tools", "prefetch", "launcher"], env);
      expect(twin.exitCode).toBe(0);
      rmSync(join(folder, "cache"), { recursive: true });

      const error = await failureOf(
        findTool(
          "lifecycle",
          options({ lock: [row("lifecycle")], ownReleases: `${base}/none`, env: { ...emptyMachine(), ...env } }),
        ),
      );
      expect(error.message).toContain("has no lifecycle");
      registry.faults = [{ method: "GET", path: "/blobs/", action: { kind: "corrupt", at: 1000 } }];
      const changed = await failureOf(
        findTool(
          "launcher",
          options({ lock: [row("launcher")], ownReleases: `${base}/none`, env: { ...emptyMachine(), ...env } }),
        ),
      );
      expect(changed.message).toContain("mirror: ");
      expect(existsSync(join(folder, "cache", "launcher", row("launcher").version, platform, "launcher"))).toBe(false);
    });

    it("is not filled by half: nothing is pushed where one of the tools can't be had", async () => {
      // Whatever can be reached from here, this proxy is none.
      const env = { HTTPS_PROXY: "http://127.0.0.1:9" };
      const { exitCode, stderr } = await goldenpath(
        ["tools", "publish", `oci://${registry.host}/tools`, "launcher"],
        env,
      );
      expect(exitCode).toBe(2);
      expect(stderr).toContain("launcher");
      expect(registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
    });
  });
});
