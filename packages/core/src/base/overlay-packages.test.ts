import { dpkgStatus, entry, link } from "@goldenpath/testing/file-trees";
import { base, decide, folder, gone, judge, listOf, newer, versions } from "@goldenpath/testing/overlays";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../layers/contents.ts";

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

  test.each(["list", "md5sums", "postinst"])("tells of one by a %s, and by nothing that only looks like it", (kind) => {
    const at = (path: string, text: string) => entry(`var/lib/dpkg/${path}`, text);
    const change = (path: string) => judge([at(path, "own")], [], [...base, at(path, "x")]);
    expect(change(`info/ca.${kind}`)).toEqual([
      `var/lib/dpkg/info/ca.${kind}: it tells of package ca, which is the same as in the base`,
    ]);
    for (const path of [`info/ca.${kind}-old`, `old/var/lib/dpkg/info/ca.${kind}`]) expect(change(path)).toEqual([]);
  });

  test("of two architectures tells by each list of its own, and by one for both where both are newer", () => {
    const status = (amd64: string, i386: string) => dpkgStatus({ "ssl:amd64": amd64, "ssl:i386": i386 });
    const change = (name: string, i386 = "1") =>
      judge([status("2", i386), listOf(name, "/srv/x")], [], [status("1", "1"), listOf(name)]);
    const why = "it tells of package ssl, which is the same as in the base";
    expect(change("ssl:i386")).toEqual([`var/lib/dpkg/info/ssl:i386.list: ${why}`]);
    expect(change("ssl:amd64")).toEqual([]);
    expect(change("ssl")).toEqual([`var/lib/dpkg/info/ssl.list: ${why}`]);
    expect(change("ssl", "2")).toEqual([]);
  });

  test("in which nobody can read a package is not changed", () => {
    const lower = [entry(status, "nothing"), entry("lib/apk/db/installed", "nothing")];
    const none = "no package can be read from it in the base";
    expect(judge([entry(status, "other"), entry("lib/apk/db/installed", "other")], [], lower)).toEqual([
      `${status}: ${none}`,
      `lib/apk/db/installed: ${none}`,
    ]);
    // What another manager has is nothing of it.
    const other = [dpkgStatus(versions), entry("lib/apk/db/installed", "nothing")];
    expect(judge([newer("ssl"), entry("lib/apk/db/installed", "other")], [], other)).toEqual([
      `lib/apk/db/installed: ${none}`,
    ]);
  });

  test("of apk is held to apk's packages, and of dpkg to dpkg's", () => {
    const apk = (all: typeof versions) =>
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
    expect(judge([newer("ssl"), listOf("ssl:amd64"), gone("usr/lib/libssl.so")])).toEqual([]);
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

  test("is compiled by its whole name, in its own folder", () => {
    const compiled = (path: string) => entry(path, "own");
    const change = (path: string) =>
      judge(
        [newer("ssl"), compiled(path)],
        [],
        [
          ...base,
          listOf("ssl", ...["json.py", "json.pyx"].map((name) => `/usr/lib/python3/${name}`)),
          entry(path, "x"),
        ],
      );
    const path = "usr/lib/python3/__pycache__/json.cpython-312.pyc";
    expect(change(path)).toEqual([]);
    // A line's end in a folder's name makes no other folder of what follows.
    for (const other of [`srv\n${path}`, `srv/${path}`, `${path}x`]) expect(change(other)).toEqual([`${other}: `]);
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
    // Nothing is no release that could be kept.
    const none = [...base, entry("usr/lib/os-release", "nothing")];
    expect(judge([newer("base-files"), entry("usr/lib/os-release", "none")], [], none)).toEqual([why]);
    const led = [dpkgStatus(versions), listOf("base-files", "/etc/os-release"), link("etc/os-release", "/srv/x")];
    expect(judge([newer("base-files"), entry("etc/os-release", "ID=debian\n")], [], led)).toEqual([
      why.replace("usr/lib", "etc"),
    ]);
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
    expect(judge([status("2", "2"), entry(path, "2")], [], lower)).toEqual([]);
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
    // Only the links among the alternatives choose, and no file gives way to one.
    for (const other of [
      link("usr/bin/awk", "/etc/alternatives/awk"),
      entry("etc/motd", "x"),
      entry("etc/alternatives/README", "x"),
    ])
      expect(judge([...gawk, link(other.path, "/usr/bin/gawk")], [], [...alternatives, other])).toEqual([
        `${other.path}: `,
      ]);
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
    // Wherever they lie.
    const pager = "etc/alternatives/pager";
    const named = entry("lib/apk/db/installed", `P:busybox\nV:1-r0\n\nP:less\nV:1-r0\nF:etc/alternatives\nR:pager\n`);
    expect(judge([named, entry(pager, "less")], [], [apk("busybox"), link(pager, "/bin/busybox")])).toEqual([]);
    expect(judge([named, entry(pager, "less")], [], [apk("busybox"), link(pager, "/bin/other")])).toEqual([
      `${pager}: `,
    ]);
    expect(judge([apk("busybox", "curl"), entry("bin/less", "less")], [], lower("/bin/busybox"))).toEqual([
      "bin/less: ",
    ]);
  });
});
