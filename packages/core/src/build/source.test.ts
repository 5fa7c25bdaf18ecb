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
    await expect(readSource(context, folder)).rejects.toMatchObject({ code: "context-invalid", message: expect.stringContaining(why) });
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
