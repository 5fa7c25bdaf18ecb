import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * A base stays what it was approved as: every way of hiding or changing a part of it from a layer above, each beside
 * the twin that does no harm.
 */

const directory = (name: string, mode = 0o755): TarOptions => ({ name: `${name}/`, type: "5", mode });
const link = (name: string, linkname: string): TarOptions => ({ name, type: "2", linkname, mode: 0o777 });
const file = (name: string, content: string, mode = 0o644): TarOptions => ({ name, content, mode });
const whiteout = (name: string): TarOptions => file(name.replace(/([^/]+)$/, ".wh.$1"), "");

const stanza = (name: string, version: string, status = "install ok installed"): string =>
  `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\nDescription: x\n more of it\n\n`;
const packages = {
  "base-files": "12.4+deb12u5",
  libssl3: "3.0.11-1~deb12u2",
  openssl: "3.0.11-1~deb12u2",
  mawk: "1.3.4-1",
};
const statusOf = (versions: Readonly<Record<string, string>>): string =>
  Object.entries(versions)
    .map(([name, version]) => stanza(name, version))
    .join("");
const libssl = "usr/lib/x86_64-linux-gnu/libssl.so.3";
const passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
const release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12.5"\n';

const baseEntries: TarOptions[] = [
  directory("etc"),
  directory("etc/ssl"),
  directory("etc/ssl/certs"),
  directory("etc/alternatives"),
  directory("usr"),
  directory("usr/bin"),
  directory("usr/lib"),
  directory("usr/lib/x86_64-linux-gnu"),
  directory("usr/share"),
  directory("var"),
  directory("var/cache"),
  directory("var/lib"),
  directory("var/lib/dpkg"),
  directory("var/lib/dpkg/info"),
  directory("tmp", 0o1777),
  directory("srv"),
  link("bin", "usr/bin"),
  link("lib", "usr/lib"),
  file("usr/lib/os-release", release),
  link("etc/os-release", "../usr/lib/os-release"),
  file(libssl, "libssl 3.0.11"),
  file("usr/bin/openssl", "openssl", 0o755),
  file("usr/bin/su", "su", 0o4755),
  file("usr/bin/mawk", "mawk", 0o755),
  link("usr/bin/awk", "/etc/alternatives/awk"),
  link("etc/alternatives/awk", "/usr/bin/mawk"),
  file("etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----\n"),
  file("etc/motd", "hello\n"),
  file("etc/hosts", ""),
  file("etc/passwd", passwd),
  file("etc/group", "root:x:0:\ndaemon:x:1:\n"),
  file("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640),
  file("var/cache/ldconfig", "cache"),
  file("var/lib/dpkg/status", statusOf(packages)),
  file("var/lib/dpkg/info/base-files.list", "/.\n/etc\n/usr\n/usr/lib\n/usr/lib/os-release\n/etc/os-release\n"),
  file("var/lib/dpkg/info/libssl3:amd64.list", `/.\n/usr\n/usr/lib\n/${libssl.slice(4)}\n`),
  file("var/lib/dpkg/info/openssl.list", "/.\n/usr\n/usr/bin\n/usr/bin/openssl\n"),
  file("var/lib/dpkg/info/mawk.list", "/.\n/usr/bin/mawk\n"),
];

let stand: LayerStand;
beforeAll(async () => {
  stand = await startLayerStand();
});
afterAll(() => stand.stop());

async function judge(layers: readonly (readonly TarOptions[])[], mayChange?: readonly string[]) {
  const base = gzipLayer(tarOf(...baseEntries));
  await stand.approve([base], mayChange);
  return stand.enforce(await stand.push([base, ...layers.map((entries) => gzipLayer(tarOf(...entries)))]));
}

describe("refused, with the layer and the path", () => {
  // [what, the entries of the layer, what the message says]
  const cases: [string, TarOptions[], string][] = [
    [
      "a whiteout over a certificate",
      [whiteout("etc/ssl/certs/ca-certificates.crt")],
      "removes /etc/ssl/certs/ca-certificates.crt",
    ],
    ["a whiteout over a folder", [whiteout("usr/lib")], "removes /usr/lib with"],
    ["a whiteout over the package database", [whiteout("var/lib/dpkg/status")], "removes /var/lib/dpkg/status"],
    ["a whiteout over a link", [whiteout("etc/os-release")], "removes /etc/os-release"],
    ["a whiteout written otherwise", [file("./etc//.wh.motd", "")], "removes /etc/motd"],
    ["a whiteout with a slash in front", [file("/etc/.wh.motd", "")], "removes /etc/motd"],
    ["an opaque folder", [directory("usr/bin"), file("usr/bin/.wh..wh..opq", "")], "removes /usr/bin/openssl"],
    ["an opaque folder above", [file("usr/.wh..wh..opq", "")], "removes /usr/lib"],
    ["an opaque root", [file(".wh..wh..opq", ""), file("etc/passwd", passwd)], "removes /usr with"],
    [
      "a library",
      [file(libssl, "evil")],
      `overwrites /${libssl} of base 'golden': it is a file of package libssl3:amd64`,
    ],
    [
      "a library by its old folder",
      [file(libssl.slice(4), "evil")],
      "puts a directory in the place of the symlink /lib",
    ],
    [
      "a program, written otherwise",
      [file("./usr/bin/../bin/openssl".replace("../bin/", ""), "evil", 0o755)],
      "overwrites /usr/bin/openssl",
    ],
    ["the name of the distribution", [file("usr/lib/os-release", "ID=alpine\n")], "overwrites /usr/lib/os-release"],
    [
      "a file instead of a link",
      [file("etc/os-release", "ID=alpine\n")],
      "puts a file in the place of the symlink /etc/os-release",
    ],
    [
      "a link instead of a file",
      [link("usr/bin/openssl", "/opt/evil")],
      "puts a symlink in the place of the file /usr/bin/openssl",
    ],
    [
      "a link instead of a folder",
      [link("usr/lib", "/opt/lib")],
      "puts a symlink in the place of the directory /usr/lib",
    ],
    [
      "a link instead of a folder above",
      [link("usr", "/opt/usr")],
      "puts a symlink in the place of the directory /usr",
    ],
    ["a file instead of a folder", [file("usr/share", "x")], "puts a file in the place of the directory /usr/share"],
    [
      "a folder instead of a file",
      [file("usr/bin/openssl/x", "x")],
      "puts a directory in the place of the file /usr/bin/openssl",
    ],
    ["a link that leads elsewhere", [link("bin", "/opt/bin")], "leads the link /bin elsewhere (/opt/bin)"],
    [
      "a device instead of a file",
      [{ name: "etc/motd", type: "3", device: [1, 3] }],
      "puts a character-device in the place of the file /etc/motd",
    ],
    [
      "a hard link instead of a file",
      [file("srv/evil", "evil"), { name: "etc/motd", type: "1", linkname: "srv/evil" }],
      "overwrites /etc/motd",
    ],
    ["a set-id bit", [file("usr/bin/openssl", "openssl", 0o4755)], "gives rights to /usr/bin/openssl"],
    [
      "a set-id bit by a hard link",
      [{ name: "srv/x", type: "1", linkname: "usr/bin/openssl", mode: 0o4755 }],
      "gives rights to /usr/bin/openssl",
    ],
    ["a file that everybody writes", [file("etc/motd", "hello\n", 0o666)], "gives rights to /etc/motd"],
    ["a folder that everybody writes", [directory("etc", 0o777)], "gives rights to /etc"],
    ["a folder without its sticky bit", [directory("tmp", 0o777)], "gives rights to /tmp"],
    ["a file of somebody else", [{ ...file("etc/motd", "hello\n"), uid: 1000 }], "gives rights to /etc/motd"],
    [
      "a capability",
      [{ ...file("usr/bin/openssl", "openssl", 0o755), pax: { "SCHILY.xattr.security.capability": "\x01" } }],
      "gives rights to /usr/bin/openssl",
    ],
    ["a user with number 0", [file("etc/passwd", `${passwd}toor:x:0:0::/:/bin/sh\n`)], "overwrites /etc/passwd"],
    [
      "a user with number 0, written otherwise",
      [file("etc/passwd", `${passwd}toor:x:00:0::/:/bin/sh\n`)],
      "overwrites /etc/passwd",
    ],
    [
      "a user whose number wraps to 0",
      [file("etc/passwd", `${passwd}toor:x:4294967296:0::/:/bin/sh\n`)],
      "overwrites /etc/passwd",
    ],
    ["root once more, in front", [file("etc/passwd", `root:x:1000:0::/:/bin/sh\n${passwd}`)], "overwrites /etc/passwd"],
    ["a user with another's number", [file("etc/passwd", `${passwd}app:x:1:1::/:/bin/sh\n`)], "overwrites /etc/passwd"],
    ["a password for root", [file("etc/shadow", "root:$y$x:19000:0:99999:7:::\n", 0o640)], "overwrites /etc/shadow"],
    ["a member for root's group", [file("etc/group", "root:x:0:app\ndaemon:x:1:\n")], "overwrites /etc/group"],
    ["everybody's users", [file("etc/passwd", "+::::::\n")], "overwrites /etc/passwd"],
    ["no users at all", [whiteout("etc/passwd")], "removes /etc/passwd"],
    [
      "a database without a package",
      [file("var/lib/dpkg/status", statusOf({ ...packages, openssl: "" }).replace(/Package: openssl[\s\S]*?\n\n/, ""))],
      "openssl:amd64 is gone",
    ],
    [
      "a database with an older package",
      [file("var/lib/dpkg/status", statusOf({ ...packages, openssl: "3.0.9-1" }))],
      "openssl:amd64 is 3.0.9-1, and was 3.0.11-1~deb12u2",
    ],
    [
      "a database with a package that is only half there",
      [
        file(
          "var/lib/dpkg/status",
          statusOf({ ...packages, openssl: "" }).replace(
            /Package: openssl[\s\S]*?\n\n/,
            stanza("openssl", "9", "deinstall ok config-files"),
          ),
        ),
      ],
      "openssl:amd64 is gone",
    ],
    ["an emptied database", [file("var/lib/dpkg/status", "")], "is gone"],
    [
      "another list of a package's files",
      [file("var/lib/dpkg/info/openssl.list", "/.\n")],
      "it tells of package openssl",
    ],
    [
      "a file of one package, where another one claims to be newer",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, openssl: "3.0.13-1" })),
        file("var/lib/dpkg/info/openssl.list", `/.\n/usr/bin/openssl\n/${libssl}\n`),
        file(libssl, "evil"),
      ],
      `overwrites /${libssl} of base 'golden': it is a file of package libssl3:amd64`,
    ],
    [
      "a file that a new package claims",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, evil: "1" })),
        file("var/lib/dpkg/info/evil.list", `/.\n/${libssl}\n`),
        file(libssl, "evil"),
      ],
      `overwrites /${libssl}`,
    ],
    [
      "a file that no package has, where another is newer",
      [file("var/lib/dpkg/status", statusOf({ ...packages, openssl: "3.0.13-1" })), file("etc/motd", "evil")],
      "overwrites /etc/motd",
    ],
    [
      "a file that its newer package does not list",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, openssl: "3.0.13-1" })),
        file("var/lib/dpkg/info/openssl.list", "/.\n"),
        file("usr/bin/openssl", "evil", 0o755),
      ],
      "overwrites /usr/bin/openssl",
    ],
    [
      "another distribution, by a newer package",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, "base-files": "99" })),
        file("usr/lib/os-release", 'ID=debian\nVERSION_ID="99"\n'),
      ],
      "it names another distribution or release",
    ],
    [
      "a shared folder, by a newer package",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, "base-files": "99", libssl3: "99" })),
        link("usr/lib", "/opt/lib"),
      ],
      "puts a symlink in the place of the directory /usr/lib",
    ],
    [
      "a certificate, where its package is not newer",
      [file("etc/ssl/certs/ca-certificates.crt", "evil")],
      "overwrites /etc/ssl/certs/ca-certificates.crt",
    ],
    [
      "an alternative that no package brings",
      [link("etc/alternatives/awk", "/srv/evil"), file("srv/evil", "evil", 0o755)],
      "leads the link /etc/alternatives/awk elsewhere",
    ],
    [
      "a cache's folder as a link",
      [link("var/cache", "/usr")],
      "puts a symlink in the place of the directory /var/cache",
    ],
    [
      "a runtime's file as a link",
      [link("etc/hosts", "/usr/bin/openssl")],
      "puts a symlink in the place of the file /etc/hosts",
    ],
  ];

  test.each(cases)("%s", async (_what, entries, message) => {
    const said = await judge([[file("srv/app.js", "first")], entries]);
    expect(said.verdict).toBe("fail");
    expect(new Set(said.rules)).toEqual(new Set(["base.changed"]));
    expect(said.problems.join("\n")).toContain(message);
    expect(said.problems.every((problem) => problem.startsWith("layer 3 "))).toBe(true);
    expect(said.result.violations[0]?.wayOut).toContain("mayChange of base 'golden'");
  });

  test("a change in one layer, hidden by nothing in the next", async () => {
    const said = await judge([[file("etc/motd", "evil")], [file("srv/x", "x")]]);
    expect(said.problems).toEqual([expect.stringContaining("layer 2 overwrites /etc/motd")]);
  });

  test("what is not below the path that may change", async () => {
    const said = await judge(
      [[file("etc/motd", "x"), file(libssl, "evil"), whiteout("usr/bin/su")]],
      ["/etc/mot", "/usr/lib/x86", "/etc/motd/x", "/usr/bin/s"],
    );
    expect(said.problems).toHaveLength(3);
  });

  test("hundreds of paths, of which the first are named", async () => {
    const base = gzipLayer(tarOf(...Array.from({ length: 300 }, (_each, at) => file(`srv/${at}`, "x"))));
    await stand.approve([base]);
    const said = await stand.enforce(
      await stand.push([base, gzipLayer(tarOf(...Array.from({ length: 300 }, (_each, at) => file(`srv/${at}`, "y"))))]),
    );
    expect(said.problems).toHaveLength(26);
    expect(said.problems.at(-1)).toBe("275 more paths of base 'golden' are changed");
  });
});

