import { describe, expect, test } from "vitest";
import type { Sbom } from "../catalog.ts";
import { type MergedSboms, mergeSboms as planRuns } from "./merge-sboms.ts";

/** Of SBOMs that can all be merged. */
function mergeSboms(sboms: readonly Sbom[]): MergedSboms[] {
  const { together, alone } = planRuns(sboms);
  expect(alone).toEqual([]);
  return together;
}

const debian = { type: "operating-system", name: "debian", version: "12", "bom-ref": "os" };
const wolfi = { type: "operating-system", name: "wolfi", version: "20230201", "bom-ref": "os" };
const library = (name: string, ref: string, more: object = {}) => ({
  type: "library",
  name,
  version: "1",
  "bom-ref": ref,
  ...more,
});
const sbom = (components: object[], specVersion = "1.6"): Sbom => ({
  bomFormat: "CycloneDX",
  specVersion,
  metadata: { component: { type: "container", name: "image" } },
  components,
});

describe("what keeps two images apart", () => {
  test("two operating systems are two documents, and none is a third", () => {
    const merged = mergeSboms([sbom([debian]), sbom([wolfi]), sbom([]), sbom([{ ...debian, "bom-ref": "other" }])]);
    expect(merged.map(({ members }) => members)).toEqual([[0, 3], [1], [2]]);
    expect(merged.map(({ document }) => (document["components"] as object[]).length)).toEqual([1, 1, 0]);
  });

  test("a system that differs in what is said of it is another one", () => {
    const elsewhere = { ...debian, properties: [{ name: "syft:distro:versionID", value: "11" }] };
    expect(mergeSboms([sbom([debian]), sbom([elsewhere])])).toHaveLength(2);
  });

  test("a second system of one document does not become the others'", () => {
    const [merged] = mergeSboms([sbom([debian, wolfi]), sbom([debian])]);
    expect(merged?.document["components"]).toEqual([{ ...debian, "bom-ref": "system" }]);
  });

  test("a file is left out, and a package in one is not", () => {
    const file = { type: "file", name: "/bin/a", "bom-ref": "f" };
    const [merged] = mergeSboms([sbom([file, { ...file, "bom-ref": "g", components: [library("a", "x")] }])]);
    expect(merged?.document["components"]).toEqual([{ ...file, "bom-ref": "p0", components: [library("a", "p0.0")] }]);
  });

  test("two versions of CycloneDX are two documents", () => {
    expect(mergeSboms([sbom([debian]), sbom([debian], "1.7")])).toHaveLength(2);
  });

  test("no SBOM names another's packages: equal references are two, whatever they are", () => {
    const [merged] = mergeSboms([sbom([library("a", "p0")]), sbom([library("b", "p0"), library("c", "p1")])]);
    expect(merged?.document["components"]).toEqual([library("a", "p0"), library("b", "p1"), library("c", "p2")]);
    expect(Object.fromEntries(merged?.owners ?? [])).toEqual({
      p0: [{ member: 0, ref: "p0" }],
      p1: [{ member: 1, ref: "p0" }],
      p2: [{ member: 1, ref: "p1" }],
    });
  });

  test("what differs in a property alone is another package", () => {
    const of = (value: string) => ({ properties: [{ name: "syft:metadata:architecture", value }] });
    const [merged] = mergeSboms([sbom([library("a", "x", of("arm"))]), sbom([library("a", "x", of("amd"))])]);
    expect(merged?.owners.size).toBe(2);
  });

  test("distributions that package URLs name, which grype takes for those of packages without any", () => {
    const of = (purl: string) => sbom([library("a", "x", { purl })]);
    const purls = ["pkg:deb/a@1?distro=debian-12", "pkg:deb/a@1?distro=debian-11", "pkg:deb/a@1", "pkg:deb/b@1"];
    const encoded = [
      "pkg:deb/a@1?distr%6f=debian-10",
      "pkg:deb/a@1?Distro=debian-9&distro=debian-12",
      "pkg:deb/a@1?x=%",
    ];
    const merged = mergeSboms([...purls, ...encoded].map(of));
    expect(merged.map(({ members }) => members)).toEqual([[0], [1], [2, 3, 6], [4], [5]]);
  });
});

