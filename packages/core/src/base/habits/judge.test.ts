import { dpkgStatus, entry, link, treeOf as treeOfLayers } from "@goldenpath/testing/file-trees";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { describe, expect, test } from "vitest";
import { createCollector, keepContent } from "../../layers/contents.ts";
import { TarParser } from "../../layers/tar.ts";
import { buildTree, type FileTree } from "../../layers/tree.ts";
import type { ImageHabits } from "./config.ts";
import { type HabitFacts, type HabitRules, judgeHabits } from "./judge.ts";

function treeOf(...entries: TarOptions[]): FileTree {
  const collector = createCollector(keepContent(() => Number.POSITIVE_INFINITY));
  const parser = new TarParser();
  collector.take(parser.push(tarOf(...entries)));
  parser.finish();
  return buildTree([{ diffId: `sha256:${"0".repeat(64)}`, entries: collector.entries }], 1);
}

const image = treeOf(
  { name: "etc/passwd", content: "root:x:0:0::/:\napp:x:7:7::/:\n" },
  { name: "opt/agent", content: "a" },
  { name: Buffer.from("opt/é", "utf8").toString("latin1"), content: "a" },
  { name: "opt/link", type: "2", linkname: "agent" },
  { name: "opt/far", type: "2", linkname: "/opt/link" },
  { name: "opt/broken", type: "2", linkname: "/nowhere" },
  { name: "opt/self", type: "2", linkname: "self" },
  { name: "opt/root", type: "2", linkname: "/" },
  {
    name: "var/lib/dpkg/status",
    content: "Package: curl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n",
  },
);
const facts: HabitFacts = { habits: { config: { User: "app" } }, labels: {}, leftovers: [], ownLayers: 1, image };
const judge = (change: Partial<HabitFacts>, rules: Partial<HabitRules>) =>
  judgeHabits({ ...facts, ...change }, { refuse: [], mustHave: [], ...rules });

describe("the user", () => {
  const refuse = ["root-user"] as const;
  test.each([
    ["nobody", {}, "its config names no user"],
    ["an empty one", { User: "" }, "its config names no user"],
    ["root", { User: "root" }, "its config names the user 'root'"],
    [
      "one that is not there",
      { User: "web" },
      "nobody can tell whether it starts as root: its config names the user 'web'",
    ],
  ])("%s is refused", (_what, config, problem) => {
    const [found, ...others] = judge({ habits: { config } }, { refuse });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ rule: "base.root-user", wayOut: expect.stringContaining("USER 1000:1000") });
    expect(found?.problem).toContain(problem);
  });

  test("who is in the list passes, and without a list only a number", () => {
    expect(judge({}, { refuse })).toEqual([]);
    const { image: _image, ...rest } = facts;
    const alone = (User: string) =>
      judgeHabits({ ...rest, habits: { config: { User } } }, { refuse, mustHave: [] }).length;
    expect([alone("app"), alone("7")]).toEqual([1, 0]);
  });

  test("a list that is a link is followed", () => {
    const linked = treeOf(
      { name: "usr/etc/passwd", content: "app:x:7:7::/:\n" },
      { name: "etc", type: "2", linkname: "usr/etc" },
    );
    expect(judge({ image: linked }, { refuse })).toEqual([]);
  });
});

describe("what must be there", () => {
  test.each([
    ["a file", { file: "/opt/agent" }],
    ["a file with letters", { file: "/opt/é" }],
    ["a link to one", { file: "/opt/link" }],
    ["a link to a link", { file: "/opt/far" }],
    ["a link to the root", { file: "/opt/root" }],
    ["a folder", { file: "/opt" }],
    ["a package", { package: "curl" }],
    ["a label", { label: "a" }],
    ["a label's value", { label: "a", value: "1" }],
    ["an empty value that is asked for", { label: "empty", value: "" }],
  ])("%s is there", (_what, thing) => {
    expect(judge({ labels: { a: "1", empty: "" } }, { mustHave: [thing] })).toEqual([]);
  });

  test.each([
    ["a file", { file: "/opt/other" }, "it has nothing at /opt/other"],
    ["what a link leads to", { file: "/opt/broken" }, "it has nothing at /opt/broken"],
    ["an end of a link", { file: "/opt/self" }, "it has nothing at /opt/self"],
    ["a package", { package: "cur" }, "it has no package cur"],
    ["a package, by its architecture", { package: "curl:amd64" }, "it has no package curl:amd64"],
    ["a label", { label: "b" }, "it has no label b"],
    ["a label with something in it", { label: "empty" }, "it has no label empty"],
    ["a label that every object has", { label: "constructor" }, "it has no label constructor"],
    ["a label's value", { label: "a", value: "2" }, "it has no label a of the value '2'"],
  ])("%s is missing", (_what, thing, problem) => {
    expect(judge({ labels: { a: "1", empty: "" } }, { mustHave: [thing] })).toEqual([
      { rule: "base.missing", problem, wayOut: expect.stringContaining("images.mustHave") },
    ]);
  });

  test("of files that nobody knows, nobody can tell", () => {
    const { image: _image, ...rest } = facts;
    const mustHave = [{ file: "/opt/agent" }, { package: "curl" }, { label: "a" }];
    const found = judgeHabits({ ...rest, labels: { a: "1" } }, { refuse: [], mustHave });
    expect(found.map(({ problem }) => problem)).toEqual([
      "nobody can tell whether it has /opt/agent: it stands on no approved base",
      "nobody can tell whether it has package curl: it stands on no approved base",
    ]);
  });
});

