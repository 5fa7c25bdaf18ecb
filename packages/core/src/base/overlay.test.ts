import { dpkgStatus, entry, link, treeOf } from "@goldenpath/testing/file-trees";
import { loaderCacheOf } from "@goldenpath/testing/loader-cache";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../layers/contents.ts";
import { decideOverlay, isContentNeeded } from "./overlay.ts";

const folder = (path: string, mode = 0o755): LayerEntry =>
  entry(path, "", { kind: "directory", mode, contentDigest: "" });
const gone = (path: string): LayerEntry => entry(path.replace(/([^/]+)$/, ".wh.$1"), "");

type Versions = Readonly<Record<string, string>>;
const versions: Versions = { "base-files": "1", ssl: "1", openssl: "1", ca: "1" };
/** The list of a package's files, by its name alone or with an architecture. */
const listOf = (name: string, ...files: string[]): LayerEntry =>
  entry(`var/lib/dpkg/info/${name}.list`, `/.\n${files.map((each) => `${each}\n`).join("")}`);
const newer = (...names: string[]): LayerEntry =>
  dpkgStatus({ ...versions, ...Object.fromEntries(names.map((name) => [name, "2"])) });

const passwd = "root:x:0:0:root:/root:/bin/sh\n";
const base: LayerEntry[] = [
  entry("etc/motd", "hello"),
  entry("etc/passwd", passwd),
  entry("etc/passwd-", passwd, { mode: 0o600 }),
  entry("etc/hosts", "localhost"),
  link("etc/resolv.conf", "/run/resolv.conf"),
  entry("usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n'),
  link("etc/os-release", "../usr/lib/os-release"),
  entry("usr/lib/libssl.so", "ssl"),
  entry("usr/bin/openssl", "openssl", { mode: 0o755 }),
  entry("usr/lib/python3/x.py", "x"),
  entry("usr/lib/python3/__pycache__/x.cpython-312.pyc", "compiled"),
  dpkgStatus(versions),
  listOf("base-files", "/etc", "/usr/lib/os-release", "/etc/os-release"),
  listOf("ssl:amd64", "/usr/lib/libssl.so", "/usr/lib/python3/x.py"),
  listOf("openssl", "/usr/bin/openssl"),
];

const decide = (own: LayerEntry[], mayChange: string[] = [], lower: LayerEntry[] = base) =>
  decideOverlay({ base: treeOf([lower]), image: treeOf([lower, own], 1), mayChange });
/** Each refused path, and why. */
const judge = (...asked: Parameters<typeof decide>) =>
  decide(...asked).refused.map(({ change, why }) => `${change.path}: ${why}`);

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

describe("the database of packages", () => {
  const status = "var/lib/dpkg/status";
  const whole = "it does not have every package of the base any more";
  const { ca: _ca, ...few } = versions;

  test.each<[what: string, own: LayerEntry[], why: string]>([
    ["without a package", [dpkgStatus(few)], `${whole}: ca:amd64 is gone`],
    ["with an older one", [dpkgStatus({ ...versions, ca: "0" })], `${whole}: ca:amd64 is 0, and was 1`],
    [
      "with none",
      [dpkgStatus({})],
      `${whole}: base-files:amd64 is gone; ssl:amd64 is gone; openssl:amd64 is gone; ca:amd64 is gone`,
    ],
    ["that is gone", [gone(status)], `${whole}: base-files:amd64 is gone`],
  ])("%s is refused", (_what, own, why) => {
    expect(judge(own)).toEqual([expect.stringContaining(`${status}: ${why}`)]);
    expect(decide(own).upgraded).toEqual([]);
  });

  test("of many that are gone five are named", () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, "1"] as const));
    const lost = (count: number) => judge([dpkgStatus({ a: "1" })], [], [dpkgStatus({ a: "1", ...many(count) })])[0];
    expect(lost(5)).toMatch(/p4:amd64 is gone$/);
    expect(lost(7)).toMatch(/p4:amd64 is gone; and 2 more$/);
  });

  test("may have newer packages and more of them, which are told", () => {
    expect(judge([newer("ssl")])).toEqual([]);
    expect(decide([newer("ssl")]).upgraded.map((each) => each.package.name)).toEqual(["ssl:amd64"]);
    expect(judge([dpkgStatus({ ...versions, curl: "1" })])).toEqual([]);
    // Beside one that is lost, a newer one explains nothing.
    expect(decide([dpkgStatus({ ...few, ssl: "2" }), entry("usr/lib/libssl.so", "2")])).toMatchObject({
      upgraded: [],
      refused: [
        {
          change: { path: "usr/lib/libssl.so" },
          why: expect.stringContaining("and the package database is not whole: ca:amd64 is gone"),
        },
        { change: { path: status } },
      ],
    });
  });

  test("tells of a package's files only where that is newer, of each architecture that it has", () => {
    const list = (name: string) => listOf(name, "/srv/x");
    const same = (name: string) => `it tells of package ${name}, which is the same as in the base`;
    expect(judge([list("openssl")])).toEqual([`var/lib/dpkg/info/openssl.list: ${same("openssl")}`]);
    expect(judge([newer("openssl"), list("openssl")])).toEqual([]);
    expect(judge([newer("openssl"), list("ssl:amd64")])).toEqual([`var/lib/dpkg/info/ssl:amd64.list: ${same("ssl")}`]);
    expect(judge([newer("ssl"), list("ssl:amd64")])).toEqual([]);
  });

  test("in which nobody can read a package is not changed", () => {
    const lower = [entry(status, "nothing"), entry("lib/apk/db/installed", "nothing")];
    const none = "no package can be read from it in the base";
    expect(judge([entry(status, "other"), entry("lib/apk/db/installed", "other")], [], lower)).toEqual([
      `${status}: ${none}`,
      `lib/apk/db/installed: ${none}`,
    ]);
  });

  test("of apk is held to apk's packages, and of dpkg to dpkg's", () => {
    const apk = (all: Versions) =>
      entry(
        "lib/apk/db/installed",
        Object.entries(all)
          .map(([name, version]) => `P:${name}\nV:${version}\n`)
          .join("\n"),
      );
    const lower = [dpkgStatus(versions), apk({ musl: "1.2-r0" })];
    expect(judge([apk({ musl: "1.2-r1" })], [], lower)).toEqual([]);
    expect(judge([apk({ curl: "1-r0" })], [], lower)).toEqual([`lib/apk/db/installed: ${whole}: musl is gone`]);
    expect(judge([apk({ curl: "1-r0" }), newer("ssl")], [], lower)).toEqual([
      `lib/apk/db/installed: ${whole}: musl is gone`,
    ]);
    expect(judge([apk({ musl: "1.2-r1" }), dpkgStatus(few)], [], lower)).toEqual([
      `${status}: ${whole}: ca:amd64 is gone`,
    ]);
  });
});

