import { parseText, refusalOf, sampleWith } from "@goldenpath/testing/policy-refusal";
import { describe, expect, test } from "vitest";

const builder = "    - name: node";
const parseWith = (from: string, to: string) => parseText(sampleWith(from, to));

describe("a builder that is refused, with the place and the reason", () => {
  test.each([
    [
      "of a strategy that there is not",
      builder,
      "    - kind: buildpack\n      name: node",
      /^p\.yaml:29:13: build\.builders\[0\]\.kind: expected .*buildpacks.*, found 'buildpack'; did you mean `buildpacks`\?$/m,
    ],
    [
      "of no strategy",
      builder,
      "    - kind:\n      name: node",
      /^p\.yaml:29:\d+: build\.builders\[0\]\.kind: expected .*, found nothing$/m,
    ],
    [
      "that is no map",
      builder,
      `    - node\n${builder}`,
      /^p\.yaml:29:7: build\.builders\[0\]: expected a map, found 'node'$/m,
    ],
    [
      "with a typo in a key",
      "      runImage:",
      "      runimage:",
      /^p\.yaml:\d+:7: build\.builders\[0\]\.runimage: unknown key; did you mean `runImage`\?$/m,
    ],
    [
      "with a key that none of its kind has",
      builder,
      `${builder}\n      into: a.example/b`,
      /^p\.yaml:30:7: build\.builders\[0\]\.into: unknown key \(known here: kind, name, buildpacks, image, digests, approval, lifecycleImage, allowInline, allowBuildpacks, allowExtensions, approved, until, runImage, languages\)$/m,
    ],
    [
      "with buildpacks beside the image that has them",
      builder,
      `${builder}\n      image: a.example/b\n      digests: ["sha256:${"1".repeat(64)}"]`,
      /^p\.yaml:29:7: build\.builders\[0\]: has either `buildpacks` or a builder's `image`$/m,
    ],
    [
      "without the day from which its age counts",
      "  builders:\n",
      "  builderMaxAge: 90d\n  builders:\n",
      /^p\.yaml:30:7: build\.builders\[0\]: has no `approved`, from which `builderMaxAge` counts$/m,
    ],
    [
      "with digests of no image",
      builder,
      `${builder}\n      digests: ["sha256:${"1".repeat(64)}"]`,
      /^p\.yaml:29:7: build\.builders\[0\]: has `image` and `digests` only together$/m,
    ],
  ])("%s", (_what, from, to, message) => {
    expect(refusalOf(sampleWith(from, to)).message).toMatch(message);
  });
});

test("a builder says its kind, or leaves it out as policies before there were kinds do", () => {
  const [given] = parseWith(builder, builder).build.builders;
  expect(given).not.toHaveProperty("kind");
  expect(parseWith(builder, "    - kind: buildpacks\n      name: node").build.builders).toEqual([
    { ...given, kind: "buildpacks" },
  ]);
});
