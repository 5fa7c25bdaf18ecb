import { base, child, decide, golden, ids, labelled } from "@goldenpath/testing/base-facts";
import { dpkgStatus, entry, treeOf } from "@goldenpath/testing/file-trees";
import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../layers/contents.ts";

const files = Array.from({ length: 27 }, (_, at) => `usr/lib/${at}`);
const os = [entry("etc/motd", "base"), ...files.map((path) => entry(path, path))];
const libc = [entry("lib/libc", "libc")];

/** An image of golden's two layers and one of its own, with what is in that. */
const on = (own: readonly LayerEntry[], lower: readonly LayerEntry[] = os, more: Parameters<typeof child>[1] = {}) =>
  child("os libc app", {
    trees: { base: treeOf([lower, libc]), image: treeOf([lower, libc, own], 2) },
    ...more,
  });
const judge = (...[own, lower, more]: Parameters<typeof on>) => decide([on(own, lower, more)], { approved: [golden] });
const told = (...asked: Parameters<typeof on>) =>
  judge(...asked).violations.map(({ rule, problem }) => [rule, problem] as const);

describe("what an upper layer does to its base", () => {
  test("is refused, by the layer and the path, and what it adds is not", () => {
    expect(told([entry("etc/motd", "own")])).toEqual([
      ["base.changed", expect.stringMatching(/^layer 3 .*\/etc\/motd of base 'golden'/)],
    ]);
    expect(told([entry("etc/motd", "own")])[0]?.[1]).toBe("layer 3 overwrites /etc/motd of base 'golden'");
    expect(judge([entry("etc/motd", "own")]).violations[0]?.wayOut).toContain("mayChange of base 'golden'");
    expect(told([entry("etc/motd", "base", { mode: 0o666 })])[0]?.[1]).toMatch(
      / of base 'golden': its owner, mode or /,
    );
    expect(told([entry("app/server", "own"), entry("etc/motd", "base")])).toEqual([]);
    expect(judge([entry("etc/motd", "own")]).children.map(({ verdict }) => verdict)).toEqual(["fail"]);
  });

  test("is let through at a path that the policy lists with the base", () => {
    const listed = base("golden", "os libc", { mayChange: ["/etc/motd"] });
    expect(decide([on([entry("etc/motd", "own")])], { approved: [listed] }).violations).toEqual([]);
  });

  test("is not asked of a base that is forbidden: nothing of that is to be let through", () => {
    const bad = base("bad", "os libc", { forbidden: { lineage: false, waits: false } });
    const { violations } = decide([on([entry("etc/motd", "own")])], { approved: [bad] });
    expect(violations.map(({ rule }) => rule)).toEqual(["base.forbidden"]);
    // Before its day the approved one that lies there is asked, as ever.
    const waiting = base("bad", "os libc", { forbidden: { lineage: false, waits: true } });
    const before = decide([on([entry("etc/motd", "own")])], { approved: [waiting, golden] });
    expect(before.violations.map(({ rule }) => rule)).toEqual(["base.changed"]);
  });

  test("is told of 25 paths one by one, and of more by their number", () => {
    const change = (count: number) => told(files.slice(0, count).map((path) => entry(path, "own")));
    expect(change(25)).toHaveLength(25);
    expect(change(26)).toHaveLength(26);
    expect(change(26).at(-1)).toEqual(["base.changed", "1 more paths of base 'golden' are changed"]);
    expect(change(27).at(-1)).toEqual(["base.changed", "2 more paths of base 'golden' are changed"]);
  });

  test("is not looked for where the layers are others than its config says: that is refused by itself", () => {
    expect(told([entry("etc/motd", "own")], os, { layers: ids("os libc other") }).map(([rule]) => rule)).toEqual([
      "base.layer-contradicts",
    ]);
  });

  test("is nothing where the image stands on no base", () => {
    const found = decide([on([entry("etc/motd", "own")])], { approved: [base("other", "x")] });
    expect(found.violations.map(({ rule }) => rule)).toEqual(["base.approved"]);
  });
});