describe("a file of a package of the base", () => {
  const ssl = entry("usr/lib/libssl.so", "2");
  test("is refused where that package is not newer, and passes where it is and has it still", () => {
    const why =
      "usr/lib/libssl.so: it is a file of package ssl:amd64, which the image does not have in a newer version";
    expect(judge([ssl])).toEqual([why]);
    expect(judge([newer("openssl"), ssl])).toEqual([why]);
    expect(judge([newer("ssl"), ssl])).toEqual([]);
    expect(judge([newer("ssl"), gone("usr/lib/libssl.so")])).toEqual([]);
    expect(judge([newer("ssl"), listOf("ssl:amd64"), ssl])).toEqual(["usr/lib/libssl.so: "]);
  });

  test("that two have passes where both are newer", () => {
    const shared = [...base, listOf("openssl", "/usr/bin/openssl", "/usr/lib/libssl.so")];
    expect(judge([newer("ssl"), ssl], [], shared)).toEqual([
      expect.stringContaining("a file of package openssl:amd64"),
    ]);
    expect(judge([newer("ssl", "openssl"), ssl], [], shared)).toEqual([]);
  });

  test("which nobody has is no newer package's, and no new package's by its word", () => {
    expect(judge([newer("ssl"), entry("etc/motd", "2")])).toEqual(["etc/motd: "]);
    const claims = [dpkgStatus({ ...versions, own: "1" }), listOf("own", "/etc/motd", "/usr/lib/libssl.so")];
    expect(judge([...claims, entry("etc/motd", "2")])).toEqual(["etc/motd: "]);
    expect(judge([...claims, ssl])).toHaveLength(1);
  });

  test("compiled by Python goes with its source, also where no list has it", () => {
    const compiled = (name: string) => entry(`usr/lib/python3/__pycache__/${name}`, "2");
    expect(judge([newer("ssl"), compiled("x.cpython-312.pyc")])).toEqual([]);
    expect(judge([newer("openssl"), compiled("x.cpython-312.pyc")])).toHaveLength(1);
    for (const name of [
      "x.cpython-312.opt-1.pyc",
      "y.cpython-312.pyc",
      "x.pyc",
      "x.cpython-312.pycx",
      "x.cpython-.pyc",
    ]) {
      const lower = [...base, compiled(name), entry(`usr/lib/python3/__pycache__/${name}`, "1")];
      expect([name, judge([newer("ssl"), compiled(name)], [], lower).length]).toEqual([
        name,
        name.includes("opt-1") ? 0 : 1,
      ]);
    }
  });

  test("may not put something else in a folder's place, but for documentation that moved", () => {
    const doc = (at: string) => [...base, folder(at), listOf("openssl", `/${at}`)];
    const moved = (at: string) =>
      judge([newer("openssl"), link(at, "/srv")], [], doc(at)).map((each) => each.split(":")[0]);
    expect(moved("usr/share/doc/openssl")).toEqual([]);
    expect(moved("usr/share/openssl")).toEqual(["usr/share/openssl"]);
  });

  test("may be a folder, with other rights, or none at all", () => {
    const lower = [...base, folder("srv/openssl"), listOf("openssl", "/srv/openssl")];
    for (const own of [folder("srv/openssl", 0o777), gone("srv/openssl")]) {
      expect(judge([newer("openssl"), own], [], lower)).toEqual([]);
      expect(judge([newer("ssl"), own], [], lower)).toHaveLength(1);
    }
  });

  test("that says the release may say more of the same one", () => {
    const release = (text: string) => judge([newer("base-files"), entry("usr/lib/os-release", text)]);
    const why = "usr/lib/os-release: it names another distribution or release";
    expect(release('ID=debian\nVERSION_ID="12"\nNAME=x\n')).toEqual([]);
    for (const text of ['ID=debian\nVERSION_ID="13"\n', 'ID=alpine\nVERSION_ID="12"\n', "", "ID=debian\nID=alpine\n"])
      expect(release(text)).toEqual([why]);
    expect(judge([newer("base-files"), gone("usr/lib/os-release")])).toEqual([why]);
    expect(judge([newer("base-files"), link("usr/lib/os-release", "/srv/x")])).toEqual([why]);
    expect(judge([entry("usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\nNAME=x\n')])).toHaveLength(1);
  });
});

describe("what scripts of a package make", () => {
  test.each([
    ["ca-certificates", "etc/ssl/certs/x.pem"],
    ["ca-certificates", "etc/ca-certificates.conf"],
    ["libc6", "usr/lib/locale/locale-archive"],
    ["libc-bin", "usr/lib/locale/locale-archive"],
  ])("%s may change %s where it is newer", (name, path) => {
    const lower = [dpkgStatus({ [name]: "1", other: "1" }), entry(path, "1")];
    const status = (own: string, other: string) => dpkgStatus({ [name]: own, other });
    expect(judge([status("2", "1"), entry(path, "2")], [], lower)).toEqual([]);
    expect(judge([status("1", "2"), entry(path, "2")], [], lower)).toEqual([`${path}: `]);
    expect(judge([status("2", "1"), entry("etc/other", "2")], [], [...lower, entry("etc/other", "1")])).toEqual([
      "etc/other: ",
    ]);
  });
});

describe("links of what is installed", () => {
  const alternatives = [
    dpkgStatus({ mawk: "1" }),
    link("etc/alternatives/awk", "/usr/bin/mawk"),
    entry("usr/bin/mawk", "m"),
  ];
  const gawk = [dpkgStatus({ mawk: "1", gawk: "1" }), listOf("gawk", "/usr/bin/gawk"), entry("usr/bin/gawk", "g")];
  const chosen = (...own: LayerEntry[]) => judge(own, [], alternatives);

  test("an alternative may be one of a new package's files", () => {
    expect(chosen(...gawk, link("etc/alternatives/awk", "/usr/bin/gawk"))).toEqual([]);
    for (const target of ["/srv/evil", "../../usr/bin/gawk", "/usr/bin/mawk2"])
      expect(chosen(...gawk, link("etc/alternatives/awk", target))).toEqual(["etc/alternatives/awk: "]);
    expect(chosen(link("etc/alternatives/awk", "/usr/bin/gawk"))).toEqual(["etc/alternatives/awk: "]);
    expect(chosen(...gawk, entry("etc/alternatives/awk", "x"))).toEqual(["etc/alternatives/awk: "]);
    // A file that the base had already is nothing that was brought.
    const had = [...alternatives, listOf("mawk", "/usr/bin/mawk", "/usr/bin/busybox")];
    expect(judge([...gawk, link("etc/alternatives/awk", "/usr/bin/busybox")], [], had)).toHaveLength(1);
    const owned = [...alternatives, listOf("mawk", "/etc/alternatives/awk")];
    expect(judge([...gawk, link("etc/alternatives/awk", "/usr/bin/gawk")], [], owned)).toHaveLength(1);
    expect(chosen(...gawk, gone("etc/alternatives/awk"))).toEqual(["etc/alternatives/awk: "]);
    expect(
      chosen(dpkgStatus({ gawk: "1" }), listOf("gawk", "/usr/bin/gawk"), link("etc/alternatives/awk", "/usr/bin/gawk")),
    ).toHaveLength(2);
  });

  test("busybox's give way to a new package's programs", () => {
    const apk = (...names: string[]) =>
      entry("lib/apk/db/installed", names.map((name) => `P:${name}\nV:1-r0\nF:bin\nR:${name}\n`).join("\n"));
    const lower = (target: string, owner = "busybox") => [apk(owner), link("bin/less", target)];
    const own = (owner = "busybox") => [apk(owner, "less"), entry("bin/less", "less")];
    for (const target of ["/bin/busybox", "busybox/bin/busybox", "bin/busybox"])
      expect(judge(own(), [], lower(target))).toEqual([]);
    for (const target of ["/bin/busybox2", "/sbin/busybox", "/bin/other"])
      expect(judge(own(), [], lower(target))).toEqual(["bin/less: "]);
    expect(judge(own("other"), [], lower("/bin/busybox", "other"))).toEqual(["bin/less: "]);
    expect(judge([apk("busybox", "curl"), entry("bin/less", "less")], [], lower("/bin/busybox"))).toEqual([
      "bin/less: ",
    ]);
  });
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