describe("layers that runtimes put together in two ways", () => {
  test.each<[string, TarOptions[]]>([
    ["a path that is removed and added", [whiteout("srv/app"), file("srv/app", "x")]],
    ["a path that is added and removed", [file("srv/app", "x"), whiteout("srv/app")]],
    ["a folder that is removed, with something in it", [whiteout("srv/app"), file("srv/app/x", "x")]],
    ["a path twice, as something else", [file("srv/a", "good"), file("srv/a", "evil")]],
    ["a file and a folder of one name", [file("srv/a", "x"), link("srv/a", "/etc")]],
    [
      "an attribute of the overlay file system",
      [{ ...directory("usr/bin"), pax: { "SCHILY.xattr.trusted.overlay.opaque": "y" } }],
    ],
    ["the same, without root", [{ ...directory("usr/bin"), pax: { "SCHILY.xattr.user.fuseoverlayfs.opaque": "y" } }]],
    ["its own kind of whiteout", [{ name: "etc/motd", type: "3", device: [0, 0] }]],
    ["a whiteout of a whiteout", [file("srv/.wh..wh.plnk", "")]],
    ["a whiteout of the folder above", [file("srv/.wh...", "")]],
    ["a whiteout as a folder", [file("srv/.wh.x/y", "")]],
    ["a hard link to nothing", [{ name: "srv/a", type: "1", linkname: "srv/b" }]],
    ["a circle of links", [link("srv/a", "b"), link("srv/b", "a"), file("srv/a/x", "x")]],
  ])("%s", async (_what, entries) => {
    expect(await judge([entries])).toMatchObject({ verdict: "error", code: "layer-unreadable" });
  });
});

