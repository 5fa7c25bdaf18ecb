import { describe, expect, test } from "vitest";
import { parseSbom, sbomPackages } from "./catalog.ts";

const component = (type: string, name = "x") => ({ type, name, version: "1" });
const document = (components?: object[]) =>
  JSON.stringify({
    bomFormat: "CycloneDX",
    specVersion: "1.7",
    metadata: { component: { type: "container", name: "oci" } },
    components,
    extra: 1,
  });

describe("an SBOM that can't be read is an error", () => {
  const whole = document([component("library")]);
  test.each([
    ["empty", "", /is empty/],
    ["cut off", whole.slice(0, -20), /ends in the middle/],
    ["not JSON", "{]}", /is not JSON/],
    ["another format", JSON.stringify({ spdxVersion: "SPDX-2.3" }), /is not CycloneDX JSON/],
    ["no metadata", JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.7" }), /metadata/],
    ["components that are no list", JSON.stringify({ ...JSON.parse(whole), components: {} }), /components/],
    [
      "a component inside of one, without a name",
      document([{ ...component("library"), components: [{ type: "library" }] }]),
      /components\[0\]\.name/,
    ],
    [
      "two components of one reference, of which grype matches the first alone",
      document([
        { ...component("library"), "bom-ref": "a" },
        { ...component("library", "y"), "bom-ref": "a" },
      ]),
      /two components have one bom-ref \(the second is 'y'\)/,
    ],
    [
      "the same, one inside of the other",
      document([
        { ...component("library"), "bom-ref": "a", components: [{ ...component("library"), "bom-ref": "a" }] },
      ]),
      /two components have one bom-ref/,
    ],
    [
      "a reference that is no text",
      document([{ ...component("library"), "bom-ref": 7 }]),
      /components\[0\]\["bom-ref"\]/,
    ],
    ["a component without a name", document([{ type: "library" }]), /components\[0\]\.name/],
  ])("%s", (_name, text, message) => {
    expect(() => parseSbom(text, "the SBOM")).toThrow(message);
    expect(() => parseSbom(text, "the SBOM")).toThrow(
      expect.objectContaining({ code: "sbom-invalid", name: "InfrastructureError" }),
    );
  });
});

test("components without a reference are no two of one", () => {
  const refs = [{}, {}, { "bom-ref": "" }, { "bom-ref": "" }];
  const sbom = parseSbom(document(refs.map((ref) => ({ ...component("library"), ...ref }))), "");
  expect(sbomPackages(sbom)).toHaveLength(4);
});

test("files and the operating system are no packages", () => {
  const sbom = parseSbom(
    document([
      component("file"),
      component("operating-system"),
      component("library", "a"),
      component("application", "b"),
    ]),
    "",
  );
  expect(sbomPackages(sbom).map(({ name }) => name)).toEqual(["a", "b"]);
  expect(sbomPackages(parseSbom(document([component("file")]), ""))).toEqual([]);
  expect(sbomPackages(parseSbom(document(), ""))).toEqual([]);
  expect(sbom["extra"]).toBe(1);
});

test("packages inside of others are packages, each after the one that it is in", () => {
  const inner = {
    ...component("library", "inner"),
    components: [component("library", "innermost"), component("file")],
  };
  const outer = { ...component("application", "outer"), components: [inner] };
  const sbom = parseSbom(
    document([{ ...component("file"), components: [component("library", "of a file")] }, outer]),
    "",
  );
  expect(sbomPackages(sbom).map(({ name }) => name)).toEqual(["of a file", "outer", "inner", "innermost"]);
});
