import { describe, expect, test } from "vitest";
import { accountFileOf, onlyAddsLines } from "./added-lines.ts";

const passwd = ["root:x:0:0:root:/root:/bin/sh", "daemon:x:1:1::/:/bin/false"];
const group = ["root:x:0:", "daemon:x:1:"];
const bytes = (lines: readonly string[]) => Buffer.from(lines.join("\n"), "latin1");
const isHarmless = (path: string, before: readonly string[], after: readonly string[]): boolean =>
  onlyAddsLines(path, bytes(before), bytes(after));
const adds = (path: string, before: readonly string[], ...added: string[]): boolean =>
  isHarmless(path, before, [...before, ...added]);

describe("users and groups that are there", () => {
  const [root = "", daemon = ""] = passwd;
  test.each<[what: string, after: string[]]>([
    ["gone", [root]],
    ["all gone", []],
    ["in another order", [daemon, root]],
    ["changed", ["root:x:0:0:root:/root:/bin/bash", daemon]],
    ["with a blank behind", [`${root} `, daemon]],
  ])("%s are refused", (_what, after) => expect(isHarmless("etc/passwd", passwd, after)).toBe(false));

  test("pass as they are, with lines before, between and behind them", () => {
    const app = (id: number) => `app${id}:x:${id}:${id}::/:/bin/sh`;
    expect(isHarmless("etc/passwd", passwd, passwd)).toBe(true);
    expect(isHarmless("etc/passwd", passwd, [root, "", daemon, ""])).toBe(true);
    expect(isHarmless("etc/passwd", passwd, [app(7), root, app(8), daemon, app(9)])).toBe(true);
    expect(isHarmless("etc/passwd", [], [app(7)])).toBe(true);
  });
});

test("tens of thousands of users are looked at once each, and the one that is refused is among them", () => {
  const many = Array.from({ length: 50_000 }, (_, at) => `app${at}:x:${at + 2}:7::/:/bin/sh`);
  expect(adds("etc/passwd", passwd, ...many, "app7:x:99999:7::/:/bin/sh")).toBe(false);
  expect(adds("etc/passwd", passwd, ...many, "other:x:9:7::/:/bin/sh")).toBe(false);
  expect(adds("etc/passwd", passwd, ...many)).toBe(true);
});

describe("a user that is added", () => {
  const user = (name: string, id: string, rest = ":7::/:/bin/sh") => `${name}:x:${id}${rest}`;
  test.each<[what: string, ...added: string[]]>([
    ["root's number", user("toor", "0")],
    ["root's number, written otherwise", user("toor", "00")],
    ["a number with a zero in front", user("app", "07")],
    ["a number of another's", user("app", "1")],
    ["a number that is none", user("app", "x")],
    ["a number with letters behind", user("app", "7x")],
    ["a negative number", user("app", "-7")],
    ["no number", user("app", "")],
    ["the number that means none", user("app", "4294967295")],
    ["a number that wraps to root's", user("app", "4294967296")],
    ["a number of eleven digits", user("app", "10000000000")],
    ["a name that is there", user("daemon", "7")],
    ["root's name", user("root", "7")],
    ["no name", user("", "7")],
    ["a sign before its name, as NIS has it", user("+app", "7")],
    ["a sign alone", "+::::::"],
    ["a name with a blank in it", user("a b", "7")],
    ["a dollar in its name", user("a$b", "7")],
    ["a field less", user("app", "7", ":7::/")],
    ["a field more", user("app", "7", ":7::/:/bin/sh:")],
    ["a name that another new one has", user("app", "7"), user("app", "8")],
    ["a number that another new one has", user("app", "7"), user("web", "7")],
  ])("with %s is refused", (_what, ...added) => expect(adds("etc/passwd", passwd, ...added)).toBe(false));

  test.each<[what: string, ...added: string[]]>([
    ["a name and number of its own", user("app", "7")],
    ["a name of one letter", user("a", "10")],
    ["a name with dots, an at sign, a line and a dollar", user("_A.b@c-d$", "7")],
    ["the largest number", user("app", "4294967294")],
    ["others", user("app", "7"), user("web", "8")],
  ])("with %s passes", (_what, ...added) => expect(adds("etc/passwd", passwd, ...added)).toBe(true));
});

test("a group is held to the same, with four fields", () => {
  expect([adds("etc/group", group, "app:x:7:"), adds("etc/group", group, "app:x:7:web,root")]).toEqual([true, true]);
  for (const line of ["app:x:0:", "app:x:1:", "daemon:x:7:", "app:x:7", "app:x:7::", "+app:x:7:"])
    expect(adds("etc/group", group, line)).toBe(false);
  expect(isHarmless("etc/group", group, ["root:x:0:app", "daemon:x:1:"])).toBe(false);
});

test("a password is added for a new name alone, however many fields it has", () => {
  const shadow = ["root:*:19000:0:99999:7:::"];
  for (const path of ["etc/shadow", "etc/gshadow"]) {
    expect(adds(path, shadow, "app:!:19000:0:99999:7:::", "web:!::")).toBe(true);
    for (const lines of [["root::19000:0:99999:7:::"], ["+app:!::"], [":!::"], ["app:!::", "app:x::"]])
      expect(adds(path, shadow, ...lines)).toBe(false);
  }
});

test("ranges of numbers are added for any name, and none that begins with root's", () => {
  for (const path of ["etc/subuid", "etc/subgid"]) {
    expect(adds(path, ["app:100000:65536"], "web:165536:65536", "app:231072:1")).toBe(true);
    const refused = [
      "web:0:65536",
      "web:100000:0",
      "web:0100000:1",
      "web:1:1x",
      "web:1",
      "web:1:1:1",
      ":1:1",
      "+w:1:1",
    ];
    for (const line of refused) expect(adds(path, ["app:100000:65536"], line)).toBe(false);
  }
});

test("shells are added by their paths, and notes", () => {
  expect(adds("etc/shells", ["/bin/sh"], "# of its own", "/bin/zsh")).toBe(true);
  for (const line of ["bin/zsh", " /bin/zsh", "/bin/z\u0001sh", "/bin/zsh\u00e9"])
    expect(adds("etc/shells", ["/bin/sh"], line)).toBe(false);
});

test("a copy is held to what its file is, and no other file may have lines added", () => {
  const app = "app:x:7:7::/:/bin/sh";
  expect([adds("etc/passwd-", passwd, app), adds("etc/passwd-", passwd, "toor:x:0:0::/:")]).toEqual([true, false]);
  for (const path of ["etc/passwd--", "etc/passwd.old", "srv/etc/passwd", "etc/motd", "passwd", "constructor"]) {
    expect(accountFileOf(path)).toBeUndefined();
    expect([adds(path, passwd, app), isHarmless(path, passwd, passwd)]).toEqual([false, false]);
  }
  const copied = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"].map((each) => `etc/${each}`);
  expect(copied.map((path) => accountFileOf(`${path}-`))).toEqual(copied);
  expect(copied.map(accountFileOf)).toEqual(copied);
  expect(accountFileOf("srv/etc/passwd-")).toBeUndefined();
  expect([accountFileOf("etc/shells"), accountFileOf("etc/shells-")]).toEqual(["etc/shells", undefined]);
});

test("of what nobody can read, nothing is harmless", () => {
  expect(onlyAddsLines("etc/passwd", undefined, bytes(passwd))).toBe(false);
  expect(onlyAddsLines("etc/passwd", bytes(passwd), undefined)).toBe(false);
  expect(onlyAddsLines("etc/passwd", bytes(passwd), bytes(passwd))).toBe(true);
});
