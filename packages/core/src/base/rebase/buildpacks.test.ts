import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { judgeBuildpacks, planBuildpacksLabels } from "./buildpacks.ts";

const label = "io.buildpacks.lifecycle.metadata";
const topLayer = digestOf("old");
const said = (runImage: object, more: object = {}) => ({
  [label]: JSON.stringify({ app: [{ sha: "a" }], runImage: { topLayer, ...runImage }, ...more }),
});
const stack = (id: string, mixins?: string) => ({
  "io.buildpacks.stack.id": id,
  ...(mixins === undefined ? {} : { "io.buildpacks.stack.mixins": mixins }),
});
const release = (distribution: string, version: string) => ({
  "io.buildpacks.base.distro.name": distribution,
  "io.buildpacks.base.distro.version": version,
});
const letters = [..."abcdefghijk"];

describe("what the labels say against another run image", () => {
  test.each<[string, Record<string, string>, Record<string, string>, RegExp]>([
    ["metadata that are none", { [label]: "[]" }, {}, /not the lifecycle's metadata/],
    ["metadata of no run image", { [label]: "{}" }, {}, /not the lifecycle's metadata/],
    ["metadata that end early", { [label]: '{"runImage":' }, {}, /not the lifecycle's metadata/],
    ["a run image without its top layer", { [label]: '{"runImage":{}}' }, {}, /not the lifecycle's metadata/],
    ["a run image whose name is none", said({ image: 5 }), {}, /not the lifecycle's metadata/],
    ["mirrors that are none", said({ mirrors: "m.test/run" }), {}, /not the lifecycle's metadata/],
    [
      "the same at its older place",
      said({}, { stack: { runImage: { image: 5 } } }),
      {},
      /not the lifecycle's metadata/,
    ],
    ["another top layer", said({ topLayer: digestOf("other") }), {}, /an extension has changed its run image/],
    ["a stack that the base has not", { ...said({}), ...stack("a", "") }, {}, /stack 'a' .* of none$/],
    ["another stack", { ...said({}), ...stack("a") }, stack("b"), /stack 'a' .* new base of 'b'$/],
    ["a mixin less", { ...said({}), ...stack("a", '["run:git"]') }, stack("a", '["build:git"]'), /lacks mixins.*'git'/],
    [
      "a mixin that has run: in its name",
      { ...said({}), ...stack("a", '["my-run:a"]') },
      stack("a", '["my-a"]'),
      /lacks/,
    ],
    [
      "many mixins less, of which ten are told",
      { ...said({}), ...stack("a", JSON.stringify(letters)) },
      stack("a"),
      /: 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'$/,
    ],
    [
      "mixins of the base that are none",
      { ...said({}), ...stack("a", "[]") },
      stack("a", "git"),
      /is no list of names/,
    ],
    ["a list that is none", { ...said({}), ...stack("a", '{"git":1}') }, stack("a", "[]"), /is no list of names/],
    ["a release not named before", said({}), { "io.buildpacks.base.distro.version": "13" }, /is not there, .* '13'$/],
    [
      "another release",
      { ...said({}), ...release("debian", "12") },
      release("debian", "13"),
      /distro\.version is '12', and the new base's '13'$/,
    ],
    [
      "another distribution",
      { ...said({}), ...release("debian", "12") },
      release("ubuntu", "12"),
      /distro\.name is 'debian', and the new base's 'ubuntu'$/,
    ],
  ])("%s", (_what, labels, next, problem) => {
    expect(judgeBuildpacks(labels, { topLayer }, next)).toEqual([expect.stringMatching(problem)]);
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ["an image of another builder, whatever its labels", stack("a", "x"), stack("b", "")],
    ["the same stack with more mixins", { ...said({}), ...stack("a", '["git"]') }, stack("a", '["run:git", "curl"]')],
    ["what only the build image had", { ...said({}), ...stack("a", '["build:make"]') }, stack("a", "null")],
    ["a base that does not say its release", { ...said({}), "io.buildpacks.base.distro.version": "12" }, {}],
    ["a base that leaves its release empty", { ...said({}), ...release("debian", "12") }, release("debian", "")],
    ["the same release", { ...said({}), ...release("debian", "12") }, release("debian", "12")],
    ["an image of no stack", said({}), stack("b", '["git"]')],
    ["a stack without mixins", { ...said({}), ...stack("a") }, stack("a", "[]")],
    ["no list of mixins but its label", { ...said({}), ...stack("a", "") }, stack("a", "[]")],
    ["a list without entries, as Go writes it", { ...said({}), ...stack("a", "null") }, stack("a", "[]")],
  ])("nothing: %s", (_what, labels, next) => expect(judgeBuildpacks(labels, { topLayer }, next)).toEqual([]));
});

describe("the labels on another run image", () => {
  const next = { name: `registry.test/run@${digestOf("image")}`, topLayer: digestOf("new"), labels: {} };
  const read = (labels: Readonly<Record<string, string>>) => JSON.parse(labels[label] ?? "");

  test("nothing changes where buildpacks have not made it", () => {
    const labels = { "io.buildpacks.stack.id": "a", x: "y" };
    expect(planBuildpacksLabels(labels, { ...next, labels: { "io.buildpacks.base.id": "b" } })).toBe(labels);
  });

  test.each(["registry.test/run", "registry.test/run:1", `registry.test/run@${topLayer}`])(
    "%s keeps its name",
    (image) => {
      const labels = said({ image, mirrors: ["mirror.test/run"] });
      const { app, runImage } = read(planBuildpacksLabels(labels, next));
      expect(app).toEqual([{ sha: "a" }]);
      const kept = { image, mirrors: ["mirror.test/run"] };
      expect(runImage).toEqual({ ...kept, topLayer: next.topLayer, reference: next.name });
    },
  );

  test("a mirror, and the name of an older lifecycle, are names of it as well", () => {
    for (const labels of [
      said({ image: "x.test/run", mirrors: ["registry.test/run:2"] }),
      said({ image: "x.test/run" }, { stack: { runImage: { image: "registry.test/run" } } }),
    ])
      expect(read(planBuildpacksLabels(labels, next)).runImage.image).toBe("x.test/run");
  });

  test.each(["registry.test/run-evil", "registry.test/runs/run", "REGISTRY TEST"])("%s is another", (image) => {
    const { runImage, stack: told } = read(planBuildpacksLabels(said({ image, mirrors: ["m.test/run"] }), next));
    expect(runImage).toEqual({ image: next.name, topLayer: next.topLayer, reference: next.name });
    expect(told).toEqual({ runImage: { image: next.name } });
  });

  test("those of the run image are the new one's, all of them and no others", () => {
    const own = { "io.buildpacks.base.id": "old", "io.buildpacks.stack.homepage": "old", "org.acme": "app" };
    const labels = { "io.buildpacks.base.id": "new", "org.acme": "base" };
    const planned = planBuildpacksLabels({ ...said({ image: "registry.test/run" }), ...own }, { ...next, labels });
    expect(planned).toEqual({ [label]: expect.any(String), "io.buildpacks.base.id": "new", "org.acme": "app" });
  });
});
