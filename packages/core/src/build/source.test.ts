import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copySource, readSource } from "./source.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "goldenpath-source-")));
  mkdirSync(join(folder, "app"));
  mkdirSync(join(folder, "target"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, "app", name)), { recursive: true });
    writeFileSync(join(folder, "app", name), text);
  }
}

async function copy(): Promise<string[]> {
  await copySource(await readSource("app", folder), join(folder, "target"));
  return readdirSync(join(folder, "target"), { recursive: true, encoding: "utf8" }).sort();
}

describe("what is refused", () => {
  it.each([
    ["missing", "there is no such directory"],
    ["file", "it is not a directory"],
    ["app", "there is nothing in it"],
  ])("is the context '%s'", async (context, why) => {
    writeFileSync(join(folder, "file"), "");
    mkdirSync(join(folder, "app", ".git"));
    await expect(readSource(context, folder)).rejects.toMatchObject({
      code: "context-invalid",
      message: expect.stringContaining(why),
    });
  });

  it.each([
    ["a link to a folder outside", "link", undefined],
    ["a link above it", "links/inner", undefined],
    ["a folder outside of the checkout, named as it is", "../outside", "checkout"],
    ["an absolute path outside of the checkout", "ABSOLUTE", "checkout"],
    ["a link in the checkout that leads out", "link", "checkout"],
  ])("is %s", async (_what, context, checkout) => {
    const outside = join(folder, "outside");
    const inside = join(folder, "checkout");
    mkdirSync(join(outside, "inner"), { recursive: true });
    mkdirSync(inside);
    writeFileSync(join(outside, "inner", "id_rsa"), "key");
    writeFileSync(join(outside, "a.txt"), "a");
    symlinkSync(outside, join(inside, "link"));
    symlinkSync("../outside", join(inside, "links"));
    const named = context === "ABSOLUTE" ? outside : context;
    const read = readSource(named, inside, checkout === undefined ? undefined : inside);
    await expect(read).rejects.toMatchObject({ code: "context-outside", message: expect.stringContaining(outside) });
  });

  it("is a pipe in the application", async () => {
    write({ "a.txt": "a" });
    execFileSync("mkfifo", [join(folder, "app", "pipe")]);
    await expect(copy()).rejects.toMatchObject({ code: "context-invalid", message: expect.stringContaining("'pipe'") });
  });

  it("is an application of which project.toml leaves nothing", async () => {
    write({ "project.toml": '[build]\nexclude = ["*"]' });
    await expect(copy()).rejects.toMatchObject({ code: "context-invalid" });
  });

  it("is a project.toml that is a link: what it says must be the application's", async () => {
    write({ "a.txt": "a" });
    symlinkSync("/etc/hostname", join(folder, "app", "project.toml"));
    await expect(readSource("app", folder)).rejects.toMatchObject({ code: "project-invalid" });
  });
});

