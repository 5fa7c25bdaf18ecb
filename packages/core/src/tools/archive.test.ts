import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { failureOf } from "@goldenpath/testing/failure";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type UnpackOptions, unpackMember } from "./archive.ts";

const program = "#!/bin/sh\necho 'hammer version 1.2.3'\n";
const member: TarOptions = { name: "hammer", content: program, mode: 0o755 };
const licence: TarOptions = { name: "LICENSE", content: "do what you like" };
let folder: string;
let count = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-archive-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array | string): string => digestHex(digestOf(bytes));

function unpack(bytes: Uint8Array, more: Partial<UnpackOptions> = {}): Promise<{ program: string; sha256: string }> {
  const archive = join(folder, "hammer.tar.gz");
  const target = join(folder, `hammer-${count++}`);
  writeFileSync(archive, bytes);
  const options = { label: "hammer 1.2.3", sha256: sha256(bytes), member: "hammer", ...more };
  return unpackMember(archive, target, options).then((hash) => ({
    program: readFileSync(target, "utf8"),
    sha256: hash,
  }));
}

describe("unpackMember refuses", () => {
  const good = gzipSync(tarOf(licence, member));

  it("an archive with one wrong byte, wherever that is, and says which hash it has; beside it, the right one", async () => {
    for (const at of [3, Math.floor(good.length / 2), good.length - 1]) {
      const wrong = Buffer.from(good);
      wrong[at] = (wrong[at] ?? 0) ^ 1;
      const error = await failureOf(unpack(wrong, { sha256: sha256(good) }));
      expect(error).toMatchObject({ code: "tool-mismatch", safeToRetry: false });
      expect(error.message).toContain(sha256(wrong));
      expect(error.message).toContain(sha256(good));
    }
    expect(await unpack(good)).toEqual({ program, sha256: sha256(program) });
  });

  it("what follows the archive, though all that was unpacked is right", async () => {
    const longer = Buffer.concat([good, Buffer.from("more")]);
    expect((await failureOf(unpack(longer, { sha256: sha256(good) }))).code).toBe("tool-mismatch");
    expect((await failureOf(unpack(longer))).code).toBe("tool-archive-invalid");
  });

  it("a program with another hash than the lock's, in an archive that has the lock's; beside it, the right one", async () => {
    const error = await failureOf(unpack(good, { memberSha256: "0".repeat(64) }));
    expect(error).toMatchObject({ code: "tool-mismatch", safeToRetry: false });
    expect(error.message).toContain("'hammer' in ");
    expect(error.message).toContain(sha256(program));
    expect((await unpack(good, { memberSha256: sha256(program) })).program).toBe(program);
  });

  it.each<[string, TarOptions[], RegExp]>([
    [
      "without the program, naming what it has",
      [licence, { ...member, name: "bin/hammer" }],
      /has no 'hammer'; it has 'LICENSE', 'bin\/hammer'/,
    ],
    [
      "whose program is a link out of it",
      [{ name: "hammer", type: "2", linkname: "/bin/sh" }],
      /'hammer' is a symlink and not a file/,
    ],
    [
      "whose program is a hard link",
      [licence, { name: "hammer", type: "1", linkname: "LICENSE" }],
      /'hammer' is a hardlink and not a file/,
    ],
    ["whose program is a folder", [{ name: "hammer", type: "5" }], /'hammer' is a directory and not a file/],
    ["whose program is empty", [{ name: "hammer" }], /'hammer' is empty/],
    ["with the program twice", [member, { ...member, name: "./hammer", content: "another" }], /has 'hammer' twice/],
    ["that climbs out", [{ name: "../hammer", content: program }], /climbs out/],
  ])("an archive %s", async (_what, entries, message) => {
    const error = await failureOf(unpack(gzipSync(tarOf(...entries))));
    expect(error).toMatchObject({
      code: "tool-archive-invalid",
      safeToRetry: false,
      message: expect.stringMatching(message),
    });
    expect(error.wayOut).toContain("row in the lock");
  });

  it("an archive that ends in the middle, or is none", async () => {
    for (const bytes of [
      good.subarray(0, good.length - 20),
      gzipSync(tarOf(member).subarray(0, 600)),
      Buffer.from(program),
    ]) {
      expect((await failureOf(unpack(bytes))).code).toBe("tool-archive-invalid");
    }
  });

  it("more bytes and entries than it is let", async () => {
    const many = gzipSync(tarOf(licence, { name: "README", content: "x" }, member));
    expect((await failureOf(unpack(many, { limits: { bytes: 1024 ** 2, entries: 2 } }))).message).toContain(
      "more than 2 entries",
    );
    expect((await failureOf(unpack(many, { limits: { bytes: 1024, entries: 10 } }))).message).toContain(
      "more than 1024 bytes",
    );
    expect((await unpack(many, { limits: { bytes: 1024 ** 2, entries: 3 } })).program).toBe(program);
  });

  it("to write over what is there", async () => {
    const target = join(folder, "there");
    writeFileSync(target, "mine");
    writeFileSync(join(folder, "a.tar.gz"), good);
    await expect(
      unpackMember(join(folder, "a.tar.gz"), target, { label: "x", sha256: sha256(good), member: "hammer" }),
    ).rejects.toThrow();
    expect(readFileSync(target, "utf8")).toBe("mine");
  });
});

describe("unpackMember", () => {
  it("writes the program and nothing else", async () => {
    await unpack(
      gzipSync(tarOf({ name: "evil", type: "2", linkname: "/etc" }, licence, { ...member, name: "./hammer" })),
    );
    expect(existsSync(join(folder, "LICENSE"))).toBe(false);
    expect(existsSync(join(folder, "evil"))).toBe(false);
  });

  it("takes a program below a folder, and one of several megabytes", async () => {
    const large = "x".repeat(5 * 1024 ** 2);
    const bytes = gzipSync(tarOf({ name: "out/", type: "5" }, { name: "out/bin/hammer", content: large }));
    expect(await unpack(bytes, { member: "out/bin/hammer" })).toEqual({ program: large, sha256: sha256(large) });
  });
});
