import { describe, expect, test } from "vitest";
import { expandTagNames, expandTags, type TagFacts } from "./expand.ts";

const facts: TagFacts = {
  sourceRef: "refs/heads/main",
  sourceCommit: "860c1904a1ce19322e91ac35af1ab07466440c37",
  event: "push",
  defaultBranch: "main",
  now: new Date("2026-03-04T05:06:07Z"),
};
const repository = "registry.test/quarantine/web";
const expand = (lines: readonly string[], changes: Partial<TagFacts> = {}, flavor: readonly string[] = []) =>
  expandTags({ lines, flavor, repository }, { ...facts, ...changes });
const refusal = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    return error;
  }
};

describe("a rule that is none", () => {
  test.each([
    ["type=pep440,pattern={{version}}", "type 'pep440' is none of schedule, semver, edge, ref, raw, sha"],
    ["type=", "type '' is none of"],
    ["type=toString", "type 'toString' is none of"],
    ["type=sha,formt=long", "'formt' is not one of its attributes"],
    ["type=sha,format=middle", "format 'middle' is none of short, long"],
    ["type=ref,event=push", "event 'push' is none of branch, tag, pr"],
    ["type=ref", "it has no 'event'"],
    ["type=semver", "it has no 'pattern'"],
    ["type=raw", "it has no 'value'"],
    ["type=raw,latest", "'latest' is not NAME=VALUE"],
    ["type=sha,priority=high", "priority 'high' is no number"],
    ["type=sha,enable=yes", "enable is 'yes' and not true or false"],
    ["type=sha,enable={{is_default}}", "{{is_default}} is none of {{branch}}, {{tag}}, {{sha}}"],
    ["type=raw,value={{constructor}}", "{{constructor}} is none of"],
    ["type=semver,pattern={{epoch}},value=1.0.0", "{{epoch}} is none of {{raw}}, {{version}}, {{major}}"],
  ])("%s", (line, why) => {
    expect(refusal(() => expand([line]))).toMatchObject({
      code: "tag-rule-invalid",
      message: expect.stringContaining(`'${line}' can't be used to make a tag: ${why}`),
    });
  });

  test.each(["latest=yes", "onlatest=true", "color=red", "prefix"])("flavor %s", (line) => {
    expect(refusal(() => expand(["type=sha"], {}, [line]))).toMatchObject({ code: "tag-rule-invalid" });
  });

  test("without a repository, or of which none makes a tag in this run", () => {
    const alone = { lines: ["type=sha"], flavor: [], repository: undefined };
    expect(refusal(() => expandTags(alone, facts))).toMatchObject({ code: "tags-missing" });
    expect(refusal(() => expandTags({ ...alone, repository: `${repository}:1` }, facts))).toMatchObject({
      code: "reference-invalid",
    });
    expect(refusal(() => expand(["type=ref,event=tag"]))).toMatchObject({
      code: "tags-missing",
      message: "no line of input 'tags' makes a tag in a run of refs/heads/main: type=ref,event=tag",
    });
    // Elsewhere than on GitHub there may be no ref at all.
    expect(
      refusal(() => expandTags({ lines: ["type=sha"], flavor: [], repository }, { now: facts.now })),
    ).toMatchObject({
      code: "tags-missing",
    });
  });
});

