import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { LockedTool } from "@goldenpath/core/tools/lock";
import { isKnownError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type BumpOptions, bumpTool } from "./bump.ts";
import { listUnverified } from "./check-lock.ts";
import { parseChecksums } from "./checksums.ts";
import { type SigstoreStandIn, startSigstore } from "./sigstore-stand-in.ts";

// The publisher is a server of this machine, and so is the Sigstore that it signs with: neither github.com nor the
// public one is reached from tests.
const sha256 = (bytes: Uint8Array | string): string => digestHex(digestOf(bytes));
const signer = {
  subject: "https://github.com/example/hammer/.github/workflows/release.yaml@refs/heads/main",
  issuer: "https://token.actions.githubusercontent.com",
};
const programs = { amd64: "#!/bin/sh\necho amd64\n", arm64: "#!/bin/sh\necho arm64\n" };
const archives = { amd64: archiveOf(programs.amd64), arm64: archiveOf(programs.arm64) };

let sigstore: SigstoreStandIn;
let server: Server;
let base: string;
let files: Map<string, Uint8Array | string>;
let measured: string[];

beforeAll(async () => {
  sigstore = await startSigstore();
  server = createServer((request, response) => {
    const path = request.url ?? "";
    if (path === "/example/hammer/releases/latest")
      return void response.writeHead(302, { location: `${base}/example/hammer/releases/tag/v1.3.0` }).end();
    const content = files.get(path);
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await sigstore.close();
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  files = new Map();
  measured = [];
  await publish("1.2.3");
});

function archiveOf(program: string): Buffer {
  return gzipSync(
    tarOf({ name: "LICENSE", content: "as you like" }, { name: "hammer", content: program, mode: 0o755 }),
  );
}

const at = (version: string, file: string): string => `/example/hammer/releases/download/v${version}/${file}`;

function checksumsOf(version: string): string {
  return `${sha256(archives.amd64)}  hammer_${version}_linux_amd64.tar.gz\n${sha256(archives.arm64)}  hammer_${version}_linux_arm64.tar.gz\n`;
}

interface Published {
  checksums?: string;
  /** What is signed, where that is not what is published. */
  signed?: string;
  by?: { subject: string; issuer: string };
  sigstore?: SigstoreStandIn;
  kind?: "message" | "statement";
}

async function publish(version: string, more: Published = {}): Promise<void> {
  const checksums = more.checksums ?? checksumsOf(version);
  files.set(at(version, `hammer_${version}_checksums.txt`), checksums);
  const signed = new TextEncoder().encode(more.signed ?? checksums);
  files.set(
    at(version, `hammer_${version}_checksums.txt.sigstore.json`),
    await (more.sigstore ?? sigstore).sign(signed, more.by ?? signer, more.kind),
  );
  for (const arch of ["amd64", "arm64"] as const)
    files.set(at(version, `hammer_${version}_linux_${arch}.tar.gz`), archives[arch]);
}

function hammer(more: Partial<LockedTool> = {}): LockedTool {
  const release = (arch: "amd64" | "arm64") => ({
    url: `https://github.com${at("1.2.3", `hammer_1.2.3_linux_${arch}.tar.gz`)}`,
    sha256: sha256(archives[arch]),
    member: "hammer",
    unverified: true as const,
  });
  return {
    name: "hammer",
    version: "1.2.3",
    module: { path: "example.com/hammer", version: "v1.2.3", sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
    toolchain: "go1.26.8",
    package: "./cmd/hammer",
    ldflags: "-s -w -X main.version=1.2.3",
    builds: { "linux-amd64": "a".repeat(64) },
    releases: { "linux-amd64": release("amd64"), "linux-arm64": release("arm64") },
    publisher: {
      repository: "example/hammer",
      assets: {
        "linux-amd64": "hammer_{version}_linux_amd64.tar.gz",
        "linux-arm64": "hammer_{version}_linux_arm64.tar.gz",
      },
      member: "hammer",
      checksums: "hammer_{version}_checksums.txt",
      bundle: "hammer_{version}_checksums.txt.sigstore.json",
      signer,
    },
    ...more,
  };
}

/** Go is a stand-in as well: what it measures is shown by the tests of builds. */
function options(more: Partial<BumpOptions> = {}): BumpOptions {
  return {
    trust: async () => sigstore.trust,
    go: {
      moduleSum: async (path, version) => {
        measured.push(`sum ${path}@${version}`);
        return "h1:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=";
      },
      measureBuild: async (tool, platform) => {
        measured.push(`build ${tool.version} ${tool.ldflags} ${platform}`);
        return "b".repeat(64);
      },
    },
    ports: silentPorts(),
    env: {},
    github: base,
    ...more,
  };
}

async function codeOf(running: Promise<unknown>): Promise<string> {
  const error = await running.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  return isKnownError(error) ? error.code : String(error);
}

describe("bumpTool refuses", () => {
  it("checksums that another has signed, in each of the ways to be another", async () => {
    for (const by of [
      { ...signer, subject: signer.subject.replace("example", "evil") },
      { ...signer, subject: `${signer.subject}-too` },
      { ...signer, subject: `https://evil.example/?${signer.subject}` },
      { ...signer, issuer: "https://accounts.google.com" },
    ]) {
      await publish("1.2.3", { by });
      expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signer-unexpected");
    }
  });

  it("checksums that were changed after they were signed", async () => {
    await publish("1.2.3", { signed: checksumsOf("1.2.3").replace(/^./, "f") });
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signature-invalid");
  });

  it("a signature under another trust root, and a statement in the place of a signature", async () => {
    const other = await startSigstore();
    try {
      await publish("1.2.3", { sigstore: other });
      expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signature-invalid");
    } finally {
      await other.close();
    }
    await publish("1.2.3", { kind: "statement" });
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signature-invalid");
    files.set(at("1.2.3", "hammer_1.2.3_checksums.txt.sigstore.json"), "{}");
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signature-invalid");
  });

  it("a signature without an entry in the transparency log", async () => {
    const path = at("1.2.3", "hammer_1.2.3_checksums.txt.sigstore.json");
    const bundle = JSON.parse(String(files.get(path))) as { verificationMaterial: { tlogEntries: unknown[] } };
    bundle.verificationMaterial.tlogEntries = [];
    files.set(path, JSON.stringify(bundle));
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("signature-invalid");
  });

  it("a version that is not signed at all, or whose checksums lack a platform", async () => {
    files.delete(at("1.2.3", "hammer_1.2.3_checksums.txt.sigstore.json"));
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("checksums-missing");
    await publish("1.2.3", { checksums: `${sha256(archives.amd64)}  hammer_1.2.3_linux_amd64.tar.gz\n` });
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("asset-missing");
  });

  it("a hash in the lock that is not the one that was signed", async () => {
    const row = hammer();
    const arm = row.releases?.["linux-arm64"];
    if (arm === undefined) throw new Error("it has one");
    const wrong = { ...row, releases: { ...row.releases, "linux-arm64": { ...arm, sha256: "0".repeat(64) } } };
    expect(await codeOf(bumpTool(wrong, "1.2.3", options()))).toBe("release-changed");
  });

  it("a file that is not what was signed, and one without the program", async () => {
    files.set(at("1.2.3", "hammer_1.2.3_linux_arm64.tar.gz"), archives.amd64);
    expect(await codeOf(bumpTool(hammer(), "1.2.3", options()))).toBe("tool-mismatch");
    await publish("1.2.3");
    const row = hammer();
    if (row.publisher === undefined) throw new Error("it has one");
    expect(
      await codeOf(bumpTool({ ...row, publisher: { ...row.publisher, member: "mallet" } }, "1.2.3", options())),
    ).toBe("tool-archive-invalid");
  });

  it.each(["latest", "1.2", "1.2.3-rc.1", ""])("the version '%s'", async (version) => {
    expect(await codeOf(bumpTool(hammer(), version, options()))).toBe("version-invalid");
  });

  it("to guess the latest version of a tool without a publisher", async () => {
    const { publisher: _, releases: __, ...row } = hammer();
    expect(await codeOf(bumpTool(row, undefined, options()))).toBe("version-missing");
  });
});

describe("bumpTool", () => {
  it("verifies what was copied, clears the mark, and adds the program's own hash", async () => {
    const bumped = await bumpTool(hammer(), "1.2.3", options());
    const { releases, ...row } = hammer();
    expect(bumped).toEqual({
      ...row,
      releases: {
        "linux-amd64": { ...strip(releases?.["linux-amd64"]), memberSha256: sha256(programs.amd64) },
        "linux-arm64": { ...strip(releases?.["linux-arm64"]), memberSha256: sha256(programs.arm64) },
      },
    });
    expect(listUnverified([hammer()])).toHaveLength(2);
    expect(listUnverified([bumped])).toEqual([]);
    expect(measured).toEqual([]);
  });

  it("takes the publisher's latest, and measures its module and its build", async () => {
    await publish("1.3.0");
    const bumped = await bumpTool(hammer(), undefined, options());
    expect(bumped).toMatchObject({
      version: "1.3.0",
      module: { version: "v1.3.0", sum: "h1:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=" },
      ldflags: "-s -w -X main.version=1.3.0",
      builds: { "linux-amd64": "b".repeat(64) },
    });
    expect(bumped.releases?.["linux-arm64"]?.url).toBe(
      `https://github.com${at("1.3.0", "hammer_1.3.0_linux_arm64.tar.gz")}`,
    );
    expect(Object.keys(bumped)).toEqual(Object.keys(hammer()));
    expect(measured).toEqual(["sum example.com/hammer@v1.3.0", "build 1.3.0 -s -w -X main.version=1.3.0 linux-amd64"]);
  });

  it("measures alone where the publisher signs nothing", async () => {
    const { publisher: _, releases: __, ...row } = hammer();
    const bumped = await bumpTool(row, "v2.0.0", options());
    expect(bumped).toMatchObject({ version: "2.0.0", builds: { "linux-amd64": "b".repeat(64) } });
    expect(bumped.releases).toBeUndefined();
  });
});

function strip(release: NonNullable<LockedTool["releases"]>["linux-amd64"]): object {
  const { unverified: _, ...rest } = release ?? { unverified: true };
  return rest;
}

describe("parseChecksums", () => {
  it.each([
    ["nothing", "\n\n"],
    ["a line that is none", "hello\n"],
    ["a short checksum", `${"a".repeat(63)}  file\n`],
    ["two checksums of one file", `${"a".repeat(64)}  file\n${"b".repeat(64)}  file\n`],
  ])("refuses %s", (_what, text) => {
    expect(() => parseChecksums(text, "checksums.txt")).toThrow(/checksums\.txt/);
  });

  it("reads text and binary lines", () => {
    expect(parseChecksums(`${"a".repeat(64)}  one\r\n${"b".repeat(64)} *two\n`, "x")).toEqual(
      new Map([
        ["one", "a".repeat(64)],
        ["two", "b".repeat(64)],
      ]),
    );
  });
});
