import { describe, expect, test } from "vitest";
import { completeSpdx } from "./spdx.ts";

// As syft 1.54 converts such an SBOM.
const purl = "pkg:oci/shop@sha256%3Aaa?repository_url=registry.example%2Fshop";
const sbom = {
  metadata: { component: { type: "container", name: "registry.example/shop", version: "sha256:aa", purl } },
  components: [
    { type: "library", name: "lodash", version: "4.17.20", purl: "pkg:npm/lodash@4.17.20" },
    { type: "operating-system", name: "debian" },
    { type: "file", name: "/etc/os-release" },
  ],
};
const refer = (referenceLocator: string) => [
  { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator },
];
const lodash = { SPDXID: "SPDXRef-Package-npm-lodash", name: "lodash", externalRefs: refer("pkg:npm/lodash@4.17.20") };
const root = { SPDXID: "SPDXRef-DocumentRoot", name: "registry.example/shop", externalRefs: refer("pkg:oci/x?arch=") };
const document = {
  spdxVersion: "SPDX-2.3",
  name: "registry.example/shop",
  creationInfo: { creators: ["Organization: Anchore, Inc", "Tool: -"], created: "2026-11-27T10:00:00Z" },
  packages: [lodash, root],
  relationships: [
    { spdxElementId: "SPDXRef-DOCUMENT", relatedSpdxElement: root.SPDXID, relationshipType: "DESCRIBES" },
    { spdxElementId: root.SPDXID, relatedSpdxElement: lodash.SPDXID, relationshipType: "CONTAINS" },
  ],
};
const complete = (change: object = {}) =>
  completeSpdx(JSON.stringify({ ...document, ...change }), sbom, "Tool: syft-1");

describe("what syft makes of an SBOM is an error", () => {
  test.each<[what: string, change: object, says: RegExp]>([
    ["where a package is not in it", { packages: [root] }, /not 1 of the SBOM's packages, pkg:npm\/lodash@4.17.20/],
    ["in another version of SPDX", { spdxVersion: "SPDX-3.0" }, /spdxVersion/],
    ["without its list of packages", { packages: undefined }, /packages/],
  ])("%s", (_what, change, says) => {
    expect(() => complete(change)).toThrow(says);
  });

  test("cut off", () => {
    expect(() => completeSpdx(JSON.stringify(document).slice(0, -2), sbom, "x")).toThrow(/not JSON/);
  });
});

test("it has all packages, who made it, and the subject by its own package URL; nothing else is changed", () => {
  expect(complete()).toEqual({
    ...document,
    creationInfo: { ...document.creationInfo, creators: ["Organization: Anchore, Inc", "Tool: syft-1"] },
    packages: [lodash, { ...root, externalRefs: refer(purl) }],
  });
});
