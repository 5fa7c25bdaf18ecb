import { expect, test } from "vitest";
import { longestBase } from "./origin.ts";

const bases = [
  { name: "small", diffIds: ["a"] },
  { name: "large", diffIds: ["a", "b"] },
  { name: "scratch", diffIds: [] },
];

test.each([
  ["the longest prefix", ["a", "b", "c"], "large"],
  ["a shorter one where the longer does not match", ["a", "c", "b"], "small"],
  ["none in the middle", ["x", "a", "b"], undefined],
  ["none where the image has fewer layers, and never an empty base", [], undefined],
])("an image's base is %s", (_name, diffIds, name) => {
  expect(longestBase(bases, diffIds)?.name).toBe(name);
});
