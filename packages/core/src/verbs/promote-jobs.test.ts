import { UserError } from "@goldenpath/foundation/errors";
import { describe, expect, test } from "vitest";
import { planJobs } from "./promote-jobs.ts";

const digest = `sha256:${"a".repeat(64)}`;
const image = `registry.example/quarantine/shop@${digest}`;
const to = "registry.example/vetted/shop";
const none = { tags: [], images: [] };

describe("refused", () => {
  test.each<[string, Parameters<typeof planJobs>[0], string]>([
    ["nothing", none, "input 'image' is required"],
    ["an image alone", { ...none, image }, "input 'to' is required"],
    ["a destination alone", { ...none, to }, "input 'image' is required"],
    ["images beside image", { ...none, image, images: [`${image} ${to}`] }, "beside 'image'"],
    ["images beside to and tags", { to, tags: ["1"], images: [`${image} ${to}`] }, "beside 'to' and 'tags'"],
    ["images beside replaces", { ...none, replaces: digest, images: [`${image} ${to}`] }, "beside 'replaces'"],
    ["what is replaced by a tag", { ...none, image, to, replaces: "1" }, "input 'replaces'"],
    ["a line without a destination", { ...none, images: [image] }, "expected IMAGE TO [TAG …]"],
    ["a line whose image is none", { ...none, images: [`a:b:c ${to}`] }, "line 'a:b:c "],
    ["a line whose destination has a tag", { ...none, images: [`${image} ${to}:1`] }, "without tag or digest"],
    ["a line whose tag is none", { ...none, images: [`${image} ${to} a/b`] }, "has 'a/b'"],
    [
      "a line whose tag keeps evidence",
      { ...none, images: [`${image} ${to} sha256-${"a".repeat(64)}.sig`] },
      "evidence of images",
    ],
    ["an image twice to one place", { ...none, images: [`${image} ${to} 1`, `${image}  ${to} 2`] }, "an image twice"],
    [
      "one tag for two images",
      { ...none, images: [`${image} ${to} 1 2`, `registry.example/quarantine/other@${digest} ${to} 3 2`] },
      `the tag ${to}:2 for two images`,
    ],
    ["a tag that is none", { ...none, image, to, tags: ["-x"] }, "input 'tags' has '-x'"],
  ])("%s", (_what, inputs, message) => {
    expect(() => planJobs(inputs)).toThrow(UserError);
    expect(() => planJobs(inputs)).toThrow(message);
  });
});

test("several images, each with its tags; one image to two places; one tag in two repositories", () => {
  const images = [
    `${image} ${to} 1.0.0 latest latest`,
    `${image} ${to}-copy latest`,
    "registry.example/quarantine/other:candidate\t registry.example/vetted/other",
  ];
  expect(planJobs({ ...none, images }).map((job) => [job.image.name, job.to.name, job.tags])).toEqual([
    ["quarantine/shop", "vetted/shop", ["1.0.0", "latest"]],
    ["quarantine/shop", "vetted/shop-copy", ["latest"]],
    ["quarantine/other", "vetted/other", []],
  ]);
});

test("one image", () => {
  expect(planJobs({ image, to, tags: ["1", "1"], images: [] })).toEqual([
    { image: expect.objectContaining({ digest }), to: expect.objectContaining({ name: "vetted/shop" }), tags: ["1"] },
  ]);
  expect(planJobs({ ...none, image, to, replaces: `${to}@${digest}` })).toMatchObject([{ replaces: digest }]);
});