describe("passes", () => {
  const upgraded = statusOf({ ...packages, libssl3: "3.0.13-1~deb12u1", "base-files": "12.4+deb12u6" });
  test.each<[string, TarOptions[]]>([
    [
      "an application beside the base",
      [directory("workspace"), file("workspace/app.js", "x"), link("workspace/lib", "/usr/lib")],
    ],
    ["a Latin-1 name", [file("srv/caf\xe9", "x"), file("srv/\xff\xfe", "y")]],
    [
      "the same bytes again",
      [directory("usr/bin"), file("usr/bin/openssl", "openssl", 0o755), file("etc/passwd", passwd)],
    ],
    ["the same link again", [link("bin", "usr/bin")]],
    ["fewer rights", [file("usr/bin/su", "su", 0o755), directory("etc", 0o700), { ...directory("srv", 0o755) }]],
    [
      "a new file in a folder of the base",
      [file("usr/lib/x86_64-linux-gnu/libapp.so", "x"), link("usr/bin/app", "/workspace/app")],
    ],
    [
      "a hard link to a file of the base",
      [{ name: "srv/openssl", type: "1", linkname: "usr/bin/openssl", mode: 0o755 }],
    ],
    [
      "users of its own",
      [
        file(
          "etc/passwd",
          `${passwd}app:x:1000:0::/home/app:/bin/sh\n_apt:x:100:65534::/nonexistent:/usr/sbin/nologin\n`,
        ),
        file("etc/passwd-", passwd),
        file("etc/group", "root:x:0:\ndaemon:x:1:\napp:x:1000:\n"),
        file("etc/shadow", "root:*:19000:0:99999:7:::\napp:!:19000::::::\n", 0o640),
      ],
    ],
    ["caches and temporary files gone", [whiteout("var/cache/ldconfig"), file("tmp/x", "x")]],
    ["a runtime's file", [file("etc/hosts", "127.0.0.1 localhost\n")]],
    [
      "a package more",
      [
        file("var/lib/dpkg/status", statusOf({ ...packages, gawk: "5.2" })),
        file("var/lib/dpkg/info/gawk.list", "/.\n/usr\n/usr/bin\n/usr/bin/gawk\n"),
        file("usr/bin/gawk", "gawk", 0o755),
        link("etc/alternatives/awk", "/usr/bin/gawk"),
      ],
    ],
    [
      "newer packages, with their files",
      [
        file("var/lib/dpkg/status", upgraded),
        file("var/lib/dpkg/status-old", statusOf(packages)),
        file("var/lib/dpkg/info/libssl3:amd64.list", `/.\n/usr\n/${libssl}\n`),
        file(libssl, "libssl 3.0.13"),
        file("usr/lib/os-release", release.replace("12.5", "12.6")),
      ],
    ],
    [
      "a newer package without a file that it had",
      [file("var/lib/dpkg/status", upgraded), file("var/lib/dpkg/info/libssl3:amd64.list", "/.\n"), whiteout(libssl)],
    ],
  ])("%s", async (_what, entries) => {
    const said = await judge([entries]);
    expect(said.problems).toEqual([]);
    expect(said.verdict).toBe("pass");
  });

  test("what changes and is as it was again in the layer above", async () => {
    expect(await judge([[file("etc/motd", "evil")], [file("etc/motd", "hello\n")]])).toMatchObject({ verdict: "pass" });
  });

  test("what the policy lists, a file and a folder with all that is in it", async () => {
    const said = await judge(
      [[file("etc/motd", "x"), whiteout("usr/lib/x86_64-linux-gnu")]],
      ["/etc/motd", "/usr/lib"],
    );
    expect(said).toMatchObject({ verdict: "pass", problems: [] });
  });

  test("newer packages, which the finding and its notes name as the image's own word", async () => {
    const said = await judge([[file("var/lib/dpkg/status", upgraded)]]);
    expect(said.result.predicate?.["children"]).toMatchObject([
      {
        upgraded: [
          { manager: "dpkg", name: "base-files:amd64", base: "12.4+deb12u5", image: "12.4+deb12u6" },
          { name: "libssl3:amd64" },
        ],
      },
    ]);
    expect(said.result.notes.join()).toContain("the image says that it has newer versions of packages of the base");
  });

  test("a base whose own layers remove and overwrite what is below", async () => {
    const layers = [
      gzipLayer(tarOf(...baseEntries)),
      gzipLayer(tarOf(file("etc/motd", "other"), whiteout("usr/bin/su"))),
      gzipLayer(tarOf(file("srv/x", "x"), file("srv/x", "y"))),
    ];
    await stand.approve(layers);
    expect(await stand.enforce(await stand.push([...layers, gzipLayer(tarOf(file("srv/app", "x")))]))).toMatchObject({
      verdict: "pass",
    });
    const changed = await stand.enforce(await stand.push([...layers, gzipLayer(tarOf(file("etc/motd", "hello\n")))]));
    expect(changed.problems).toEqual([expect.stringContaining("layer 4 overwrites /etc/motd")]);
  });
});

