import { entry, link } from "@goldenpath/testing/file-trees";
import { loaderCacheOf } from "@goldenpath/testing/loader-cache";
import { folder, gone, judge, newer, passwd } from "@goldenpath/testing/overlays";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../layers/contents.ts";
import { isContentNeeded } from "./overlay.ts";

describe("a path that the policy lets change", () => {
  test.each<[what: string, refused: string[], passes: string[]]>([
    ["itself", ["/etc/mot"], ["/etc/motd"]],
    ["below a folder", ["/et"], ["/etc"]],
    ["and none below it", ["/etc/motd/x"], ["/etc/motd"]],
    ["among others", ["/a", "/b"], ["/a", "/etc/motd"]],
  ])("%s", (_what, refused, passes) => {
    expect(judge([entry("etc/motd", "own")], refused)).toEqual(["etc/motd: "]);
    expect(judge([entry("etc/motd", "own")], passes)).toEqual([]);
  });

  test("is compared by its bytes", () => {
    const path = Buffer.from("opt/é", "utf8").toString("latin1");
    expect(judge([entry(path, "own")], ["/opt/é"], [entry(path, "x")])).toEqual([]);
    expect(judge([entry(path, "own")], ["/opt/e"], [entry(path, "x")])).toHaveLength(1);
  });
});

describe("what is temporary, a cache or a log", () => {
  test.each(["tmp", "var/tmp", "run", "var/run", "var/cache", "var/log", "var/lib/apt"])(
    "may change below %s",
    (at) => {
      const lower = [folder(at), entry(`${at}/x`, "x"), entry(`${at}/y/z`, "z"), folder("srv")];
      expect(judge([entry(`${at}/x`, "own"), gone(`${at}/y`)], [], lower)).toEqual([]);
      // The folder itself may lead nowhere else.
      expect(judge([link(at, "/srv")], [], lower).map((each) => each.split(":")[0])).toContain(at);
      expect(judge([entry(`${at}er/x`, "own")], [], [entry(`${at}er/x`, "x")])).toHaveLength(1);
    },
  );

  test.each(["etc/hosts", "etc/hostname", "etc/resolv.conf"])("as a runtime's own %s, while it is a file", (path) => {
    const lower = [entry(path, "x")];
    expect(judge([entry(path, "own")], [], lower)).toEqual([]);
    expect(judge([gone(path)], [], lower)).toEqual([]);
    expect(judge([link(path, "/bin/sh")], [], lower)).toEqual([`${path}: `]);
    expect(judge([entry(path, "own")], [], [link(path, "/bin/sh")])).toEqual([`${path}: `]);
    expect(judge([entry(path, "x", { mode: 0o666 })], [], lower)).toEqual([]);
  });
});

describe("rights", () => {
  const why = "its owner, mode or attributes give rights that they did not give in the base";
  test("that a file did not give are refused, whatever it holds, but where a newer package says so", () => {
    const open = entry("usr/bin/openssl", "openssl", { mode: 0o4755 });
    expect(judge([open])).toEqual([`usr/bin/openssl: ${why}`]);
    expect(judge([newer("openssl"), open])).toEqual([]);
    expect(judge([newer("ssl"), open])).toEqual([`usr/bin/openssl: ${why}`]);
    expect(judge([entry("usr/bin/openssl", "openssl", { mode: 0o700 })])).toEqual([]);
  });

  test("of a copy of accounts may be those of the file", () => {
    const copy = (mode: number, path = "etc/passwd-") => judge([entry(path, passwd, { mode })]);
    expect([copy(0o644), copy(0o600)]).toEqual([[], []]);
    expect(copy(0o666)).toEqual([`etc/passwd-: ${why}`]);
    expect(
      judge(
        [entry("etc/motd-", "x", { mode: 0o644 })],
        [],
        [entry("etc/motd", "x"), entry("etc/motd-", "x", { mode: 0o600 })],
      ),
    ).toEqual([`etc/motd-: ${why}`]);
    const alone = [entry("etc/passwd-", passwd, { mode: 0o600 })];
    expect(judge([entry("etc/passwd-", passwd, { mode: 0o644 })], [], alone)).toEqual([`etc/passwd-: ${why}`]);
  });
});