describe("what is copied", () => {
  it("may be named by links, as long as it is in the checkout, and by who has none from anywhere", async () => {
    write({ "a.txt": "a" });
    symlinkSync("app", join(folder, "link"));
    mkdirSync(join(folder, "elsewhere"));
    symlinkSync(folder, join(folder, "elsewhere", "workspace"));
    for (const [context, workingDirectory, checkout] of [
      ["link", folder, folder],
      [".", join(folder, "app"), folder],
      ["app", join(folder, "elsewhere", "workspace"), join(folder, "elsewhere", "workspace")],
      ["../app", join(folder, "elsewhere"), undefined],
      [join(folder, "app"), join(folder, "elsewhere"), undefined],
    ] as const)
      expect((await readSource(context, workingDirectory, checkout)).directory).toBe(join(folder, "app"));
  });

  it("has names that are no UTF-8 byte for byte, at every depth, and patterns that leave them out", async () => {
    const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
    const inApp = (path: string): Buffer => Buffer.concat([latin1(`${folder}/app/`), latin1(path)]);
    const text = '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["*.log", "project.toml"]';
    write({ "ümläut.txt": "utf-8", "project.toml": text });
    mkdirSync(inApp("caf\xe9"));
    writeFileSync(inApp("caf\xe9/men\xfc.txt"), "a");
    writeFileSync(inApp("caf\xe9/\xfc.log"), "left out");
    writeFileSync(inApp("caf\xe9/\x80\xff\x01"), "b");
    symlinkSync(latin1("men\xfc.txt"), inApp("caf\xe9/l\xefnk"));
    await copySource(await readSource("app", folder), join(folder, "target"));
    const target = Buffer.concat([latin1(`${folder}/target/`), latin1("caf\xe9")]);
    const names = readdirSync(target, "buffer").map((name) => name.toString("latin1"));
    expect(names.sort()).toEqual(["l\xefnk", "men\xfc.txt", "\x80\xff\x01"]);
    const linked = readlinkSync(Buffer.concat([target, latin1("/l\xefnk")]), "buffer");
    expect(linked.toString("latin1")).toBe("men\xfc.txt");
    expect(readFileSync(join(folder, "target", "ümläut.txt"), "utf8")).toBe("utf-8");
  });

  it("is everything but .git, at every depth", async () => {
    write({
      "a.txt": "a",
      "src/b.txt": "b",
      ".gitignore": "a.txt",
      ".git/config": "token",
      "vendor/x/.git": "gitdir: …",
      "vendor/x/c.txt": "c",
    });
    expect(await copy()).toEqual([".gitignore", "a.txt", "src", "src/b.txt", "vendor", "vendor/x", "vendor/x/c.txt"]);
    expect(existsSync(join(folder, "app", ".git", "config"))).toBe(true);
  });

  it("has plain modes, whatever those of the checkout and the umask are", async () => {
    write({ "run.sh": "", "secret.txt": "", "sub/x": "" });
    chmodSync(join(folder, "app", "run.sh"), 0o4710);
    chmodSync(join(folder, "app", "secret.txt"), 0o600);
    chmodSync(join(folder, "app", "sub"), 0o700);
    const before = process.umask(0o077);
    try {
      await copy();
    } finally {
      process.umask(before);
    }
    const mode = (path: string): number => statSync(join(folder, "target", path)).mode & 0o7777;
    expect([mode("run.sh"), mode("secret.txt"), mode("sub"), mode("")]).toEqual([0o755, 0o644, 0o755, 0o755]);
  });

  it("has links as they are, and not what they lead to", async () => {
    write({ "a.txt": "a" });
    symlinkSync("/nowhere/else", join(folder, "app", "out"));
    symlinkSync("a.txt", join(folder, "app", "b.txt"));
    expect(await copy()).toEqual(["a.txt", "b.txt", "out"]);
    expect(readlinkSync(join(folder, "target", "out"))).toBe("/nowhere/else");
  });

  it("is what project.toml includes", async () => {
    write({
      "project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["src/**/*.js", "/package.json"]',
      "package.json": "{}",
      "src/a/b.js": "",
      "src/a/b.ts": "",
      "docs/x": "",
    });
    expect(await copy()).toEqual(["package.json", "src", "src/a", "src/a/b.js"]);
    expect(readFileSync(join(folder, "target", "package.json"), "utf8")).toBe("{}");
  });

  it("is without what a project.toml in another encoding would not have named", async () => {
    const text = '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["geheimnüsse.txt"]';
    write({ "app.js": "", "geheimnüsse.txt": "" });
    writeFileSync(join(folder, "app", "project.toml"), Buffer.from(text, "latin1"));
    await expect(readSource("app", folder)).rejects.toMatchObject({
      code: "project-invalid",
      message: expect.stringContaining("not UTF-8"),
    });
    writeFileSync(join(folder, "app", "project.toml"), `\uFEFF${text}`);
    expect(await copy()).toEqual(["app.js", "project.toml"]);
  });
});

describe("a build around the folder", () => {
  const workspaces = JSON.stringify({ workspaces: ["apps/*"] });
  const frameOf = async (context: string, checkout?: string) =>
    (await readSource(context, checkout ?? join(folder, "app"), checkout)).survey.frame;

  it("that does not name it, or is outside of the checkout, is none", async () => {
    write({ "package.json": workspaces, "tools/api/package.json": "{}", "apps/api/package.json": "{}" });
    expect(await frameOf("tools/api")).toBeUndefined();
    expect(await frameOf(".")).toBeUndefined();
    expect(await frameOf(".", join(folder, "app/apps/api"))).toBeUndefined();
  });

  it("that can't be read is none, and fails nothing", async () => {
    write({ "package.json": "{", "apps/api/package.json": "{}" });
    expect(await frameOf("apps/api")).toBeUndefined();
  });

  it("that names it is told, the outermost where there are several", async () => {
    write({ "package.json": workspaces, "apps/package.json": '{"workspaces":["api"]}', "apps/api/package.json": "{}" });
    expect(await frameOf("apps/api")).toEqual({ file: "package.json", module: "apps/api" });
  });
});
