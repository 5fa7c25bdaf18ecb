import { amd64, arm64, base, ids } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import { findNearestBase, identifyBase, isSamePlatform, platformOf } from "./identify.ts";

describe("a platform", () => {
  const arm = { os: "linux", architecture: "arm" };
  // containerd's normalisation: what everybody leaves out, and what somebody writes.
  test.each([
    [arm64, { ...arm64, variant: "v8" }],
    [arm64, { ...arm64, variant: "8" }],
    [arm, { ...arm, variant: "v7" }],
    [arm, { ...arm, variant: "7" }],
    [amd64, { ...amd64, variant: "v1" }],
    [amd64, { ...amd64, variant: "" }],
  ])("%j is %j", (one, other) => {
    expect([isSamePlatform(one, other), isSamePlatform(other, one)]).toEqual([true, true]);
  });

  test.each([
    [arm64, { ...arm64, variant: "v9" }],
    [arm64, { ...arm64, variant: "v7" }],
    [arm64, { ...arm64, variant: "v1" }],
    [arm, { ...arm, variant: "v6" }],
    [arm, { ...arm, variant: "v8" }],
    [arm, { ...arm, variant: "8" }],
    [arm, { ...arm, variant: "v1" }],
    [amd64, { ...amd64, variant: "v2" }],
    [amd64, { ...amd64, variant: "v8" }],
    [amd64, { ...amd64, variant: "8" }],
    [amd64, { ...amd64, variant: "7" }],
    [
      { ...amd64, variant: "7" },
      { ...amd64, variant: "v7" },
    ],
    [{ ...amd64, variant: "8" }, amd64],
    [
      { os: "linux", architecture: "riscv64" },
      { os: "linux", architecture: "riscv64", variant: "v1" },
    ],
    [amd64, arm64],
    [amd64, { ...amd64, os: "windows" }],
  ])("%j is not %j", (one, other) => {
    expect([isSamePlatform(one, other), isSamePlatform(other, one)]).toEqual([false, false]);
  });
});

const image = (layers: string) => ({ platform: amd64, diffIds: ids(layers) });

describe("the nearest base", () => {
  test("is the one of the platform that shares the most of its first layers", () => {
    const bases = [base("one", "os x"), base("two", "os libc y"), base("arm", "os libc z", { platform: arm64 })];
    const found = findNearestBase(image("os libc app"), bases);
    expect([found?.base.name, found?.sharedLayers]).toEqual(["two", 2]);
    expect(findNearestBase(image("os libc app"), bases.toReversed())?.base.name).toBe("two");
  });

  test("shares all of its layers where it is the image's", () => {
    expect(findNearestBase(image("os libc app"), [base("one", "os libc")])?.sharedLayers).toBe(2);
  });

  test("is none where no first layer is shared", () => {
    expect(findNearestBase(image("a b"), [base("one", "b a")])).toBeUndefined();
    expect(findNearestBase(image("a b"), [])).toBeUndefined();
  });
});

test("of several bases the longest counts, with all that have its layers, and one without layers never", () => {
  const bases = [base("short", "os"), base("long", "os libc"), base("twin", "os libc"), base("scratch", "")];
  const found = identifyBase(image("os libc app"), bases);
  expect(found?.bases.map(({ name }) => name)).toEqual(["long", "twin"]);
  expect([found?.matchedLayers, found?.totalLayers]).toEqual([2, 3]);
  expect(identifyBase(image("app"), bases)).toBeUndefined();
});

const forbidden = { forbidden: { lineage: false, waits: false } };

test("of the same layers an approved one counts and no forbidden one, whichever comes first; alone it does", () => {
  const [good, bad] = [base("good", "os libc"), base("bad", "os libc", forbidden)];
  for (const known of [
    [good, bad],
    [bad, good],
  ])
    expect(identifyBase(image("os libc app"), known)?.bases).toEqual([good]);
  expect(identifyBase(image("os libc app"), [base("short", "os"), bad])?.bases).toEqual([bad]);
  const waiting = base("bad", "os libc", { forbidden: { lineage: false, waits: true } });
  expect(identifyBase(image("os libc app"), [base("short", "os"), waiting])?.bases[0].name).toBe("short");
});

test("no forbidden base is the nearest", () => {
  const known = [base("near", "os x"), base("bad", "os libc x", forbidden)];
  expect(findNearestBase(image("os libc app"), known)?.base.name).toBe("near");
});

test("an image's platform is what its config says of it, and a variant only where there is one", () => {
  const config = { ...arm64, variant: "v8", "os.version": "1" };
  expect(platformOf({ config })).toStrictEqual({ ...arm64, variant: "v8" });
  expect(platformOf({ config: { ...arm64, variant: undefined } as typeof arm64 })).toStrictEqual(arm64);
});
