import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import type { PolicyBuilder } from "../../policy/schema.ts";
import { rulesOfPolicy } from "./rules.ts";

const digest = digestOf("image");
const now = new Date("2026-05-01T12:00:00Z");
const bases = [{ name: "golden", image: "r.test/bases/golden", digests: [digestOf("base")] }];
const allowed = (...builders: PolicyBuilder[]) =>
  rulesOfPolicy({ bases, build: { strategies: [], isolation: [], sources: [], builders, cache: "none" } }, now);
const node = { name: "node", runImage: "golden" };

test("files may name a policy's bases, and of no builders nothing else", () => {
  expect(allowed()).toEqual({ bases, buildImages: [], now });
});

test.each<[what: string, builder: PolicyBuilder, images: object[]]>([
  [
    "a builder image's approved versions, and its lifecycle",
    {
      ...{ ...node, image: "r.test/builders/node", digests: [digestOf("old"), digest] },
      lifecycleImage: `r.test/lifecycle@${digest}`,
    },
    [
      { image: "r.test/builders/node", digests: [digestOf("old"), digest] },
      { image: "r.test/lifecycle", digests: [digest] },
    ],
  ],
  [
    "buildpacks, and those that an application may name",
    { ...node, buildpacks: [`r.test/packs/node@${digest}`], allowBuildpacks: [`r.test/packs/apt@${digest}`] },
    [
      { image: "r.test/packs/node", digests: [digest] },
      { image: "r.test/packs/apt", digests: [digest] },
    ],
  ],
  [
    "what a Dockerfile may build with, where it is pinned in that version alone",
    { kind: "dockerfile", name: "files", downloads: [], images: ["r.test/tools/maven", `r.test/tools/go@${digest}`] },
    [
      { image: "r.test/tools/maven", digests: [] },
      { image: "r.test/tools/go", digests: [digest] },
    ],
  ],
  [
    "of a Dockerfile's builder without any nothing",
    { kind: "dockerfile", name: "files", images: [], downloads: [] },
    [],
  ],
  ["nothing by a builder image without versions", { ...node, image: "r.test/builders/node" }, []],
  ["nothing by versions of no image", { ...node, digests: [digest] }, []],
])("and %s", (_what, builder, images) => {
  expect(allowed(builder).buildImages).toEqual(images);
  const first = { image: "r.test/first", digests: [digest] };
  expect(allowed({ ...node, ...first }, builder).buildImages).toEqual([first, ...images]);
});