describe("accounts", () => {
  const why = "it has more than lines for new users and groups, other than root, added at their place";
  const app = "app:x:7:7::/:/bin/sh\n";
  test.each<[what: string, refused: LayerEntry, why: string, passes: LayerEntry]>([
    [
      "with root's number",
      entry("etc/passwd", `${passwd}toor:x:0:0::/:/bin/sh\n`),
      why,
      entry("etc/passwd", passwd + app),
    ],
    ["without what was there", entry("etc/passwd", app), why, entry("etc/passwd", app + passwd)],
    ["that lead elsewhere", link("etc/passwd", "/srv/passwd"), why, entry("etc/passwd", passwd + app)],
    ["that are gone", gone("etc/passwd"), "", entry("etc/passwd", passwd + app)],
    ["in a copy", entry("etc/passwd-", app, { mode: 0o600 }), why, entry("etc/passwd-", passwd + app, { mode: 0o600 })],
  ])("%s are refused", (_what, refused, why, passes) => {
    expect(judge([refused])).toEqual([expect.stringMatching(new RegExp(`: ${why}$`))]);
    expect(judge([passes])).toEqual([]);
  });

  test("are none where a link is put in the place of an empty list", () =>
    expect(judge([link("etc/subuid", "/srv/x")], [], [entry("etc/subuid", "")])).toEqual([`etc/subuid: ${why}`]));

  test("of a copy are those that it has, or those of the file", () => {
    const lower = [entry("etc/passwd", passwd + app), entry("etc/passwd-", passwd)];
    expect(judge([entry("etc/passwd-", passwd + app)], [], lower)).toEqual([]);
    const other = [entry("etc/passwd", app), entry("etc/passwd-", passwd)];
    expect(judge([entry("etc/passwd-", app)], [], other)).toEqual([]);
    expect(judge([entry("etc/passwd-", "web:x:8:8::/:/bin/sh\n")], [], other)).toEqual([`etc/passwd-: ${why}`]);
    const alone = [entry("etc/passwd-", passwd)];
    expect(judge([entry("etc/passwd-", passwd + app)], [], alone)).toEqual([]);
    // A file is no copy of its copy.
    const twin = [entry("etc/passwd", passwd), entry("etc/passwd-", app)];
    expect(judge([entry("etc/passwd", app)], [], twin)).toEqual([`etc/passwd: ${why}`]);
  });
});

test("apk's list of what was asked for may have lines more", () => {
  const world = [entry("etc/apk/world", "busybox\nmusl\n")];
  const why = "etc/apk/world: it does not have all of its lines any more";
  expect(judge([entry("etc/apk/world", "busybox\ncurl\nmusl\n")], [], world)).toEqual([]);
  expect(judge([entry("etc/apk/world", "busybox\ncurl\n")], [], world)).toEqual([why]);
  expect(judge([gone("etc/apk/world")], [], world)).toEqual([why]);
  expect(judge([link("etc/apk/world", "/srv/world")], [], world)).toEqual([why]);
  expect(judge([entry("etc/apk/world", "busyboxmusl\n")], [], world)).toEqual([why]);
  // Of a link nobody knows which lines it had.
  expect(judge([entry("etc/apk/world", "busybox\n")], [], [link("etc/apk/world", "/srv/world")])).toEqual([why]);
});

test("a loader's cache may know more libraries, and none of the base's elsewhere", () => {
  const cache = (path: string, ...libraries: Parameters<typeof loaderCacheOf>) => {
    const content = loaderCacheOf(...libraries);
    return entry(path, content.toString("latin1"), { content });
  };
  const ssl = cache("etc/ld.so.cache", ["libssl.so", "/lib/libssl.so"]);
  const more = cache("etc/ld.so.cache", ["libssl.so", "/usr/lib/libssl.so"], ["a.so", "/srv/a.so"]);
  const lower = [link("lib", "usr/lib"), ssl, { ...ssl, path: "srv/cache" }];
  expect(judge([more], [], lower)).toEqual([]);
  const elsewhere = cache("etc/ld.so.cache", ["libssl.so", "/srv/libssl.so"]);
  expect(judge([elsewhere], [], lower)).toEqual(["etc/ld.so.cache: "]);
  expect(judge([entry("etc/ld.so.cache", "none")], [], lower)).toEqual(["etc/ld.so.cache: "]);
  expect(judge([gone("etc/ld.so.cache")], [], lower)).toEqual(["etc/ld.so.cache: "]);
  expect(judge([{ ...more, path: "srv/cache" }], [], lower)).toEqual(["srv/cache: "]);
});

test("the content is kept of what is judged by it", () => {
  const needed = [
    "etc/passwd",
    "etc/passwd-",
    "etc/ld.so.cache",
    "etc/os-release",
    "usr/lib/os-release",
    "etc/apk/world",
  ];
  expect([...needed, "var/lib/dpkg/status", "etc/motd"].map(isContentNeeded)).toEqual([
    ...needed.map(() => true),
    true,
    false,
  ]);
});
