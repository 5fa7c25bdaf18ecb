import type { Descriptor, ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { id, ids } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import { planRebase, type RebasePart } from "./plan.ts";

const gzip = mediaTypes.ociLayerTarGzip;
const dockerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const layer = (word: string, mediaType: string = gzip): Descriptor => ({ mediaType, digest: id(word), size: 1 });

function part(layers: string, config: Partial<ImageConfig> = {}, manifest: Partial<RebasePart["manifest"]> = {}) {
  return {
    manifest: {
      ...{ schemaVersion: 2 as const, config: layer("config"), layers: layers.split(" ").map((each) => layer(each)) },
      ...manifest,
    },
    config: {
      os: "linux",
      architecture: "amd64",
      ...config,
      rootfs: { type: "layers" as const, diff_ids: ids(layers) },
    },
  };
}
const plan = (image: RebasePart, newBase: RebasePart, oldBase: RebasePart = part("os libc")) =>
  planRebase({ image, oldBase, newBase, newName: "r.test/golden@2", newDigest: id("2") });
const named = {
  "org.opencontainers.image.base.name": "r.test/golden@2",
  "org.opencontainers.image.base.digest": id("2"),
};

test("the new base's layers, and above them all of the application's", () => {
  const { config, manifest } = plan(part("os libc a b"), part("new"));
  expect(config.rootfs.diff_ids).toEqual(ids("new a b"));
  expect(manifest.layers).toEqual(["new", "a", "b"].map((each) => layer(each)));
});

test("what a container starts with stays the application's; where it runs is the new base's word, and no rest of the old", () => {
  const run = { Entrypoint: ["/app"], Env: ["A=1"], User: "1000" };
  const windows = { os: "windows", "os.version": "10.0.1", "os.features": ["win32k"], variant: "v1" };
  const image = part("os libc a", { ...windows, config: run, created: "2026-01-01T00:00:00Z", author: "x" });
  const { config } = plan(image, part("new", { architecture: "arm64", config: { Entrypoint: ["/base"] } }));
  expect(config).toEqual({
    ...{ os: "linux", architecture: "arm64", created: "2026-01-01T00:00:00Z", author: "x" },
    ...{ config: run, rootfs: { type: "layers", diff_ids: ids("new a") }, history: [] },
  });
});

test("of an old image that runs elsewhere the new base's variant and version are told, each where it has one", () => {
  const newBase = part("new", { os: "windows", "os.version": "10.0.2", "os.features": ["win32k"] });
  expect(plan(part("os libc a", { variant: "v2", "os.version": "10.0.1" }), newBase).config).toStrictEqual({
    ...{ os: "windows", architecture: "amd64", "os.version": "10.0.2", "os.features": ["win32k"] },
    ...{ rootfs: { type: "layers", diff_ids: ids("new a") }, history: [] },
  });
  expect(plan(part("os libc a"), part("new", { variant: "v8" })).config).toMatchObject({ variant: "v8" });
});

describe("what it says of its base", () => {
  test("is the new one in the lifecycle's label, with its last layer and its own labels", () => {
    const label = "io.buildpacks.lifecycle.metadata";
    const runImage = { topLayer: id("libc"), reference: "old" };
    const image = part("os libc a", { config: { Labels: { [label]: JSON.stringify({ runImage }), kept: "yes" } } });
    const newBase = part("new more top", {
      config: { Labels: { "io.buildpacks.base.distro.name": "debian", x: "y" } },
    });
    const { config } = plan(image, newBase);
    const { [label]: told = "", ...rest } = config.config?.Labels ?? {};
    expect(JSON.parse(told).runImage).toMatchObject({ topLayer: id("top"), reference: "r.test/golden@2" });
    expect(rest).toEqual({ kept: "yes", "io.buildpacks.base.distro.name": "debian" });
  });

  test("is the new one in annotations, and in labels that were there", () => {
    const labels = { "org.opencontainers.image.base.name": "old", kept: "yes" };
    const { config, manifest } = plan(
      part("os libc a", { config: { Labels: labels } }, { annotations: { kept: "yes" }, subject: layer("subject") }),
      part("new"),
    );
    expect(config.config?.Labels).toEqual({ ...labels, "org.opencontainers.image.base.name": "r.test/golden@2" });
    expect(manifest.annotations).toEqual({ kept: "yes", ...named });
    expect(manifest).not.toHaveProperty("subject");
  });

  test("Docker's manifest has no annotations, and layers of its own types alone", () => {
    const docker = {
      mediaType: mediaTypes.dockerManifest,
      layers: [layer("os"), layer("libc"), layer("a", dockerGzip)],
    };
    const { manifest } = plan(part("os libc a", {}, docker), part("new"));
    expect(manifest).not.toHaveProperty("annotations");
    expect(manifest.layers).toEqual([layer("new", dockerGzip), layer("a", dockerGzip)]);
    const plain = part("new", {}, { layers: [layer("new", mediaTypes.ociLayerTar)] });
    const bare = "application/vnd.docker.image.rootfs.diff.tar";
    expect(plan(part("os libc a", {}, docker), plain).manifest.layers[0]).toEqual(layer("new", bare));
    const strange = part("new", {}, { layers: [layer("new", "x/y")] });
    expect(plan(part("os libc a", {}, docker), strange).manifest.layers[0]).toEqual(layer("new", "x/y"));
  });

  test("a base of Docker's types becomes the specification's", () => {
    const docker = part("new", {}, { layers: [layer("new", dockerGzip)] });
    expect(plan(part("os libc a"), docker).manifest.layers).toEqual([layer("new"), layer("a")]);
  });
});

describe("history", () => {
  const by = (created_by: string) => ({ created_by });
  const empty = { created_by: "ENV", empty_layer: true };
  const old = [by("os"), empty, by("libc")];
  const image = (history?: ImageConfig["history"]) => part("os libc a", history === undefined ? {} : { history });
  const base = (history?: ImageConfig["history"]) => part("new", history === undefined ? {} : { history });
  const oldBase = part("os libc", { history: old });

  test("is the new base's, and then the application's", () => {
    const { config } = plan(image([...old, empty, by("a")]), base([by("new")]), oldBase);
    expect(config.history).toEqual([by("new"), empty, by("a")]);
  });

  test.each<[string, RebasePart, RebasePart, RebasePart]>([
    ["the image", image([...old]), base([by("new")]), oldBase],
    ["the new base", image([...old, by("a")]), base(), oldBase],
    ["the old base", image([...old, by("a")]), base([by("new")]), part("os libc")],
  ])("is none where %s does not tell of each of its layers", (_what, ...[from, to, before]) =>
    expect(plan(from, to, before).config.history).toEqual([]),
  );
});
