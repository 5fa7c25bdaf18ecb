import { describe, expect, test } from "vitest";
import type { Sbom } from "../catalog.ts";
import { mergeSboms } from "./merge-sboms.ts";

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
    const at = (path: string) => ({ properties: [{ name: "syft:location:0:path", value: path }] });
    const [merged] = mergeSboms([sbom([library("a", "x", at("/one"))]), sbom([library("a", "x", at("/two"))])]);
    expect(merged?.owners.size).toBe(2);
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
