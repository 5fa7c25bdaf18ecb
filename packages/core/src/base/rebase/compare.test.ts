import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageConfig, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describe, expect, test } from "vitest";
import { compareRebased } from "./compare.ts";
import type { RebasePart } from "./plan.ts";

const descriptor = (digest: Digest) => ({ mediaType: mediaTypes.ociLayerTarGzip, digest, size: 1 });
/** An image of layers by their names, which are packed under another digest. */
function part(layers: readonly string[], more: Partial<ImageConfig> = {}, packed = layers): RebasePart {
  return {
    manifest: {
      schemaVersion: 2,
      config: descriptor(digestOf("config")),
      layers: packed.map((name) => descriptor(digestOf(`${name}.gz`))),
    },
    config: {
      os: "linux",
      architecture: "amd64",
      config: { Entrypoint: ["/app"], Env: ["A=1"] },
      ...more,
      rootfs: { type: "layers", diff_ids: layers.map((name) => digestOf(name)) },
    },
  };
}
const base = (...layers: string[]): RebasePart => part(layers, { config: {} });
const named = { newName: "base@2", newDigest: digestOf("base 2") };
const compare = (now: RebasePart, more: Partial<Parameters<typeof compareRebased>[0]> = {}) =>
  compareRebased({
    image: part(["old", "a", "b"]),
    oldBase: base("old"),
    newBase: base("new1", "new2"),
    now,
    ...named,
    ...more,
  });
const layers = [expect.stringContaining("its layers are not those")];

describe("is not the old image on the new base", () => {
  test.each<[string, RebasePart, readonly unknown[]]>([
    ["on no layer of it", part(["x", "a", "b"]), [expect.stringContaining("does not stand on the base")]],
    ["on a part of it", part(["new1", "a", "b"]), [expect.stringContaining("does not stand on the base")]],
    ["a layer less", part(["new1", "new2", "b"]), layers],
    ["the last layer less", part(["new1", "new2", "a"]), layers],
    ["a layer more", part(["new1", "new2", "a", "b", "c"]), layers],
    ["a layer between", part(["new1", "new2", "c", "a", "b"]), layers],
    ["in another order", part(["new1", "new2", "b", "a"]), layers],
    ["with other bytes than its config says", part(["new1", "new2", "a", "b"], {}, ["new1", "new2", "a", "c"]), layers],
    ["with other bytes of the base", part(["new1", "new2", "a", "b"], {}, ["new1", "x", "a", "b"]), layers],
  ])("%s", (_what, now, problems) => expect(compare(now)).toEqual(problems));

  test.each<[string, Partial<ImageConfig>]>([
    ["config", { config: { Entrypoint: ["/bin/sh"], Env: ["A=1"] } }],
    ["config", { config: { Entrypoint: ["/app"], Env: ["A=1", "LD_PRELOAD=/x"] } }],
    ["config", { config: { Entrypoint: ["/app"], Env: ["A=1"], Labels: { a: "b" } } }],
    ["config", { config: {} }],
    ["architecture", { architecture: "arm64" }],
    ["created", { created: "2020-01-01T00:00:00Z" }],
    ["author", { author: "eve" }],
  ])("with another %s", (key, more) =>
    expect(compare(part(["new1", "new2", "a", "b"], more))).toEqual([expect.stringContaining(`another '${key}'`)]),
  );

  test("where the old one does not stand on the base that is said, or on none", () => {
    const now = part(["new1", "new2", "a", "b"]);
    const problem = [expect.stringContaining("that was rebased does not stand on")];
    expect(compare(now, { oldBase: base("older") })).toEqual(problem);
    expect(compare(now, { oldBase: base() })).toEqual(problem);
    // A layer of the application would pass for one of the base.
    expect(compare(part(["new1", "new2", "b"]), { oldBase: base("old", "x") })).toEqual(problem);
    expect(compare(now, { newBase: base() })).toEqual([expect.stringContaining("does not stand on the base")]);
  });
});

test("is it with whatever history, which nothing runs by", () => {
  expect(compare(part(["new1", "new2", "a", "b"], { history: [{ created_by: "x" }] }))).toEqual([]);
  expect(compare(part(["new1", "new2", "a", "b"], { history: [] }))).toEqual([]);
});
