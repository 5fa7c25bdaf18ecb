import { gzipLayer } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import {
  baseEntries,
  directory,
  file,
  judge,
  libssl,
  link,
  packages,
  passwd,
  release,
  stand,
  statusOf,
  useChangedBase,
  whiteout,
} from "../support/changed-base.ts";

useChangedBase();

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
