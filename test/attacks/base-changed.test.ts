import { gzipLayer } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import {
  directory,
  file,
  judge,
  libssl,
  link,
  packages,
  passwd,
  stand,
  stanza,
  statusOf,
  useChangedBase,
  whiteout,
} from "../support/changed-base.ts";

useChangedBase();

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
