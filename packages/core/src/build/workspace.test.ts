import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openWorkspace, readHandedOver, writeControlFile, writePlatformVariables } from "./workspace.ts";

const uid = process.getuid?.() ?? -1;
let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "goldenpath-workspace-")));
  chmodSync(root, 0o755);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = (name = "quarantine/app", at = root, registry = "r.test") =>
  openWorkspace({ repository: { registry, name }, ports: silentPorts(), env: process.env, root: at });

describe("what is refused", () => {
  it.each<[string, () => void]>([
    [
      "a folder that others may write to",
      () => {
        mkdirSync(join(root, `goldenpath-${uid}`));
        chmodSync(join(root, `goldenpath-${uid}`), 0o777);
      },
    ],
    [
      "a link that somebody made in advance",
      () => {
        mkdirSync(join(root, "real"));
        symlinkSync("real", join(root, `goldenpath-${uid}`));
      },
    ],
    ["a file", () => writeFileSync(join(root, `goldenpath-${uid}`), "")],
    ["a folder under one that nobody else can enter", () => chmodSync(root, 0o700)],
  ])("is %s", async (_what, prepare) => {
    prepare();
    await expect(open()).rejects.toMatchObject({ name: "InfrastructureError", code: "build-directory-unsafe" });
  });

  if (uid === 0) {
    it("is another user's folder", async () => {
      execFileSync("install", ["-d", "-o", "12345", "-m", "0711", join(root, "goldenpath-0")]);
      await expect(open()).rejects.toMatchObject({
        code: "build-directory-unsafe",
        message: expect.stringContaining("12345"),
      });
    });
  }

  it("is a place that is not there", async () => {
    await expect(open("a", join(root, "missing"))).rejects.toMatchObject({ code: "build-directory-failed" });
  });
});

describe("the folder of a build", () => {
  it("is the same for each build of a repository, whatever the registry, and gone afterwards", async () => {
    const first = await open();
    expect(first.isUsualPath).toBe(true);
    await first.remove();
    expect(readdirSync(join(root, `goldenpath-${uid}`))).toEqual([]);
    const second = await open("quarantine/app", root, "other.test");
    expect(second.app).toBe(first.app);
    const other = await open("quarantine/other");
    expect(other.app).not.toBe(first.app);
    expect(other.isUsualPath).toBe(true);
  });

  it("is another one while a build of the same repository is running", async () => {
    const first = await open();
    const second = await open();
    expect(second.isUsualPath).toBe(false);
    expect(second.app).not.toBe(first.app);
    await first.remove();
    expect(existsSync(second.app)).toBe(true);
  });

  it("takes over what a build that is gone left behind, and nothing of one that may be alive", async () => {
    const left = await open();
    const owner = join(dirname(left.app), "owner");
    const [pid, namespace, started] = readFileSync(owner, "utf8").split(" ");
    writeFileSync(join(left.app, "left.txt"), "");
    // The same number, started at another time: another process.
    writeFileSync(owner, `${pid} ${namespace} 1${started}`);
    const again = await open();
    expect(again.app).toBe(left.app);
    expect(readdirSync(again.app)).toEqual([]);
    // What another container calls this number cannot be known here.
    writeFileSync(owner, `999999999 pid:[1] ${started}`);
    expect((await open()).isUsualPath).toBe(false);
    // Being made this moment.
    rmSync(owner);
    expect((await open()).isUsualPath).toBe(false);
  });

  it("lets the image's user pass, and keeps a home and temporary files to the build", async () => {
    const before = process.umask(0o077);
    let workspace: Awaited<ReturnType<typeof open>>;
    try {
      workspace = await open();
      await writePlatformVariables(workspace, { A: "1" });
    } finally {
      process.umask(before);
    }
    const mode = (path: string): number => statSync(path).mode & 0o777;
    expect([
      mode(workspace.app),
      mode(workspace.layers),
      mode(dirname(workspace.app)),
      mode(dirname(dirname(workspace.app))),
    ]).toEqual([0o755, 0o755, 0o711, 0o711]);
    expect([mode(workspace.home), mode(workspace.temporary)]).toEqual([0o700, 0o700]);
    expect([mode(join(workspace.platform, "env")), mode(join(workspace.platform, "env", "A"))]).toEqual([0o755, 0o644]);
  });

  it("is removed with what even its owner may not write to", async () => {
    const workspace = await open();
    mkdirSync(join(workspace.layers, "modcache"));
    writeFileSync(join(workspace.layers, "modcache", "x"), "");
    chmodSync(join(workspace.layers, "modcache"), 0o555);
    await workspace.remove();
    expect(existsSync(workspace.layers)).toBe(false);
  });

  it("loses what nothing needs any more before the rest", async () => {
    const workspace = await open();
    mkdirSync(join(workspace.home, "repository"));
    chmodSync(join(workspace.home, "repository"), 0o555);
    await workspace.remove(workspace.home, workspace.app);
    expect([workspace.home, workspace.app, workspace.handover].map((path) => existsSync(path))).toEqual([
      ...[false, false, true],
    ]);
    await workspace.remove();
    expect(existsSync(dirname(workspace.app))).toBe(false);
  });

  if (uid === 0) {
    it("drops from root to nobody, who owns what it is handed and can run a copy of a private program", async () => {
      const workspace = await open();
      expect(workspace.user).toEqual({ uid: 65_534, gid: 65_534 });
      expect(workspace.builder.uid).toBe(workspace.builder.gid);
      expect(workspace.builder.uid).toBeGreaterThanOrEqual(1_900_000_000);
      writeFileSync(join(workspace.app, "a"), "");
      symlinkSync("/etc/passwd", join(workspace.app, "link"));
      await workspace.handOver(workspace.user);
      expect([
        statSync(workspace.app).uid,
        statSync(join(workspace.app, "a")).uid,
        statSync("/etc/passwd").uid,
      ]).toEqual([65_534, 65_534, 0]);
      expect(statSync(workspace.control).uid).toBe(0);
      writeFileSync(join(root, "tool"), "x", { mode: 0o700 });
      const placed = await workspace.placeProgram(join(root, "tool"), "tool");
      expect(placed).not.toBe(join(root, "tool"));
      expect([statSync(placed).mode & 0o777, statSync(placed).uid]).toEqual([0o755, 0]);
    });
  }
});

describe("readHandedOver", () => {
  it("reads no link, no pipe, no folder and nothing large", async () => {
    writeFileSync(join(root, "real"), "secret");
    symlinkSync("real", join(root, "link"));
    execFileSync("mkfifo", [join(root, "pipe")]);
    writeFileSync(join(root, "large"), "x".repeat(101));
    for (const name of ["link", "pipe", ".", "large", "missing"]) {
      await expect(readHandedOver(join(root, name), 100), name).rejects.toMatchObject({
        code: "lifecycle-output-invalid",
      });
    }
    expect(await readHandedOver(join(root, "real"), 100)).toBe("secret");
  });
});

it("never writes a control file over another", async () => {
  const workspace = await open();
  const first = await writeControlFile(workspace, "x.toml", "1");
  const second = await writeControlFile(workspace, "x.toml", "2");
  expect([readFileSync(first, "utf8"), readFileSync(second, "utf8")]).toEqual(["1", "2"]);
});