describe("what is told", () => {
  const leftovers: HabitFacts["leftovers"] = [
    { kind: "secret", layer: 2, path: "root/.netrc", what: "a login (netrc)", size: 3 },
    { kind: "package-cache", layer: 1, path: "var/cache/apk", what: "apk's packages", size: 1_260_000 },
  ];
  const habits = {
    config: { User: "app", Env: ["NPM_TOKEN=planted"] },
    history: [{ created_by: "  bash -c planted" }],
  };

  test("each kind has its rule, and only what is asked for", () => {
    const all = judge({ leftovers, habits }, { refuse: ["secrets", "package-caches", "committed", "secrets"] });
    expect(all.map(({ rule, problem }) => [rule, problem])).toEqual([
      ["base.secret", "layer 3 has a login (netrc) at /root/.netrc"],
      ["base.secret", "its config has a value that is secret by its name: environment variable NPM_TOKEN"],
      ["base.package-cache", "layer 2 has apk's packages at /var/cache/apk, 1.3 MB"],
      [
        "base.committed",
        "by its history a layer was made of a running container (of 'bash'), and not by a build file's instruction",
      ],
    ]);
    expect(all.map(({ wayOut }) => wayOut.split(" ")[0])).toEqual(["Treat", "Treat", "Keep", "Write"]);
    for (const refuse of ["secrets", "package-caches", "committed"] as const)
      expect(new Set(judge({ leftovers, habits }, { refuse: [refuse] }).map(({ rule }) => rule)).size).toBe(1);
    expect(judge({ leftovers, habits }, {})).toEqual([]);
  });

  const credential = (path: string, line: number, layer = 1) => ({
    ...{ kind: "credential" as const, layer, path, what: "a token of npm", size: 9, at: { line, hash: "01234567" } },
  });

  test("credentials are told file by file, which one may be let pass alone", () => {
    const noted = [credential("srv/a", 1), credential("srv/b", 2), credential("srv/a", 7), credential("srv/a", 1, 2)];
    const found = judge({ leftovers: [...leftovers, ...noted] }, { refuse: ["credentials"] });
    const token = (line: number) => `a token of npm in line ${line} (sha256 01234567…)`;
    expect(found.every(({ wayOut }) => wayOut.startsWith("Revoke it"))).toBe(true);
    expect(found.map(({ rule, file, problem }) => [rule, file, problem])).toEqual([
      ["base.credential", "/srv/a", `layer 2 has at /srv/a: ${token(1)}, ${token(7)}`],
      ["base.credential", "/srv/b", `layer 2 has at /srv/b: ${token(2)}`],
      ["base.credential", "/srv/a", `layer 3 has at /srv/a: ${token(1)}`],
    ]);
    expect(judge({ leftovers: noted }, { refuse: ["secrets", "package-caches"] })).toEqual([]);
  });

  test("of many, what there is no room for is a refusal without a file, that no exception is for", () => {
    const files = (count: number) => Array.from({ length: count }, (_, at) => credential(`srv/${at}`, 1));
    expect(judge({ leftovers: files(500) }, { refuse: ["credentials"] }).every(({ file }) => file !== undefined)).toBe(
      true,
    );
    const [last] = judge({ leftovers: files(502) }, { refuse: ["credentials"] }).slice(500);
    expect(last).toMatchObject({ rule: "base.credential", problem: "2 more files have some" });
    expect(last).not.toHaveProperty("file");
    const lines = Array.from({ length: 30 }, (_, at) => credential("srv/a", at + 1));
    const told = (count: number) =>
      judge({ leftovers: lines.slice(0, count) }, { refuse: ["credentials"] })[0]?.problem.split(", ");
    expect(told(30)).toHaveLength(26);
    expect(told(30)?.at(-1)).toBe("5 more");
    expect(told(25)).toHaveLength(25);
  });

  test("of many of a kind, 25 and how many more", () => {
    const many = Array.from({ length: 27 }, (_each, index) => ({ ...leftovers[0], path: `p${index}` }));
    const found = judge({ leftovers: many as HabitFacts["leftovers"] }, { refuse: ["secrets"] });
    expect(found).toHaveLength(26);
    expect(found.at(-1)).toMatchObject({ rule: "base.secret", problem: "2 more of the same" });
    const just = judge({ leftovers: many.slice(0, 25) as HabitFacts["leftovers"] }, { refuse: ["secrets"] });
    expect(just).toHaveLength(25);
  });
});

