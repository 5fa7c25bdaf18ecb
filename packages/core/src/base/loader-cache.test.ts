import {
  loaderCacheOf as cacheOf,
  type CachedLibrary as Library,
  cacheMagic as magic,
} from "@goldenpath/testing/loader-cache";
import { describe, expect, test } from "vitest";
import { keepsLibraries } from "./loader-cache.ts";

const libc: Library = ["libc.so.6", "/lib/libc.so.6"];
const libssl: Library = ["libssl.so.3", "/usr/lib/libssl.so.3"];
const base = cacheOf(libc, libssl);
/** `/lib` is a link to `/usr/lib`, and `/circle` leads nowhere. */
const place = (path: string): string | undefined =>
  path.startsWith("/circle") ? undefined : path.replace(/^\/lib\//, "/usr/lib/");
const keeps = (after: Uint8Array | undefined, before: Uint8Array | undefined = base): boolean =>
  keepsLibraries(before, after, place);

describe("a newer cache", () => {
  test.each<[what: string, after: Buffer]>([
    ["a library elsewhere", cacheOf(libc, ["libssl.so.3", "/opt/libssl.so.3"])],
    ["a library elsewhere before its own place", cacheOf(["libc.so.6", "/opt/libc.so.6"], libc, libssl)],
    ["a library elsewhere behind its own place", cacheOf(libc, libssl, ["libssl.so.3", "/opt/libssl.so.3"])],
    ["a library where links go in a circle", cacheOf(["libc.so.6", "/circle/libc.so.6"], libssl)],
  ])("that has %s is refused", (_what, after) => expect(keeps(after)).toBe(false));

  test.each<[what: string, after: Buffer]>([
    ["the same libraries", cacheOf(libc, libssl)],
    ["them in another order", cacheOf(libssl, libc)],
    ["one more", cacheOf(libc, libssl, ["libapp.so.1", "/srv/libapp.so.1"])],
    ["one less: the loader looks in its folders then", cacheOf(libc)],
    ["one by its place behind a link", cacheOf(["libc.so.6", "/usr/lib/libc.so.6"], libssl)],
    ["none", cacheOf()],
  ])("that has %s passes", (_what, after) => expect(keeps(after)).toBe(true));

  test("may take each of several places that the older one has, in any order", () => {
    const other: Library = ["libc.so.6", "/usr/lib/hwcaps/libc.so.6"];
    const both = cacheOf(libc, other, libssl);
    for (const after of [cacheOf(libc), cacheOf(other), cacheOf(other, libc)]) expect(keeps(after, both)).toBe(true);
    expect(keeps(cacheOf(other), base)).toBe(false);
  });

  test("of no libraries is kept by whatever has some", () => {
    expect(keeps(base, cacheOf())).toBe(true);
    expect(keeps(cacheOf(), cacheOf())).toBe(true);
  });
});

describe("what is no cache that can be read is refused, as the older one and as the newer", () => {
  const changed = (edit: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(base);
    edit(bytes);
    return bytes;
  };
  test.each<[what: string, bytes: Uint8Array | undefined]>([
    ["nothing", undefined],
    ["an empty file", Buffer.alloc(0)],
    ["its magic alone", cacheOf().subarray(0, magic.length)],
    ["a path longer than any that can be opened", cacheOf(libc, libssl, ["libapp.so.1", `/${"a".repeat(4096)}`])],
    ["a header that ends too early", cacheOf().subarray(0, 47)],
    ["another magic", changed((bytes) => bytes.write("glibc-ld.so.cache1.2", "latin1"))],
    ["the old format before the new one", Buffer.concat([Buffer.from("ld.so-1.7.0\0"), base])],
    ["more entries than there are bytes", changed((bytes) => bytes.writeUInt32LE(1000, 20))],
    [
      "one entry more than there are bytes",
      changed((bytes) => bytes.writeUInt32LE(Math.ceil((bytes.length - 47) / 24), 20)),
    ],
    ["half an entry", Buffer.concat([cacheOf().fill(1, 20, 21), Buffer.alloc(10)])],
    ["a name behind its end", changed((bytes) => bytes.writeUInt32LE(bytes.length, 52))],
    ["a path far behind its end", changed((bytes) => bytes.writeUInt32LE(0xffffffff, 56))],
    ["a text without an end", base.subarray(0, -1)],
  ])("%s", (_what, bytes) => {
    expect(keepsLibraries(base, bytes, place)).toBe(false);
    expect(keepsLibraries(bytes, base, place)).toBe(false);
    expect(keepsLibraries(base, base, place)).toBe(true);
  });

  test("read within a larger buffer, as layers are", () => {
    const around = Buffer.concat([Buffer.alloc(7, 1), base, Buffer.alloc(7, 1)]);
    expect(keeps(new Uint8Array(around.buffer, around.byteOffset + 7, base.length))).toBe(true);
  });
});
