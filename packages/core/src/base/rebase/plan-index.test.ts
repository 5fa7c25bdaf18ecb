import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type ImageConfig, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { expect, test } from "vitest";
import { planIndex, type RebasedChild } from "./plan-index.ts";

const [one, two, three] = [digestOf("1"), digestOf("2"), digestOf("3")];
const name = "org.opencontainers.image.base.name";
const digest = "org.opencontainers.image.base.digest";
const describe = (more: Partial<Descriptor>): Descriptor => ({
  mediaType: mediaTypes.ociManifest,
  digest: one,
  size: 1,
  ...more,
});
const becomes = (now: typeof one, system: object = {}): RebasedChild => ({
  digest: now,
  size: 2,
  system: system as ImageConfig,
  base: { name: "base@2", digest: three },
});
const index = (manifests: Descriptor[], more: object = {}) => ({ schemaVersion: 2 as const, manifests, ...more });

test("an image that was not rebased is no part of it", () =>
  expect(() => planIndex(index([describe({ digest: two })]), new Map([[one, becomes(two)]]), undefined)).toThrow(
    "was not rebased",
  ));

test("what it says of a base names the new one, and nothing where there is none of all", () => {
  const annotations = { [name]: "old", [digest]: "old", kept: "yes" };
  const plan = (shared: RebasedChild["base"] | undefined) =>
    planIndex(index([], { annotations, subject: describe({}), x: 1 }), new Map(), shared);
  expect(plan({ name: "base@3", digest: two })).toEqual({
    ...index([]),
    x: 1,
    annotations: { [name]: "base@3", [digest]: two, kept: "yes" },
  });
  expect(plan(undefined).annotations).toEqual({ kept: "yes" });
  expect(planIndex(index([]), new Map(), undefined)).toEqual(index([]));
});

test("of the old image's descriptor stays what is not about its bytes", () => {
  const platform = { os: "windows", architecture: "amd64", "os.version": "10.0.1", "os.features": ["win32k"] };
  const old = describe({ platform, data: "e30=", annotations: { [name]: "old", kept: "yes" }, artifactType: "a" });
  const replaced = new Map([[one, becomes(two, { "os.version": "10.0.2", variant: "v1" })]]);
  expect(planIndex(index([old]), replaced, undefined).manifests).toStrictEqual([
    {
      ...describe({ digest: two, size: 2, artifactType: "a", annotations: { [name]: "base@2", kept: "yes" } }),
      platform: { os: "windows", architecture: "amd64", "os.version": "10.0.2" },
    },
  ]);
  const bare = describe({ platform: { os: "linux", architecture: "amd64" } });
  const [planned] = planIndex(index([bare]), replaced, undefined).manifests;
  expect(planned).toStrictEqual({ ...bare, digest: two, size: 2 });
  const [told] = planIndex(index([bare]), new Map([[one, becomes(two)]]), undefined).manifests;
  expect(told).toStrictEqual({ ...bare, digest: two, size: 2 });
});

test("one that stays is kept to the letter, in its place, and attestations are left out", () => {
  const kept = describe({ digest: two, annotations: { [name]: "old" }, data: "e30=" });
  const beside = describe({ digest: three, platform: { os: "unknown", architecture: "unknown" } });
  const replaced = new Map([
    [one, becomes(three)],
    [two, becomes(two)],
  ]);
  const planned = planIndex(index([kept, beside, describe({}), kept]), replaced, undefined).manifests;
  expect(planned).toEqual([kept, describe({ digest: three, size: 2 }), kept]);
});
