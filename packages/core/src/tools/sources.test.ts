import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { failureOf } from "@goldenpath/testing/failure";
import { tarOf } from "@goldenpath/testing/tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FindToolOptions, findTool } from "./find.ts";
import { type LockedTool, type ToolRelease, toolPlatform } from "./lock.ts";
import { planTools } from "./plan-tools.ts";

const platform = toolPlatform();
const program = "#!/bin/sh\necho 'hammer version 1.2.3'\n";
const built = `${program}# our own build\n`;
const archive = gzipSync(
  tarOf({ name: "LICENSE", content: "as you like" }, { name: "hammer", content: program, mode: 0o755 }),
);
const archiveName = "hammer_1.2.3_linux.tar.gz";
const sha256 = (bytes: Uint8Array | string): string => digestHex(digestOf(bytes));

let folder: string;
let told: { warning: string[]; info: string[] };
/** What the server has, by path, and what was asked of it. */
let files: Map<string, Uint8Array | string>;
let asked: string[];
let server: Server;
let base: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-sources-"));
  told = { warning: [], info: [] };
  files = new Map();
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const content = files.get(request.url ?? "");
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function hammer(release: Partial<ToolRelease> = {}, more: Partial<LockedTool> = {}): LockedTool {
  const published = { url: `${base}/dl/${archiveName}`, sha256: sha256(archive), member: "hammer", ...release };
  return {
    name: "hammer",
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w",
    builds: {},
    releases: { [platform]: published },
    ...more,
  };
}

/** Neither Go nor a tool of the machine is in PATH. */
function options(
  tool: LockedTool,
  more: Partial<FindToolOptions> = {},
  env: Record<string, string> = {},
): FindToolOptions {
  const silent = silentPorts();
  const log = {
    ...silent.log,
    warning: (text: string) => void told.warning.push(text),
    info: (text: string) => void told.info.push(text),
  };
  const ports: Ports = { ...silent, log };
  return {
    ports,
    lock: [tool],
    sleep: async () => undefined,
    env: { PATH: join(folder, "bin"), HOME: folder, GOLDENPATH_TOOL_CACHE: join(folder, "cache"), ...env },
    ...more,
  };
}

const inCache = (...path: string[]): string => join(folder, "cache", "hammer", "1.2.3", platform, ...path);
const cacheHas = (): string[] => (existsSync(inCache()) ? readdirSync(inCache()).sort() : []);
const privateFolder = (): { privateDirectory: string } => {
  mkdirSync(join(folder, "private"), { recursive: true });
  return { privateDirectory: join(folder, "private") };
};