describe("what an image is said to stand on", () => {
  test("with all of its files and other layers it was packed again, and the way out says to leave those", () => {
    const rebuilt = { name: "golden", same: 9, of: 10 };
    const [again] = decide([child("x", { rebuilt })], { approved: [golden] }).violations;
    expect(again?.problem).toContain("it has the files of 'golden' (9 of 10)");
    expect(again?.wayOut).toContain("Leave its layers as they are, and rebuild it");
    const [other] = decide([child("x")], { approved: [golden] }).violations;
    expect([other?.problem, other?.wayOut]).toEqual([
      expect.not.stringContaining("it has the files"),
      expect.stringContaining("Rebuild it on an approved base"),
    ]);
  });

  test("newer packages of the base are told as its own word, ten of them by name", () => {
    const names = Array.from({ length: 12 }, (_, at) => `p${at}`);
    const status = (version: string, count: number) =>
      dpkgStatus(Object.fromEntries(names.slice(0, count).map((name) => [name, version])));
    const notes = (count: number) => judge([status("2", count)], [...os, status("1", count)]).notes;
    expect(notes(10)).toEqual([
      expect.stringMatching(/of the base: p0:amd64 1 → 2, p1:amd64 1 → 2, .*p9:amd64 1 → 2$/),
    ]);
    expect(notes(12)).toEqual([expect.stringMatching(/p9:amd64 1 → 2, and 2 more$/)]);
    expect(judge([entry("app", "x")]).notes).toEqual([]);
  });
});

describe("what is asked of an image goes by what it stands on", () => {
  const asked = (more: Parameters<typeof decide>[1], change: Parameters<typeof child>[1] = {}) =>
    decide([on([entry("app/server", "x")], os, change)], { approved: [golden], ...more }).violations.map(
      ({ rule }) => rule,
    );
  const rules = (refuse: readonly "committed"[], ...files: string[]) => ({
    rules: { refuse, mustHave: files.map((file) => ({ file })) },
  });
  const history = (...all: string[]) => ({ habits: { history: all.map((created_by) => ({ created_by })) } });

  test("a layer that was committed counts above the base alone", () => {
    const refuse = rules(["committed"]);
    expect(asked(refuse, history("bash", "bash", "COPY . ."))).toEqual([]);
    expect(asked(refuse, history("COPY a", "COPY b", "bash"))).toEqual(["base.committed"]);
  });

  test("what every image must have is looked for in all of its layers", () => {
    expect(asked(rules([], "/etc/motd", "/app/server"))).toEqual([]);
    expect(asked(rules([], "/etc/other"))).toEqual(["base.missing"]);
  });

  test("a rule of the policy's own is told which base it is, and which layers are that base's", () => {
    const rule = (expression: string) => ({
      customRules: [{ name: "own", stage: "base" as const, expression, message: "m", remedy: "r" }],
    });
    expect(asked(rule('base.name == "golden"'))).toEqual([]);
    expect(asked(rule('base.name == "other"'))).toEqual(["base.rule"]);
    expect(asked(rule('layers.filter(l, l.from == "base").size() == 2'))).toEqual([]);
  });

  test("the lifecycle's label is held to the base's last layer, and on no base to the image's own layers", () => {
    const long = base("long", "os libc more");
    const told = (topLayer: string, approved = [long], layers = "os libc more app") =>
      decide([child(layers, labelled({ topLayer: ids(topLayer)[0] }))], { approved }).violations.map(
        ({ rule }) => rule,
      );
    expect(told("more")).toEqual([]);
    expect(told("libc")).toEqual(["base.label-contradicts"]);
    expect(told("os", [base("one", "os")], "os app")).toEqual([]);
    expect(told("app", [base("one", "os")], "os app")).toEqual(["base.label-contradicts"]);
    expect(told("x", [long], "x y")).toEqual(["base.approved"]);
    expect(told("z", [long], "x y")).toEqual(["base.approved", "base.label-contradicts"]);
  });
});
