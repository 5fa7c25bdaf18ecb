import { fakeDigest } from "@goldenpath/testing/policy";
import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import { dockerfile } from "./dockerfile.ts";
import type { SeenImage } from "./strategy.ts";

const own = (name: string, bases?: string[]) => ({
  ...{ kind: "dockerfile" as const, name, images: [], downloads: [] },
  ...(bases === undefined ? {} : { bases }),
});
const policy = { name: "acme", builders: [own("any"), own("narrow", ["golden"]), own("other", ["java"])] };
const base = (...names: string[]) => ({
  names,
  repository: { registry: "r.test", name: "b" },
  digest: fakeDigest("a"),
});
const config = (...comments: (string | undefined)[]) => ({
  ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [] } },
  history: comments.map((comment) => (comment === undefined ? {} : { comment })),
});
const mark = "buildkit.dockerfile.v0";
const seen = (...children: SeenImage["children"]): SeenImage => ({ children });

describe("builders that can have made it", () => {
  it.each<[string, SeenImage, string[]]>([
    ["none, on no base", seen({ base: undefined }), []],
    ["none, where a part is on no base", seen({ base: base("golden") }, { base: undefined }), []],
    ["none, without a part", seen(), []],
    ["those that let a Dockerfile stand there", seen({ base: base("golden") }), ["any", "narrow"]],
    ["on each part's base", seen({ base: base("golden") }, { base: base("java") }), ["any"]],
    ["by any name of the base", seen({ base: base("first", "java") }), ["any", "other"]],
  ])("%s", (_what, image, builders) => {
    expect(dockerfile.prove(image, policy)).toMatchObject({ builders, materials: [] });
  });
});

describe("the mark of BuildKit", () => {
  it.each<[string, SeenImage, boolean]>([
    ["is that of the last step", seen({ base: undefined, config: config(undefined, mark) }), true],
    ["is not that of a base below", seen({ base: undefined, config: config(mark, undefined) }), false],
    ["is every part's", seen({ base: undefined, config: config(mark) }, { base: undefined, config: config() }), false],
    ["is none without parts", seen(), false],
  ])("%s", (_what, image, isClaimed) => {
    expect(dockerfile.prove(image, policy).isClaimed).toBe(isClaimed);
  });
});

it("a provenance without a builder that allows its base does not count", () => {
  expect(dockerfile.judge({ builders: ["any"], dependencies: [] }, policy)).toEqual([]);
  expect(dockerfile.judge({ builders: [], dependencies: [] }, policy)).toHaveLength(1);
  expect(dockerfile.judge({ builders: ["gone"], dependencies: [] }, policy)).toHaveLength(1);
});

it("is spoken for by each file that Docker's tools take for one", () => {
  const files = ["Containerfile", "Dockerfile", "Dockerfile.web", "web.Dockerfile"];
  expect(dockerfile.detect(withFiles([...files, "Dockerfilex", "dockerfile.txt"]))).toEqual(files);
});

it("takes images by repository or digest, never by tag, and URLs by https", () => {
  const parse = (more: object) =>
    dockerfile.builderSchema.safeParse({ kind: "dockerfile", name: "x", ...more }).success;
  expect(parse({ images: ["r.test/a", `r.test/a@${fakeDigest("a")}`] })).toBe(true);
  expect(parse({ images: ["r.test/a:1"] })).toBe(false);
  expect(parse({ images: ["r.test/A"] })).toBe(false);
  expect(parse({ downloads: ["https://a.example/"] })).toBe(true);
  expect(parse({ downloads: ["http://a.example/"] })).toBe(false);
  expect(parse({ downloads: ["a.example"] })).toBe(false);
});