describe("a publisher's archive that is refused", () => {
  it("has one wrong byte: nothing of it is kept", async () => {
    const wrong = Buffer.from(archive);
    wrong[20] = (wrong[20] ?? 0) ^ 1;
    files.set(`/dl/${archiveName}`, wrong);
    const error = await failureOf(findTool("hammer", options(hammer())));
    expect(error.code).toBe("tool-mismatch");
    expect(error.message).toContain(sha256(wrong));
    expect(cacheHas()).toEqual([]);
  });

  it("has another program than the lock's in it", async () => {
    files.set(`/dl/${archiveName}`, archive);
    const error = await failureOf(findTool("hammer", options(hammer({ memberSha256: sha256(built) }))));
    expect(error.code).toBe("tool-mismatch");
    expect(error.message).toContain(sha256(program));
    expect(cacheHas()).toEqual([]);
  });

  it("has no such program in it", async () => {
    files.set(`/dl/${archiveName}`, archive);
    for (const member of ["mallet", "bin/hammer", "LICENSE/hammer"]) {
      const error = await failureOf(findTool("hammer", options(hammer({ member }))));
      expect(error.code).toBe("tool-archive-invalid");
      expect(error.message).toContain(`has no '${member}'; it has 'LICENSE', 'hammer'`);
    }
  });

  it("was changed in the cache: it is removed, said, and got again", async () => {
    files.set(`/dl/${archiveName}`, archive);
    await findTool("hammer", options(hammer()));
    const wrong = Buffer.from(archive);
    wrong[archive.length - 1] = 0xff;
    writeFileSync(inCache(archiveName), wrong);
    expect(await findTool("hammer", options(hammer()))).toMatchObject({ source: "release", sha256: sha256(program) });
    expect(told.warning.join()).toContain("was changed");
    expect(readFileSync(inCache(archiveName)).equals(archive)).toBe(true);
  });

  it("is of a hash that nobody compared: it runs where nothing else has the tool, and that is said; beside it, one that was", async () => {
    files.set(`/dl/${archiveName}`, archive);
    expect(await findTool("hammer", options(hammer({ unverified: true })))).toMatchObject({ source: "release" });
    expect(told.warning.join()).toContain(
      "hammer 1.2.3 is taken from its publisher by a hash that nobody has compared",
    );
    rmSync(inCache(archiveName));
    told.warning.length = 0;
    expect(await findTool("hammer", options(hammer()))).toMatchObject({ source: "release" });
    expect(told.warning).toEqual([]);
  });

  it("is for a platform that the lock knows none for", async () => {
    const error = await failureOf(findTool("hammer", options(hammer(), { platform: "plan9-mips" })));
    expect(error.code).toBe("tool-platform-unsupported");
    expect(error.wayOut).toContain(platform);
    expect(asked).toEqual([]);
  });

  it("leaves a program of the same name in the cache unrun: only the archive can be verified", async () => {
    mkdirSync(inCache("unpacked"), { recursive: true });
    writeFileSync(inCache("hammer"), built, { mode: 0o755 });
    writeFileSync(inCache("unpacked", "hammer"), built, { mode: 0o755 });
    files.set(`/dl/${archiveName}`, archive);
    const found = await findTool("hammer", options(hammer()));
    expect(readFileSync(found.path, "utf8")).toBe(program);
  });
});

describe("a publisher's archive", () => {
  beforeEach(() => void files.set(`/dl/${archiveName}`, archive));

  it("is what is kept where only its own hash is known, and unpacked to a private folder each time", async () => {
    const first = await findTool("hammer", options(hammer(), privateFolder()));
    expect(first).toMatchObject({ name: "hammer", version: "1.2.3", source: "release", sha256: sha256(program) });
    expect(cacheHas()).toEqual([archiveName]);
    const second = await findTool("hammer", options(hammer(), privateFolder()));
    expect(second).toMatchObject({ source: "cache", sha256: sha256(program) });
    expect(second.path).not.toBe(first.path);
    for (const { path } of [first, second]) {
      expect(dirname(dirname(path))).toBe(join(folder, "private"));
      expect(basename(path)).toBe("hammer");
      expect(statSync(path).mode & 0o777).toBe(0o500);
      expect(readFileSync(path, "utf8")).toBe(program);
    }
    expect(asked).toEqual([`/dl/${archiveName}`]);
    expect(cacheHas()).toEqual([archiveName]);
  });

  it("gives way in the cache to its program, where the lock knows that", async () => {
    const tool = hammer({ memberSha256: sha256(program) });
    expect(await findTool("hammer", options(tool))).toMatchObject({ source: "release", path: inCache("hammer") });
    expect(cacheHas()).toEqual(["hammer"]);
    expect(await findTool("hammer", options(tool))).toMatchObject({ source: "cache", path: inCache("hammer") });
  });

  it("is unpacked beside itself, again each time, for one who has no private folder", async () => {
    const found = await findTool("hammer", options(hammer()));
    expect(found.path).toBe(inCache("unpacked", "hammer"));
    writeFileSync(found.path, built);
    expect(readFileSync((await findTool("hammer", options(hammer()))).path, "utf8")).toBe(program);
  });

  it("is planned without being fetched, and named where it is", async () => {
    const planned = options(hammer());
    expect((await planTools(["hammer"], planned))[0]).toMatchObject({
      source: "release",
      origin: `${base}/dl/${archiveName}`,
    });
    expect(asked).toEqual([]);
    await findTool("hammer", planned);
    expect((await planTools(["hammer"], planned))[0]).toMatchObject({ source: "cache", path: inCache(archiveName) });
  });
});

