import { id } from "@goldenpath/testing/base-facts";
import { dpkgStatus, entry, link, treeOf } from "@goldenpath/testing/file-trees";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../../layers/contents.ts";
import { judgeRebase, type RebaseFacts } from "./judge.ts";

type Layer = readonly LayerEntry[];
const gone = (path: string): LayerEntry => entry(path, "");

const release = (id = "debian", version = "12") => entry("etc/os-release", `ID=${id}\nVERSION_ID="${version}"\n`);
const old: Layer = [release(), dpkgStatus({ libc6: "2.36-9", zlib1g: "1.2" }), entry("etc/motd", "old")];
const next: Layer = [release(), dpkgStatus({ libc6: "2.36-10", zlib1g: "1.2", more: "1" }), entry("etc/motd", "old")];
const app: Layer = [entry("app/server", "app")];

/** By layers: of each base one, and those of the application. */
type Change = { oldBase?: Layer; newBase?: Layer; layers?: Layer[] } & Partial<
  Pick<RebaseFacts, "labels" | "topLayer" | "baseLayers" | "newLayers">
>;
function judgeWhole({ oldBase: before = old, newBase: after = next, layers: own = [app], ...more }: Change = {}) {
  return judgeRebase({
    ...{ labels: {}, topLayer: undefined, newLabels: {}, baseLayers: 1, newLayers: 1 },
    ...{ oldBase: treeOf([before]), image: treeOf([before, ...own], 1) },
    ...{ newBase: treeOf([after]), result: treeOf([after, ...own], 1) },
    ...more,
  });
}
const judge = (change?: Change) => judgeWhole(change).map(({ problem }) => problem);

describe("is refused", () => {
  test("what an extension has made the base of", () => {
    for (const said of ["false", " FALSE "])
      expect(judge({ labels: { "io.buildpacks.rebasable": said } })).toEqual([expect.stringContaining("can't stand")]);
    expect(judge({ labels: { "io.buildpacks.rebasable": "true" } })).toEqual([]);
  });

  test("what the lifecycle has put on another top layer than that of its base, or a label gone wrong", () => {
    const labels = { "io.buildpacks.lifecycle.metadata": JSON.stringify({ runImage: { topLayer: id("top") } }) };
    const [problem, ...more] = judge({ labels, topLayer: id("other") });
    expect([problem, more]).toEqual([expect.stringContaining(`ends with layer ${id("top")}`), []]);
    expect(judge({ labels, topLayer: id("top") })).toEqual([]);
  });

  test.each<[what: string, change: { oldBase?: Layer; newBase?: Layer }, problem: string]>([
    [
      "another release",
      { newBase: [release("debian", "13"), dpkgStatus({ libc6: "3", zlib1g: "2" })] },
      "the old base is debian 12, and the new one debian 13",
    ],
    [
      "another distribution",
      { newBase: [release("ubuntu", "12"), dpkgStatus({ libc6: "3", zlib1g: "2" })] },
      "the new one ubuntu 12",
    ],
    ["no release of the old one", { oldBase: [dpkgStatus({})] }, "the old base does not say"],
    ["none of the new one", { newBase: [dpkgStatus({ libc6: "3", zlib1g: "2" })] }, "the new base does not say"],
    [
      "a release without a number",
      { newBase: [entry("etc/os-release", "ID=debian\n"), dpkgStatus({ libc6: "3", zlib1g: "2" })] },
      "the new base does not say",
    ],
    ["a base of no packages that anybody can read", { oldBase: [release()] }, "no package database"],
    [
      "a package less",
      { newBase: [release(), dpkgStatus({ libc6: "2.36-10" })] },
      "package zlib1g:amd64 of the old base (1.2) is not in the new one",
    ],
    [
      "an older package",
      { newBase: [release(), dpkgStatus({ libc6: "2.36-8", zlib1g: "1.2" })] },
      "(2.36-9) is 2.36-8 in the new one, which is not newer",
    ],
  ])("%s", (_what, change, problem) => {
    const found = judge(change);
    expect(found).toContainEqual(expect.stringContaining(problem));
    expect(judge()).toEqual([]);
  });

  test("no more than ten of many packages are told", () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`p${at}`, "1"]));
    expect(judge({ oldBase: [release(), dpkgStatus(many)] })).toHaveLength(10);
  });

  const changed = (path: string) => `layer 2 of the image has changed ${path} of the old base, which is another file`;
  const motd = (text: string, more: Partial<LayerEntry> = {}): Layer => [
    ...next.slice(0, 2),
    entry("etc/motd", text, more),
  ];
  test.each<[what: string, newBase: Layer]>([
    ["other bytes", motd("new")],
    ["another mode", motd("old", { mode: 0o600 })],
    ["another owner", motd("old", { uid: 1 })],
    ["another group", motd("old", { gid: 1 })],
    ["other attributes", motd("old", { attributes: { "security.capability": "x" } })],
    ["a link", [...next.slice(0, 2), link("etc/motd", "issue")]],
    ["nothing", next.slice(0, 2)],
  ])("a layer over a file of the base where the new base has %s", (_what, newBase) => {
    const layers = [[entry("etc/motd", "own")]];
    expect(judge({ newBase, layers })).toEqual([expect.stringContaining(changed("/etc/motd"))]);
    expect(judge({ layers })).toEqual([]);
    expect(judge({ newBase })).toEqual([]);
  });

  test("a layer that has removed what is another in the new base", () =>
    expect(judge({ newBase: motd("new"), layers: [[gone("etc/.wh.motd")]] })).toEqual([
      expect.stringContaining("layer 2 of the image has removed /etc/motd"),
    ]));

  test("a layer that would hide what only the new base has, by its place in the image", () => {
    const newBase = [...next, entry("etc/new", "x")];
    const layers = [app, [entry("etc/new", "own")]];
    expect(judge({ newBase, layers })).toEqual([
      expect.stringContaining("layer 3 of the image would hide /etc/new of the new base"),
    ]);
    const more = { baseLayers: 4, newLayers: 1 };
    expect(judge({ newBase, layers, ...more })).toEqual([expect.stringContaining("layer 6 of the image would hide")]);
    expect(judge({ newBase, layers: [app] })).toEqual([]);
  });

  test("no more than ten of many files are told", () => {
    const files = Array.from({ length: 12 }, (_, at) => `etc/f${at}`);
    const layers = [files.map((path) => entry(path, "own"))];
    const oldBase = [...old, ...files.map((path) => entry(path, "old"))];
    expect(judge({ oldBase, newBase: [...next, ...files.map((path) => entry(path, "new"))], layers })).toHaveLength(10);
  });
});

