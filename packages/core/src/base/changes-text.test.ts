import { entry, link } from "@goldenpath/testing/file-trees";
import { decide, folder, gone } from "@goldenpath/testing/overlays";
import { expect, test } from "vitest";
import { describeChanges } from "./changes-text.ts";

const lower = [
  ...[entry("etc/motd", "x"), entry("etc/shadow", "x", { mode: 0o640, gid: 42 }), folder("srv/own")],
  ...[link("lib", "usr/lib"), entry("opt/a/x", "x"), entry("opt/a/y", "y"), entry("opt/b", "b")],
];
const told = (...own: Parameters<typeof decide>[0]) =>
  describeChanges(decide(own, [], lower).refused).map(({ what }) => what);

test.each<[what: string, own: ReturnType<typeof entry>, says: string]>([
  ["a file", entry("etc/motd", "own"), "overwrites /etc/motd"],
  ["another kind", link("etc/motd", "/tmp"), "puts a symlink in the place of the file /etc/motd"],
  ["a link", link("lib", "/tmp/lib"), "leads the link /lib elsewhere (/tmp/lib)"],
  [
    "rights",
    entry("etc/shadow", "x", { mode: 0o644, uid: 7 }),
    "gives rights to /etc/shadow (mode 644 of 7:0, in the base 640 of 0:42)",
  ],
  ["a file that is gone", gone("opt/a/x"), "removes /opt/a/x"],
  ["a folder that is gone", gone("opt/a"), "removes /opt/a with 2 files and folders, /opt/a/x among them,"],
  ["an empty folder that is gone", gone("srv/own"), "removes /srv/own"],
])("a change of %s is told by its layer, with what it does and why that counts", (_what, own, says) => {
  const { refused } = decide([own], [], lower);
  expect(describeChanges(refused)).toEqual([{ layer: 1, what: says, why: refused[0]?.why }]);
});

test("of several each is told, and once what went with one folder", () => {
  expect(
    told(entry("etc/motd", "own"), link("lib", "/tmp/lib"), gone("opt/a"), gone("opt/b"), gone("etc/shadow")),
  ).toEqual([
    "overwrites /etc/motd",
    "removes /etc/shadow",
    "leads the link /lib elsewhere (/tmp/lib)",
    "removes /opt/a with 2 files and folders, /opt/a/x among them,",
    "removes /opt/b",
  ]);
  expect(told()).toEqual([]);
});

test("what two layers removed of one folder is told of each", () => {
  const refused = ["opt/a/x", "opt/a/y"].flatMap((path, layer) =>
    decide([gone(path)], [], lower).refused.map((each) => ({
      ...each,
      change: { ...each.change, layer: layer + 1, removedAt: "opt/a" },
    })),
  );
  expect(describeChanges(refused)).toMatchObject([{ layer: 1, what: "removes /opt/a/x" }, { layer: 2 }]);
});