describe("where a tool comes from", () => {
  const own = "/tool-hammer-1.2.3-go1.26.8/";

  it("the mirror, our own release, the publisher's: each asked only where the one before has nothing", async () => {
    const tool = hammer({}, { builds: { [platform]: sha256(built) } });
    const settings = options(tool, { ownReleases: `${base}/own` }, { GOLDENPATH_TOOL_MIRROR: `${base}/mirror` });
    const mirrored = `/mirror/hammer/1.2.3/${platform}`;
    const trail = [
      `${mirrored}/hammer`,
      `${mirrored}/${archiveName}`,
      `/own${own}hammer-${platform}`,
      `/dl/${archiveName}`,
    ];

    await failureOf(findTool("hammer", settings));
    expect(asked).toEqual(trail);
    const places: [string, string, Uint8Array | string, number][] = [
      ["release", `/dl/${archiveName}`, archive, 4],
      ["own-release", `/own${own}hammer-${platform}`, built, 3],
      ["mirror", `${mirrored}/${archiveName}`, archive, 2],
      ["mirror", `${mirrored}/hammer`, built, 1],
    ];
    for (const [source, path, content, requests] of places) {
      rmSync(join(folder, "cache"), { recursive: true, force: true });
      asked.length = 0;
      files.set(path, content);
      const found = await findTool("hammer", settings);
      expect(found).toMatchObject({ source, sha256: sha256(content === archive ? program : built) });
      expect(asked).toEqual(trail.slice(0, requests));
    }
  });

  it("not our own release, where its bytes are not the lock's build's: the publisher's are", async () => {
    files.set(`${own}hammer-${platform}`, program);
    files.set(`/dl/${archiveName}`, archive);
    const tool = hammer({}, { builds: { [platform]: sha256(built) } });
    expect((await findTool("hammer", options(tool, { ownReleases: base }))).source).toBe("release");
    expect(told.warning.join()).toContain("hammer from our own release: ");
    expect(told.warning.join()).toContain("is not hammer 1.2.3: its SHA-256 is");
  });

  it("says quietly that our own release was not made, since the publisher's is as good", async () => {
    files.set(`/dl/${archiveName}`, archive);
    const tool = hammer({}, { builds: { [platform]: sha256(built) } });
    await findTool("hammer", options(tool, { ownReleases: base }));
    expect(told.warning).toEqual([]);
    expect(told.info.join()).toContain("answered 404");
  });

  it("does not wait a second time for a server that does not answer", async () => {
    let tries = 0;
    const silent = createServer((request) => {
      tries += 1;
      request.socket.destroy();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    try {
      const tool = hammer({ url: `http://${address}/dl/${archiveName}` }, { builds: { [platform]: sha256(built) } });
      const error = await failureOf(findTool("hammer", options(tool, { ownReleases: `http://${address}/own` })));
      expect(error.code).toBe("go-missing");
      expect(error.message).toContain(`release: ${address} did not answer a moment ago`);
      expect(tries).toBe(3);
    } finally {
      silent.closeAllConnections();
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it("refuses a mirror in a registry that is not named by digest", async () => {
    for (const mirror of [
      "oci://localhost:1/tools",
      "oci://localhost:1/tools:v1",
      "oci://",
      `oci://localhost:1/tools@sha256:${"0".repeat(63)}`,
    ]) {
      const running = findTool("hammer", options(hammer(), {}, { GOLDENPATH_TOOL_MIRROR: mirror }));
      await expect(running).rejects.toMatchObject({
        code: "tool-mirror-invalid",
        message: expect.stringContaining("@sha256:DIGEST"),
      });
    }
  });
});