describe("tags as docker/metadata-action 6 makes them", () => {
  // Each of these was run through that action's own bundle, with the same answer.
  const cases: [lines: string, flavor: string, event: string, ref: string, tags: string][] = [
    ["type=semver,pattern={{version}}", "", "push", "refs/tags/v1.2.3", "1.2.3 latest"],
    [
      "type=semver,pattern={{version}} | type=semver,pattern={{major}}.{{minor}} | type=semver,pattern={{major}}",
      "",
      "push",
      "refs/tags/v1.2.3",
      "1.2.3 1.2 1 latest",
    ],
    [
      "type=semver,pattern={{version}} | type=semver,pattern={{major}}",
      "",
      "push",
      "refs/tags/2.0.0-rc.1",
      "2.0.0-rc.1",
    ],
    ["type=semver,pattern={{raw}}", "", "push", "refs/tags/v2.0.0-rc.1", "v2.0.0-rc.1"],
    ["type=semver,pattern={{raw}}", "", "push", "refs/tags/v2.0.0+linux", "v2.0.0-linux latest"],
    ["type=semver,pattern=v{{major}}", "latest=false", "push", "refs/tags/v3.4.5", "v3"],
    ["type=semver,pattern={{version}} | type=sha", "", "push", "refs/tags/nightly", "sha-860c190"],
    ["type=semver,pattern={{version}} | type=sha", "", "push", "refs/tags/v1.02.3", "sha-860c190"],
    ["type=semver,pattern={{version}},value=v1.0.0", "", "push", "refs/heads/main", "1.0.0 latest"],
    ["type=sha", "", "push", "refs/heads/main", "sha-860c190"],
    ["type=sha,format=long", "", "push", "refs/heads/main", "sha-860c1904a1ce19322e91ac35af1ab07466440c37"],
    ["type=sha,prefix=", "", "push", "refs/heads/main", "860c190"],
    ["type=sha,prefix={{branch}}-,suffix=-x", "", "push", "refs/heads/main", "main-860c190-x"],
    ["type=ref,event=branch", "", "push", "refs/heads/feature/a b", "feature-a-b"],
    ["type=ref,event=branch", "latest=true", "push", "refs/heads/dev", "dev latest"],
    ["type=ref,event=tag", "", "push", "refs/tags/rel/7", "rel-7 latest"],
    ["type=ref,event=tag", "latest=false", "push", "refs/tags/rel-7", "rel-7"],
    ["type=ref,event=pr", "", "pull_request", "refs/pull/12/merge", "pr-12"],
    ["type=ref,event=pr,prefix=", "", "pull_request", "refs/pull/12/merge", "12"],
    ["type=ref,event=branch | type=ref,event=tag | type=ref,event=pr", "", "pull_request", "refs/pull/3/merge", "pr-3"],
    ["type=raw,value=foo", "", "push", "refs/heads/main", "foo"],
    ["type=raw,value=foo", "latest=true", "push", "refs/heads/main", "foo latest"],
    [
      "type=raw,value=latest,enable={{is_default_branch}} | type=sha",
      "",
      "push",
      "refs/heads/main",
      "latest sha-860c190",
    ],
    ["type=raw,value=latest,enable={{is_default_branch}} | type=sha", "", "push", "refs/heads/dev", "sha-860c190"],
    ["type=raw,value=other,enable={{is_not_default_branch}}", "", "push", "refs/heads/dev", "other"],
    ["type=raw,value={{branch}}-{{sha}}", "", "push", "refs/heads/a/b", "a-b-860c190"],
    ["type=raw,value=x{{tag}}", "", "push", "refs/tags/v9", "xv9"],
    ["type=edge", "", "push", "refs/heads/main", "edge"],
    ["type=edge | type=sha", "", "push", "refs/heads/dev", "sha-860c190"],
    ["type=edge,branch=dev", "", "push", "refs/heads/dev", "edge"],
    ["type=schedule", "", "schedule", "refs/heads/main", "nightly"],
    ["type=schedule,pattern=weekly | type=sha", "", "push", "refs/heads/main", "sha-860c190"],
    ["type=sha | type=raw,value=a | type=ref,event=branch", "", "push", "refs/heads/main", "main a sha-860c190"],
    ["type=sha,priority=5000 | type=ref,event=tag", "", "push", "refs/tags/v1", "sha-860c190 v1"],
    [
      "type=semver,pattern={{version}}",
      "prefix=foo-,onlatest=true",
      "push",
      "refs/tags/v1.2.3",
      "foo-1.2.3 foo-latest",
    ],
    [
      "type=semver,pattern={{version}} | type=sha",
      "prefix=foo-",
      "push",
      "refs/tags/v1.2.3",
      "foo-1.2.3 sha-860c190 latest",
    ],
    [
      "type=semver,pattern={{version}},prefix= | type=raw,value=a",
      "suffix=-alpine,onlatest=true",
      "push",
      "refs/tags/v1.2.3",
      "1.2.3-alpine a-alpine latest-alpine",
    ],
    ["type=raw,value=a | type=raw,value=a", "", "push", "refs/heads/main", "a"],
    ["type=raw,enable=false,value=a | type=raw,value=b", "", "push", "refs/heads/main", "b"],
  ];
  test.each(cases)("%s (%s) on %s of %s → %s", (lines, flavor, event, sourceRef, tags) => {
    const { references } = expand(lines.split(" | "), { event, sourceRef }, flavor === "" ? [] : [flavor]);
    expect(references).toEqual(tags.split(" ").map((tag) => `${repository}:${tag}`));
  });

  test("dates are of this run, in UTC", () => {
    const made = expand(["type=schedule,pattern={{date 'YYYYMMDD-HHmmss'}}", "type=raw,value={{date 'YYYY'}}"], {
      event: "schedule",
    });
    expect(made.references).toEqual([`${repository}:20260304-050607`, `${repository}:2026`]);
  });
});

test("tags alone: plain ones go first, each is there once, and there may be none", () => {
  const lines = ["stable", "type=sha", "sha-860c190"];
  expect(expandTagNames({ lines, flavor: [] }, facts).names).toEqual(["stable", "sha-860c190"]);
  expect(expandTagNames({ lines: ["type=ref,event=tag"], flavor: [] }, facts).names).toEqual([]);
  const release = { ...facts, sourceRef: "refs/tags/v1.2.3" };
  const version = { lines: ["type=semver,pattern={{version}}"], flavor: ["latest=false"] };
  expect(expandTagNames(version, release).names).toEqual(["1.2.3"]);
  expect(refusal(() => expandTagNames({ lines: ["type=none"], flavor: [] }, facts))).toMatchObject({
    code: "tag-rule-invalid",
  });
});

test("plain references stay as they are, go first, and name the repository where nothing else does", () => {
  const lines = ["registry.test/q/other:1", "type=sha", "registry.test/q/other:sha-860c190"];
  expect(expandTags({ lines, flavor: [], repository: undefined }, facts).references).toEqual([
    "registry.test/q/other:1",
    "registry.test/q/other:sha-860c190",
  ]);
  const plain = { lines: ["registry.test/q/web:1"], flavor: [], repository: undefined };
  expect(expandTags(plain, { now: facts.now }).references).toEqual(plain.lines);
});

test("a tag that is no version is said", () => {
  const { references, remarks } = expand(["type=semver,pattern={{version}}", "type=sha"], {
    sourceRef: "refs/tags/v1",
  });
  expect(references).toEqual([`${repository}:sha-860c190`]);
  expect(remarks).toEqual([
    "'v1' is no version that semver.org knows, so 'type=semver,pattern={{version}}' makes no tag of it",
  ]);
});
