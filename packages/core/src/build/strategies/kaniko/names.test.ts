import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { fakeDigest } from "@goldenpath/testing/policy";
import { expect, it } from "vitest";
import type { ResolvedImage } from "../dockerfile/fetch.ts";
import { renderNames } from "./run.ts";

const [index, child] = [fakeDigest("a"), fakeDigest("b")];
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const image = (name: string, tag?: string): ResolvedImage => {
  const repository = { registry: "r.test", name: "bases/golden" };
  return {
    ...{ name, line: 1, use: "base", resolved: { ...repository, digest: index } },
    reference: { ...repository, ...(tag === undefined ? { digest: index } : { tag }) },
    child: { digest: child, descriptor: { mediaType, digest: child, size: 1 } } as ChildFacts,
  };
};

it("each name of a file leads to the image that was judged, whatever the tag is now", () => {
  const names = renderNames([image("r.test/bases/golden:1"), image("r.test/bases/golden"), image("x:2", "2")]);
  const own = `${child} ${mediaType}`;
  expect(names.split("\n").sort()).toEqual(
    [
      "",
      ...[child, "1", "2", "latest"].map((reference) => `bases/golden:${reference} ${own}`),
      `bases/golden:${index} ${index} application/vnd.oci.image.index.v1+json`,
    ].sort(),
  );
});
