import { describe, expect, test } from "vitest";
import { isCommit, type NamedDigest, readOnlyCommit } from "./git-commits.ts";

const repository = "https://github.com/acme/shop";
const commit = "d".repeat(40);
const other = "e".repeat(40);
const gitCommit = (uri: string | undefined, version = commit): NamedDigest => ({
  ...(uri === undefined ? {} : { uri }),
  digest: { gitCommit: version },
});
const sha1 = (uri: string | undefined, version = commit): NamedDigest => ({
  ...(uri === undefined ? {} : { uri }),
  digest: { sha1: version },
});
const noCommit = { problem: "what it was built from is no commit of a repository at an https URL" };
const several = (count: number) => ({
  problem: `it names ${count} commits of Git repositories, and not the one that was built`,
});

describe("the one commit that a build has used", () => {
  test.each<[string, string | undefined]>([
    [`git+${repository}`, undefined],
    [`git+${repository}/`, undefined],
    [`git+${repository}.git`, undefined],
    [`git+${repository}.git/`, undefined],
    [`git+${repository}@refs/heads/main`, "refs/heads/main"],
    [`git+${repository}.git@refs/tags/v1/x`, "refs/tags/v1/x"],
    [`${repository}.git`, undefined],
    [`${repository}.git#refs/heads/main`, "refs/heads/main"],
    [`${repository}.git#refs/heads/main:app`, "refs/heads/main"],
    [`${repository}.git#${commit}`, undefined],
    [`${repository}.git#${commit}:app`, undefined],
    [`${repository}.git#:app`, undefined],
  ])("is read of %s", (uri, ref) => {
    for (const used of [gitCommit(uri), sha1(uri)])
      expect(readOnlyCommit([used])).toEqual({ repository, version: commit, ref });
  });

  test.each([
    `git+http://github.com/acme/shop`,
    `git+ssh://github.com/acme/shop`,
    `git+${repository}@main`,
    `git+${repository}@refs/heads/main@refs/heads/x`,
    `git+${repository}@refs/heads/a b`,
    `git+https://ci:token@github.com/acme/shop`,
    `git+${repository}?x=1`,
    `git+${repository}#main`,
    ` git+${repository}.git`,
    `${repository}.git#main`,
    `${repository}.git#${commit.slice(1)}`,
    `${repository}.git#${commit.toUpperCase()}`,
    `${repository}.git#refs/heads/main#x`,
    `${repository}.git#refs/heads/main:a b`,
    `${repository}.git#${other}`,
    `x${repository}.git`,
    `https://ci:token@github.com/acme/shop.git`,
    "http://github.com/acme/shop.git",
    "git@github.com:acme/shop",
  ])("is none at %s, which names one all the same", (uri) => {
    expect(readOnlyCommit([gitCommit(uri)])).toEqual(noCommit);
  });

  test.each([
    "git+x",
    "git:x",
    "git@x",
    "GIT+https://x.example/y",
    "ssh://x.example/y",
    "pkg:github/acme/lib",
    "pkg:gitlab/acme/lib",
    "pkg:bitbucket/acme/lib",
    "https://x.example/y.git",
    "https://x.example/y.git/",
    "https://x.example/y.git@v1",
    "https://x.example/y.git#v1",
    "https://x.example/y.GIT?v1",
  ])("is not alone beside the SHA-1 of %s", (uri) => {
    expect(readOnlyCommit([gitCommit(`git+${repository}`), sha1(uri, other)])).toEqual(several(2));
  });

  test.each([
    undefined,
    "",
    "https://x.example/y.github",
    "https://x.example/digit:al",
    "https://x.example/?to=ssh://y",
    "pkg:npm/github/x",
    "https://x.example/pkg:github/x",
  ])("is alone beside the SHA-1 of %s, a file's", (uri) => {
    expect(readOnlyCommit([gitCommit(`git+${repository}`), sha1(uri, other)])).toMatchObject({ version: commit });
  });

  test("is asked of every address of a repository, also of one without a digest", () => {
    expect(readOnlyCommit([])).toEqual(several(0));
    expect(readOnlyCommit([{}, { uri: "pkg:npm/x" }, { digest: { sha256: "a" } }])).toEqual(several(0));
    const bare = { uri: "git+https://github.com/acme/lib" };
    expect(readOnlyCommit([gitCommit(`git+${repository}`), bare])).toEqual(several(2));
    expect(readOnlyCommit([bare])).toEqual(noCommit);
    expect(readOnlyCommit([gitCommit(undefined)])).toEqual(noCommit);
    // What is called a commit goes before a SHA-1 of something.
    const both = { uri: `git+${repository}`, digest: { sha1: other, gitCommit: commit } };
    expect(readOnlyCommit([both])).toMatchObject({ version: commit });
  });

  test("is one by 40 or 64 hexadecimal digits, and nothing around them", () => {
    for (const version of ["a".repeat(40), "0123456789abcdef".repeat(4)]) expect(isCommit(version)).toBe(true);
    for (const version of ["", "a".repeat(39), "a".repeat(41), "a".repeat(63), "a".repeat(65), "A".repeat(40)])
      expect(isCommit(version)).toBe(false);
    for (const version of [` ${commit}`, `${commit} `, `${commit}\n`, "g".repeat(40), `x${"a".repeat(64)}`])
      expect(isCommit(version)).toBe(false);
    expect(readOnlyCommit([gitCommit(`git+${repository}`, "d")])).toEqual(noCommit);
  });
});