describe("what would be read otherwise in one document with others is in none", () => {
  const plain = sbom([debian, library("a", "x")]);
  test.each<[string, Sbom]>([
    ["a package as the subject", { ...plain, metadata: { component: library("main", "m") } }],
    [
      "packages in the subject",
      { ...plain, metadata: { component: { type: "container", components: [library("a", "x")] } } },
    ],
    ["packages in the operating system", sbom([{ ...debian, components: [library("a", "x")] }])],
    ["a package URL as the reference alone", sbom([library("lodash", "pkg:npm/lodash@4.17.20")])],
    ["the same, of an empty one", sbom([library("lodash", "pkg:npm/lodash@4.17.20", { purl: "" })])],
    ["the same, inside of another", sbom([library("a", "x", { components: [library("b", "pkg:npm/b@1")] })])],
    [
      "a reference in another spelling, by which it would be another image's package",
      sbom([library("a", "x", { "Bom-Ref": "p0" })]),
    ],
    ["the same by a letter that Go folds", sbom([library("a", "x", { "bom-ref\u017f": "p0" })])],
    ["an operating system with one", sbom([{ ...debian, "BOM-REF": "p0" }])],
    ["components in another spelling", { ...plain, Components: [] }],
    ["a subject in another spelling", { ...plain, metadata: { Component: library("a", "x") } }],
    ["another type of the subject", { ...plain, metadata: { component: { type: "container", Type: "library" } } }],
    [
      "more packages than others should wait for",
      sbom(Array.from({ length: 25_001 }, (_, at) => library("a", `r${at}`))),
    ],
  ])("%s", (_what, odd) => {
    const { together, alone } = planRuns([plain, odd, plain]);
    expect(alone).toEqual([1]);
    expect(together.map(({ members }) => members)).toEqual([[0, 2]]);
  });

  test("a document as syft writes it is plain, and so is one with 25,000 packages", () => {
    const many = sbom(Array.from({ length: 25_000 }, (_, at) => library("a", `r${at}`)));
    const whole = { ...plain, $schema: "x", serialNumber: "y", version: 1, dependencies: [] };
    expect(planRuns([many, whole]).alone).toEqual([]);
  });
});

describe("where a package lies", () => {
  const at = (path: string, layerID?: string) => ({
    properties: [
      { name: "syft:package:type", value: "npm" },
      { name: "syft:location:0:path", value: path },
      ...(layerID === undefined ? [] : [{ name: "syft:location:0:layerID", value: layerID }]),
    ],
  });
  const type = { properties: [{ name: "syft:package:type", value: "npm" }] };

  test("is each image's own, and the package is one", () => {
    const [merged] = mergeSboms([
      sbom([library("a", "x", at("/one", "sha256:1"))]),
      sbom([library("a", "y", at("/two", "sha256:2")), library("a", "z", at("/three"))]),
    ]);
    expect(merged?.document["components"]).toEqual([library("a", "p0", type)]);
    expect(merged?.owners.get("p0")).toEqual([
      { member: 0, ref: "x", location: { path: "/one", layerID: "sha256:1" } },
      { member: 1, ref: "y", location: { path: "/two", layerID: "sha256:2" } },
      { member: 1, ref: "z", location: { path: "/three" } },
    ]);
  });

  test.each<[string, object[]]>([
    [
      "in two places",
      [
        { name: "syft:location:0:path", value: "/a" },
        { name: "syft:location:1:path", value: "/b" },
      ],
    ],
    [
      "said twice",
      [
        { name: "syft:location:0:path", value: "/a" },
        { name: "syft:location:0:path", value: "/b" },
      ],
    ],
    ["without a path", [{ name: "syft:location:0:layerID", value: "sha256:1" }]],
    [
      "in an empty layer",
      [
        { name: "syft:location:0:path", value: "/a" },
        { name: "syft:location:0:layerID", value: "" },
      ],
    ],
    ["by another name", [{ name: "syft:location:0:accessPath", value: "/a" }]],
    ["by a second spelling another thing", [{ name: "syft:location:0:path", value: "/a", Name: "syft:package:type" }]],
    ["as no text", [{ name: "syft:location:0:path", value: 7 }]],
  ])("stays in the document where it is %s", (_what, properties) => {
    const [merged] = mergeSboms([sbom([library("a", "x", { properties })])]);
    expect(merged?.document["components"]).toEqual([library("a", "p0", { properties })]);
    expect(merged?.owners.get("p0")).toEqual([{ member: 0, ref: "x" }]);
  });
});

describe("what several images have", () => {
  test("is there once, and each one's by its own reference", () => {
    const [merged] = mergeSboms([
      sbom([debian, library("a", "first")]),
      sbom([debian, library("a", "second"), library("a", "third")]),
    ]);
    expect(merged?.document["components"]).toEqual([{ ...debian, "bom-ref": "system" }, library("a", "p0")]);
    expect(merged?.owners.get("p0")).toEqual([
      { member: 0, ref: "first" },
      { member: 1, ref: "second" },
      { member: 1, ref: "third" },
    ]);
  });

  test("with what is in it, at any depth", () => {
    const nest = (refs: readonly string[]) =>
      library("outer", refs[0] ?? "", {
        components: [library("in", refs[1] ?? "", { components: [library("most", refs[2] ?? "")] })],
      });
    const [merged] = mergeSboms([sbom([nest(["a", "b", "c"])]), sbom([nest(["d", "e", "f"])])]);
    expect(merged?.document["components"]).toEqual([nest(["p0", "p0.0", "p0.0.0"])]);
    expect(merged?.owners.get("p0.0.0")).toEqual([
      { member: 0, ref: "c" },
      { member: 1, ref: "f" },
    ]);
  });

  test("a package without a reference gets one, and has none of its own", () => {
    const { "bom-ref": _none, ...anonymous } = library("a", "");
    const [merged] = mergeSboms([sbom([anonymous])]);
    expect(merged?.owners.get("p0")).toEqual([{ member: 0 }]);
  });
});
