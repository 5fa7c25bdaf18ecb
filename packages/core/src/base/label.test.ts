import { id } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import { lifecycleLabel, readClaimedBase, readExportPlace, readLifecycleLabel } from "./label.ts";

const topLayer = id("libc");
const label = (runImage: unknown) => ({ [lifecycleLabel]: JSON.stringify({ runImage }) });
const baseName = "org.opencontainers.image.base.name";

test("the lifecycle's label has a name that others know", () =>
  expect(lifecycleLabel).toBe("io.buildpacks.lifecycle.metadata"));

describe("the lifecycle's label", () => {
  test.each<[what: string, labels: Record<string, string>, read: ReturnType<typeof readLifecycleLabel>]>([
    ["that is not there", { other: "{}" }, { kind: "none" }],
    ["that is no JSON", { [lifecycleLabel]: "{" }, { kind: "malformed", why: "it is not JSON" }],
    ["that says nothing", { [lifecycleLabel]: "{}" }, { kind: "malformed", why: "it has no runImage" }],
    ["of a text for an object", label("run"), { kind: "malformed", why: "it has no runImage" }],
    [
      "without a top layer",
      label({ image: "r.test/golden" }),
      {
        ...{ kind: "malformed", why: "its runImage.topLayer is not a digest" },
        claimed: { by: lifecycleLabel, name: "r.test/golden" },
      },
    ],
    ["with a top layer", label({ topLayer }), { kind: "read", topLayer }],
    [
      "with a name as well",
      label({ topLayer, image: "r.test/golden", reference: "r.test/other" }),
      { kind: "read", topLayer, claimed: { by: lifecycleLabel, name: "r.test/golden" } },
    ],
  ])("%s", (_what, labels, read) => expect(readLifecycleLabel(labels)).toStrictEqual(read));
});

describe("what an image says that it stands on", () => {
  const annotations = { [baseName]: "r.test/annotated" };
  const both = { [baseName]: "r.test/labelled" };

  test.each<[what: string, labels: Record<string, string>, annotations: Record<string, string>, name: string]>([
    ["by the lifecycle's label first", { ...label({ image: "r.test/run" }), ...both }, annotations, "r.test/run"],
    ["by its reference where it has no name", label({ image: "", reference: "r.test/ref" }), annotations, "r.test/ref"],
    ["by its reference where the name is none", label({ image: 1, reference: "r.test/ref" }), {}, "r.test/ref"],
    [
      "by the annotation where that label names nothing",
      { ...label({ topLayer }), ...both },
      annotations,
      "r.test/annotated",
    ],
    ["by the annotation where that label can't be read", { [lifecycleLabel]: "{" }, annotations, "r.test/annotated"],
    ["by a label of the annotation's name", both, {}, "r.test/labelled"],
    ["by that label where the annotation is empty", both, { [baseName]: "" }, "r.test/labelled"],
  ])("%s", (_what, labels, said, name) =>
    expect(readClaimedBase(labels, said)).toEqual({
      ...{ by: name === "r.test/run" || name === "r.test/ref" ? lifecycleLabel : baseName, name },
    }),
  );

  test("is nothing where nothing says so, or says it of nothing", () => {
    expect(readClaimedBase({}, {})).toBeUndefined();
    expect(readClaimedBase({ [baseName]: "" }, { [baseName]: "" })).toBeUndefined();
    expect(readClaimedBase(label({ image: "", reference: 1 }), {})).toBeUndefined();
  });

  test("is one line, and about as long as a reference may be", () => {
    expect(readClaimedBase({}, { [baseName]: "a\n::error::b" })?.name).not.toContain("\n");
    expect(readClaimedBase(label({ image: `r\n${"x".repeat(999)}` }), {})?.name.length).toBeLessThan(310);
  });
});

test("where the lifecycle left the image goes by what it calls the run image", () => {
  const at = (reference: unknown) => readExportPlace(label({ reference }));
  const hex = "0123456789abcdef".repeat(4);
  expect([at(hex), at(`sha256:${hex}`)]).toEqual(["daemon", "daemon"]);
  const others = [
    `r.test/run@sha256:${hex}`,
    `${hex}0`,
    hex.slice(1),
    `x${hex}`,
    hex.toUpperCase(),
    [hex],
    1,
    undefined,
  ];
  expect(others.map(at)).toEqual(others.map(() => "registry"));
  expect(readExportPlace({ [lifecycleLabel]: "{" })).toBe("registry");
  expect(readExportPlace({})).toBeUndefined();
});
