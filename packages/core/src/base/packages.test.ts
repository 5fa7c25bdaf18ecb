import { entry, link, treeOf } from "@goldenpath/testing/file-trees";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../layers/contents.ts";
import { comparePackages, isDatabasePath, readPackages } from "./packages.ts";

const read = (...entries: LayerEntry[]) => readPackages(treeOf([entries]));
/** Each package by its key: its versions, and its files in the order of the database. */
const told = (...entries: LayerEntry[]) =>
  [...read(...entries)].map(([key, { versions, files }]) => [key, versions.join(), ...files].join(" "));

const status = (...stanzas: string[]) => entry("var/lib/dpkg/status", stanzas.join("\n"));
const stanza = (name: string, more = "Status: install ok installed\n") =>
  `Package: ${name}\n${more}Architecture: amd64\nVersion: 1\n`;
const list = (name: string, ...lines: string[]) => entry(`var/lib/dpkg/info/${name}.list`, lines.join("\n"));

test("a database of packages lies at its manager's places, and not around them", () => {
  const dpkg = "var/lib/dpkg";
  const databases = [
    ...[`${dpkg}/status`, `${dpkg}/status.d/base`, `${dpkg}/status.d/base.md5sums`, `${dpkg}/info/libc6:amd64.list`],
    ...["lib/apk/db/installed", "usr/lib/apk/db/installed"],
  ];
  const others = [
    ...databases.flatMap((path) => [`srv/${path}`, `${path}/x`]),
    ...[`${dpkg}/status-old`, `${dpkg}/status.d`, `${dpkg}/info/a.list-old`, `${dpkg}/info/libc6.md5sums`],
    ...[`${dpkg}/info/.d/a.list`, "lib/apk/db/installed.new", "lib/apk/db/scripts.tar"],
  ];
  expect(databases.filter((path) => !isDatabasePath(path))).toEqual([]);
  expect(others.filter(isDatabasePath)).toEqual([]);
});

describe("dpkg's status", () => {
  test("tells of each package that is wholly installed its version and files, by both of its lists", () => {
    expect(
      told(
        status(stanza("a"), stanza("b", "Status: hold ok installed\n")),
        list("a", "/.", "/usr", "/usr/bin/a", ""),
        list("a:amd64", "/usr/lib/a"),
        list("a:i386", "/usr/lib/other"),
      ),
    ).toEqual(["dpkg a:amd64 1 usr usr/bin/a usr/lib/a", "dpkg b:amd64 1"]);
    const [[, each] = []] = read(status(stanza("a")));
    expect(each).toEqual({ manager: "dpkg", name: "a:amd64", versions: ["1"], files: new Set() });
  });

  test.each<[what: string, stanza: string]>([
    ["of which only the configuration is left", stanza("x", "Status: deinstall ok config-files\n")],
    ["that is half installed", stanza("x", "Status: install ok half-installed\n")],
    ["without a status", stanza("x", "")],
    ["with half a status", stanza("x", "Status: installed\n")],
    ["without a name", stanza("x").replace("Package: x\n", "")],
    ["without a version", stanza("x").replace("Version: 1\n", "")],
    ["in a line that goes on", "Description: it\n Package: x\n Version: 1\n Status: install ok installed\n"],
  ])("tells nothing of a package %s", (_what, other) => {
    expect(told(status(other, stanza("a")))).toEqual(["dpkg a:amd64 1"]);
  });

  test("is read by its fields, whatever their case, their blanks and what lies between them", () => {
    const odd = "package:a\nTag:x\nSTATUS: \tinstall ok installed \nVersion:  2:1-1\nDescription: of\n Version: 9\n";
    expect(told(status(odd, " \t", stanza("b"), "\n\n", stanza("c")))).toEqual([
      "dpkg a: 2:1-1",
      "dpkg b:amd64 1",
      "dpkg c:amd64 1",
    ]);
  });

  test("is compared by its bytes, and where its files really lie", () => {
    const lists = list("a", "/lib/é", "/circle/x", "/srv/../usr/b");
    expect(told(status(stanza("a")), lists, link("lib", "usr/lib"), link("circle", "circle"))).toEqual([
      `dpkg a:amd64 1 usr/lib/${Buffer.from("é").toString("latin1")} usr/b`,
    ]);
  });

  test("that has a package twice has it in two versions", () =>
    expect(told(status(stanza("a"), stanza("a").replace("Version: 1", "Version: 2")))).toEqual(["dpkg a:amd64 1,2"]));
});

describe("a distroless image's status.d", () => {
  const at = (name: string, text: string) => entry(`var/lib/dpkg/status.d/${name}`, text);
  const sum = "0123456789abcdef".repeat(2);

  test("tells of packages without a status, and by sums of their files", () => {
    expect(
      told(
        at("a", stanza("a", "")),
        at("a.md5sums", `${sum}  usr/bin/a\n${sum} *usr/lib/a b\n`),
        at("b", stanza("b")),
        at("c", stanza("c", "Status: deinstall ok config-files\n")),
      ),
    ).toEqual(["dpkg a:amd64 1 usr/bin/a usr/lib/a b", "dpkg b:amd64 1"]);
  });

  test("tells of no file by what is no sum, and of no package by a list of sums", () => {
    const lines = [
      `${sum}${sum}  usr/long`,
      `${sum} usr/one-blank`,
      `${sum.toUpperCase()}  usr/x`,
      `${sum}  `,
      "usr/x",
    ];
    expect(told(at("a", stanza("a")), at("a.md5sums", lines.join("\n")))).toEqual(["dpkg a:amd64 1"]);
    expect(told(at("a", stanza("a")), at("b.md5sums", stanza("b")))).toEqual(["dpkg a:amd64 1"]);
  });
});