describe("what is looked for in an image's files", () => {
  const look = (
    files: Parameters<typeof treeOfLayers>[0][number],
    rules: Partial<HabitRules>,
    habits: ImageHabits = {},
  ) =>
    judgeHabits(
      { habits, labels: {}, ownLayers: 1, leftovers: [], image: treeOfLayers([files]) },
      { refuse: [], mustHave: [], ...rules },
    ).map(({ problem }) => problem);

  test("a user by name where there is no list of users, and an image whose config says nothing", () => {
    const refuse: HabitRules["refuse"] = ["root-user"];
    const app = { config: { User: "app" } };
    expect(look([], { refuse }, app)).toEqual([expect.stringContaining("nobody can tell")]);
    expect(look([entry("etc/passwd", "app:x:1000")], { refuse }, app)).toEqual([]);
    expect(look([], { refuse })).toEqual(["it starts as root: its config names no user"]);
    // A circle leads to no list.
    expect(look([link("etc", "etc")], { refuse }, app)).toEqual([
      "nobody can tell whether it starts as root: its config names the user 'app', which is not in its /etc/passwd",
    ]);
  });

  test("one package of many", () => {
    const files = [dpkgStatus({ agent: "1", curl: "2" })];
    expect(look(files, { mustHave: [{ package: "agent" }, { package: "curl" }] })).toEqual([]);
    expect(look(files, { mustHave: [{ package: "gcc" }] })).toEqual(["it has no package gcc"]);
  });

  test("a file behind links, as many as Linux follows, and none that go in a circle", () => {
    const chain = (count: number) => [
      entry("end", "x"),
      ...Array.from({ length: count }, (_, at) => link(`l${at + 1}`, at === 0 ? "end" : `l${at}`)),
    ];
    const has = (files: Parameters<typeof treeOfLayers>[0][number], file: string) =>
      look(files, { mustHave: [{ file }] });
    expect(has(chain(40), "/l40")).toEqual([]);
    expect(has(chain(41), "/l41")).toEqual(["it has nothing at /l41"]);
    expect(has([link("a", "b"), link("b", "a")], "/a")).toEqual(["it has nothing at /a"]);
    expect(has([link("a", "b"), link("b", "a")], "/a/x")).toEqual(["it has nothing at /a/x"]);
    expect(has([link("a", "../../..")], "/a")).toEqual([]);
    expect(has([link("a", "nowhere")], "/a")).toEqual(["it has nothing at /a"]);
  });

  test("what waits for its own day is told apart from what does not", () => {
    const day = { enforceFrom: "2026-06-01" };
    const found = judgeHabits(
      { habits: {}, labels: {}, ownLayers: 1, leftovers: [], image: treeOfLayers([[]]) },
      { refuse: [], mustHave: [{ file: "/a" }, { file: "/b", ...day }, { label: "c" }] },
    );
    expect(found.map(({ problem, own }) => [problem, own?.from])).toEqual([
      ["it has nothing at /a", undefined],
      ["it has no label c", undefined],
      ["it has nothing at /b", "2026-06-01"],
    ]);
    expect(found[0]).not.toHaveProperty("own");
  });

  test("without its files nobody can tell", () => {
    const found = judgeHabits(
      { habits: {}, labels: {}, ownLayers: 1, leftovers: [] },
      { refuse: [], mustHave: [{ file: "/no thing" }, { package: "no" }] },
    );
    expect(found.map(({ problem }) => problem)).toEqual([
      "nobody can tell whether it has /no thing: it stands on no approved base",
      "nobody can tell whether it has package no: it stands on no approved base",
    ]);
  });
});