test("the release is read through links, wherever they lead, and another's is not taken for it", () => {
  const rest = [next[1] as LayerEntry, entry("etc/motd", "old")];
  const linked = (target: string, version: string) => [
    ...[entry("opt/release", `ID=debian\nVERSION_ID=${version}\n`), link("etc/os-release", target), ...rest],
  ];
  const beside = [entry("etc/release", "ID=debian\nVERSION_ID=12\n"), link("etc/os-release", "release"), ...rest];
  expect(judge({ newBase: beside })).toEqual([]);
  for (const target of ["../opt/release", "/opt/release"]) {
    expect(judge({ newBase: linked(target, "12") })).toEqual([]);
    expect(judge({ newBase: linked(target, "13") })).toEqual([expect.stringContaining("the new one debian 13")]);
  }
  const place = entry("usr/lib/os-release", "ID=debian\nVERSION_ID=12\n");
  expect(judge({ newBase: [place, ...rest] })).toEqual([]);
  expect(judge({ newBase: [link("etc/os-release", "nowhere"), ...rest] })).toEqual([
    expect.stringContaining("the new base does not say"),
  ]);
});

test("of links that go in a circle no release is read", () => {
  const files = next[1] as LayerEntry;
  const oldBase = [release(), dpkgStatus({ libc6: "2.36-9" })];
  for (const newBase of [
    [link("etc", "etc"), files],
    [link("etc/loop", "loop"), link("etc/os-release", "loop/x"), files],
  ])
    expect(judge({ oldBase, newBase })).toEqual([expect.stringContaining("the new base does not say")]);
});

test("each refusal says what to do about it", () => {
  const told = (change: Change) => judgeWhole(change).map(({ wayOut }) => wayOut);
  expect(told({ newBase: [release("debian", "13"), ...next.slice(1)] })).toEqual([
    expect.stringMatching(/^Choose a version of the base of the same release \(--onto\), or rebuild/),
  ]);
  expect(told({ newBase: [release(), dpkgStatus({ libc6: "2.36-10" }), ...next.slice(2)] })).toEqual([
    expect.stringMatching(/^Have the platform team put it into the base, or rebuild/),
  ]);
  expect(told({ labels: { "io.buildpacks.rebasable": "false" } })).toEqual([
    "Rebuild the image on the new base from its source.",
  ]);
});
