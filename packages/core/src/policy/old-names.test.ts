import { UserError } from "@goldenpath/foundation/errors";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { parsePolicy, readPolicy } from "./parse.ts";

// Keys by the names that they had.

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const problemOf = (text: string): string => {
  try {
    parsePolicy(bytes(text), "p.yaml");
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return "";
};
const lineOf = (text: string, what: string): number => text.slice(0, text.indexOf(what)).split("\n").length;
const isolation = (written: string): string => samplePolicyText.replace("  isolation: [host]\n", written);
const exception = (written: string): string =>
  samplePolicyText.replace(
    "rule: scan.severity\n    vulnerability: CVE-2026-0001\n    package: lodash\n",
    `${written.trim()}\n`,
  );

describe("by both names at once it is refused, at the old one", () => {
  test.each<[what: string, text: string, old: string, says: string]>([
    [
      "where builds run",
      isolation("  environments: [host]\n  isolation: [host]\n"),
      "environments: [host]",
      "build.environments: is the old name of `isolation`, which is there as well: keep that one",
    ],
    [
      "what an exception is for",
      exception("rule: scan.severity\n    thing: CVE-1\n    vulnerability: CVE-1"),
      "thing: CVE-1",
      "exceptions[0].thing: is the old name of `vulnerability`, which is there as well: keep that one",
    ],
    [
      "the package that an exception is for",
      exception("rule: scan.package\n    thing: lodash\n    package: lodash"),
      "thing: lodash",
      "exceptions[0].thing: is the old name of `package`, which is there as well",
    ],
  ])("%s", (_what, text, old, says) => {
    const problem = problemOf(text);
    expect(problem).toContain(says);
    expect(problem).toContain(`p.yaml:${lineOf(text, old)}:`);
  });
});

describe("what is wrong of it is told where it is written", () => {
  test.each<[what: string, text: string, at: string, says: string]>([
    ["a word that is none", isolation("  environments: [hots]\n"), "hots", "did you mean `host`?"],
    ["no list", isolation("  environments: host\n"), "environments: host", "expected a list"],
    [
      "a repository with a tag",
      exception("rule: base.approved\n    thing: a.example/b:1"),
      "thing: a.example/b:1",
      "expected a repository",
    ],
    ["of a rule that is none", exception("rule: scan\n    thing: x"), "thing: x", "thing: unknown key"],
  ])("%s", (_what, text, at, says) => {
    const problem = problemOf(text);
    expect(problem).toContain(says);
    expect(problem).toContain(`p.yaml:${lineOf(text, at)}:`);
  });
});

test.each<[rule: string, thing: string, now: string]>([
  ["scan.severity", "CVE-2026-0001", "vulnerability"],
  ["scan.gate", "CVE-2026-0001", "vulnerability"],
  ["scan.malicious", "MAL-2026-1", "vulnerability"],
  ["scan.package", "pkg:npm/lodash", "package"],
  ["scan.license", "AGPL-3.0-only", "license"],
  ["base.approved", "registry.test/vendor", "repository"],
])("an exception of %s means what it did, and is told at its line", (rule, thing, now) => {
  const old = exception(`rule: ${rule}\n    thing: ${thing}`);
  const current = exception(`rule: ${rule}\n    ${now}: ${thing}`);
  const { policy, notes } = readPolicy(bytes(old), "p.yaml");
  expect(policy).toEqual(parsePolicy(bytes(current), "p.yaml"));
  expect(policy.exceptions[0]).toMatchObject({ [now]: thing });
  expect(notes).toEqual([`p.yaml:${lineOf(old, "thing:")}:5: exceptions[0].thing: is called \`${now}\` now`]);
});

test("where builds run means what it did; the names of now say nothing", () => {
  const old = isolation("  environments: [host]\n");
  const { policy, notes } = readPolicy(bytes(old), "p.yaml");
  expect(policy).toEqual(parsePolicy(bytes(samplePolicyText), "p.yaml"));
  expect(notes).toEqual([
    `p.yaml:${lineOf(old, "environments: [host]")}:3: build.environments: is called \`isolation\` now`,
  ]);
  expect(readPolicy(bytes(samplePolicyText), "p.yaml").notes).toEqual([]);
});

test.each([
  ["nothing", "rule: scan.severity", "exceptions[0].vulnerability: is missing"],
  ["another rule's", "rule: scan.license\n    vulnerability: CVE-1\n    license: MIT", "is set aside for a license"],
  [
    "a package of a base's rule",
    "rule: base.root-user\n    repository: r.test/a\n    package: x",
    "base.root-user knows no packages",
  ],
  ...["etc/key", "/etc//key", "/etc/", "/etc/../key"].map((file): [string, string, string] => [
    `a credential at ${file}`,
    `rule: base.credential\n    repository: r.test/a\n    file: ${file}`,
    "exceptions[0].file: is no path as results tell it: from / on, without '.', '..' or a / at its end",
  ]),
  ["a credential in any file", "rule: base.credential\n    repository: r.test/a", "exceptions[0].file: is missing"],
  [
    "a file of another rule",
    "rule: base.secret\n    repository: r.test/a\n    file: /srv/a",
    "exceptions[0].file: base.secret knows no files",
  ],
  ["a package alone", "rule: base.approved\n    package: x", "exceptions[0].repository: is missing"],
])("an exception for %s is refused", (_what, written, says) => {
  expect(problemOf(exception(written))).toContain(says);
});
