import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { buildpackFolder } from "../buildpack-names.ts";
import { parseBuildpackage, renderOrder } from "./buildpackage.ts";

const labels = (metadata: unknown, layers: unknown) => ({
  "io.buildpacks.buildpackage.metadata": JSON.stringify(metadata),
  "io.buildpacks.buildpack.layers": JSON.stringify(layers),
});
const layer = { layerDiffID: `sha256:${"a".repeat(64)}` };
const whole = labels({ id: "acme/node", version: "1.0.0" }, { "acme/node": { "1.0.0": layer } });

describe("what is refused", () => {
  it.each([
    ["no label at all", {}],
    ["no list of layers", { "io.buildpacks.buildpackage.metadata": JSON.stringify({ id: "a", version: "1" }) }],
    ["a label that is not JSON", { ...whole, "io.buildpacks.buildpackage.metadata": "{" }],
    ["an id that climbs", labels({ id: "../evil", version: "1" }, { "../evil": { 1: layer } })],
    ["an id with a dotted part", labels({ id: "a/../b", version: "1" }, { "a/../b": { 1: layer } })],
    ["a version that climbs", labels({ id: "a", version: "../1" }, { a: { "../1": layer } })],
    ["a version with a slash", labels({ id: "a", version: "1/2" }, { a: { "1/2": layer } })],
    ["a member whose id climbs", labels({ id: "a", version: "1" }, { a: { 1: layer }, "../b": { 1: layer } })],
    ["a layer without a diffID", labels({ id: "a", version: "1" }, { a: { 1: {} } })],
    ["layers of other buildpacks alone", labels({ id: "a", version: "1" }, { b: { 1: layer } })],
    ["layers of another version alone", labels({ id: "a", version: "1" }, { a: { 2: layer } })],
  ])("is %s", (_what, given) => {
    expect(() => parseBuildpackage(given, "the test")).toThrow(
      expect.objectContaining({ name: "UserError", code: "buildpackage-malformed" }),
    );
  });
});

it("reads a composite buildpack with its members", () => {
  const composite = labels(
    { id: "acme/java", version: "2.0.0", homepage: "x" },
    { "acme/java": { "2.0.0": layer }, "acme/maven": { "1.1.0": layer } },
  );
  expect(parseBuildpackage(composite, "the test")).toEqual({
    id: "acme/java",
    version: "2.0.0",
    members: [
      { id: "acme/java", version: "2.0.0" },
      { id: "acme/maven", version: "1.1.0" },
    ],
  });
});

it("puts all buildpacks into one group, in their order", () => {
  const order = renderOrder([
    { id: "acme/ca", version: "1.0.0" },
    { id: 'acme/"node"', version: "2.0.0" },
  ]);
  expect(parse(order)).toEqual({
    order: [
      {
        group: [
          { id: "acme/ca", version: "1.0.0" },
          { id: 'acme/"node"', version: "2.0.0" },
        ],
      },
    ],
  });
});

it("writes an id as one folder", () => {
  expect(buildpackFolder({ id: "acme/js/node", version: "1.0.0" })).toBe("acme_js_node/1.0.0");
});