describe("apk's database", () => {
  const apk = (versions: Readonly<Record<string, string>>): string =>
    Object.entries(versions)
      .map(([name, version]) => `P:${name}\nV:${version}\nA:x86_64\nF:bin\nR:${name}\nZ:Q1x=\n\n`)
      .join("");
  const before = { busybox: "1.36.1-r15", musl: "1.2.4-r2" };
  const base = gzipLayer(
    tarOf(
      directory("bin"),
      file("bin/busybox", "busybox", 0o755),
      file("bin/musl", "musl"),
      link("bin/ls", "/bin/busybox"),
      file("lib/apk/db/installed", apk(before)),
      file("etc/apk/world", "busybox\n"),
    ),
  );
  test.each<[string, string, TarOptions[]]>([
    [
      "with a package more, and its program instead of busybox's link",
      "pass",
      [
        file("lib/apk/db/installed", apk({ ...before, ls: "9.4-r0" })),
        file("bin/ls", "ls", 0o755),
        file("etc/apk/world", "busybox\ncoreutils\n"),
      ],
    ],
    [
      "with a newer package",
      "pass",
      [file("lib/apk/db/installed", apk({ ...before, musl: "1.2.4_git20230717-r4" })), file("bin/musl", "newer")],
    ],
    ["with a package gone", "fail", [file("lib/apk/db/installed", apk({ busybox: "1.36.1-r15" }))]],
    ["with an older package", "fail", [file("lib/apk/db/installed", apk({ ...before, musl: "1.2.4_rc1-r9" }))]],
    ["with a file changed, and the same package", "fail", [file("bin/musl", "evil")]],
    ["with a version that is none", "fail", [file("lib/apk/db/installed", apk({ ...before, musl: "newest" }))]],
  ])("%s: %s", async (_what, verdict, entries) => {
    await stand.approve([base]);
    expect(await stand.enforce(await stand.push([base, gzipLayer(tarOf(...entries))]))).toMatchObject({ verdict });
  });
});