describe("apk's database", () => {
  const at = (text: string, place = "lib/apk/db") => entry(`${place}/installed`, text);

  test("tells of each package its version, its folders and its files, at either place", () => {
    const text = "C:x\nP:musl\nV:1.2-r0\nF:lib\nR:ld.so\na:0:0:755\nR:libc.so\nF:usr/bin\nR:x\n\nP:b\nV:2\nR:first\n\n";
    const all = ["apk musl 1.2-r0 lib lib/ld.so lib/libc.so usr/bin usr/bin/x", "apk b 2 first"];
    expect(told(at(text))).toEqual(all);
    expect(told(at(text, "usr/lib/apk/db"))).toEqual(all);
    expect(told(at("P:a\nV:1\n"), at("P:a\nV:2\n", "usr/lib/apk/db"))).toEqual(["apk a 1,2"]);
  });

  test.each(["V:1\nF:x\n", "P:x\nF:x\n", "P:\nV:1\n", "xP:x\nxV:1\n", "nothing\n"])("tells nothing by %j", (text) =>
    expect(told(at(`${text}\nP:a\nV:1\n`))).toEqual(["apk a 1"]),
  );
});

describe("what has become of a base's packages", () => {
  const apk = (...all: [name: string, version: string][]) =>
    read(entry("lib/apk/db/installed", all.map(([name, version]) => `P:${name}\nV:${version}\n`).join("\n")));
  const dpkg = (version: string) => read(status(stanza("a").replace("Version: 1", `Version: ${version}`)));
  const compare = (...[base, image]: Parameters<typeof comparePackages>) => {
    const { upgraded, lost, added } = comparePackages(base, image);
    return [...upgraded, ...lost, ...added];
  };

  test("is nothing where all are as they were", () => {
    const all = apk(["a", "1"], ["b", "1"]);
    expect(comparePackages(all, all)).toEqual({ base: all, image: all, upgraded: [], lost: [], added: [] });
    // Written in another way, in another order.
    expect(compare(dpkg("1.2"), dpkg("1.02-0"))).toEqual([]);
    expect(compare(apk(["a", "1"], ["a", "2"]), apk(["a", "2"], ["a", "1"]))).toEqual([]);
  });

  test.each<[what: string, after: [string, string][], order: string, told: string | undefined]>([
    ["gone", [["b", "1"]], "removed", undefined],
    ["older", [["a", "1.1-r0"]], "older", "1.1-r0"],
    ["of a version that nobody can compare", [["a", "newest"]], "unknown", "newest"],
    [
      "older in one place and newer in another",
      [
        ["a", "2"],
        ["a", "1"],
      ],
      "older",
      "2, 1",
    ],
    [
      "newer in one place and of no version in another",
      [
        ["a", "2"],
        ["a", "x"],
      ],
      "unknown",
      "2, x",
    ],
  ])("one that is %s is lost", (_what, after, order, versions) => {
    const base = apk(["a", "1.2-r0"], ["b", "1"]);
    const { upgraded, lost } = comparePackages(base, apk(...after, ["b", "1"]));
    expect(upgraded).toEqual([]);
    expect(lost).toEqual([
      { package: base.get("apk a"), before: "1.2-r0", ...(versions === undefined ? {} : { after: versions }), order },
    ]);
  });

  test("one that is newer than each that was there is upgraded, and what is new is added", () => {
    const base = apk(["a", "1"], ["a", "1.1"]);
    const image = apk(["a", "1.2"], ["b", "1"]);
    expect(comparePackages(base, image)).toEqual({
      ...{ base, image, lost: [], added: [image.get("apk b")] },
      upgraded: [{ package: base.get("apk a"), before: "1, 1.1", after: "1.2", order: "newer" }],
    });
    expect(comparePackages(base, apk(["a", "1.1"])).lost).toEqual([]);
    expect(comparePackages(base, apk(["b", "1"])).lost).toEqual([
      { package: base.get("apk a"), before: "1, 1.1", order: "removed" },
    ]);
  });

  test("is told by the manager's own order", () => {
    const order = (base: Parameters<typeof comparePackages>[0], image: typeof base) =>
      comparePackages(base, image).upgraded.map((each) => each.order);
    expect(order(apk(["a", "1_rc1"]), apk(["a", "1"]))).toEqual(["newer"]);
    expect(order(dpkg("1_rc1"), dpkg("1"))).toEqual([]);
    expect(order(dpkg("1~rc1"), dpkg("1"))).toEqual(["newer"]);
    expect(order(apk(["a", "1~rc1"]), apk(["a", "1"]))).toEqual([]);
  });
});
