import { describe, expect, test } from "vitest";
import { readVex } from "./read.ts";

const time = "2026-05-01T12:00:00Z";
const purl = "pkg:npm/lodash@4.17.20";

const openVexStatement = (fields: Record<string, unknown> = {}) => ({
  vulnerability: { name: "CVE-2021-23337", aliases: ["GHSA-1"] },
  products: [{ "@id": "pkg:oci/shop@sha256%3A00", subcomponents: [{ "@id": purl }] }],
  status: "not_affected",
  justification: "vulnerable_code_not_in_execute_path",
  ...fields,
});
const openVex = (fields: Record<string, unknown> = {}, statement: Record<string, unknown> = {}) => ({
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "https://acme.example/vex/1",
  author: "security@acme.example",
  timestamp: time,
  version: 1,
  statements: [openVexStatement(statement)],
  ...fields,
});

const csafTracking = { id: "ACME-1", status: "final", current_release_date: time };
const csaf = (fields: Record<string, unknown> = {}, vulnerability: Record<string, unknown> = {}, tracking = {}) => ({
  document: { category: "csaf_vex", csaf_version: "2.0", tracking: { ...csafTracking, ...tracking } },
  product_tree: {
    branches: [
      {
        category: "vendor",
        name: "acme",
        branches: [
          {
            name: "shop",
            product: { product_id: "SHOP", product_identification_helper: { purl: "pkg:oci/shop@sha256%3A00" } },
          },
        ],
      },
    ],
    full_product_names: [{ product_id: "LODASH", name: "lodash", product_identification_helper: { purl } }],
    relationships: [
      {
        category: "default_component_of",
        full_product_name: { product_id: "SHOP:LODASH", name: "lodash of shop" },
        product_reference: "LODASH",
        relates_to_product_reference: "SHOP",
      },
    ],
  },
  vulnerabilities: [
    {
      cve: "CVE-2021-23337",
      ids: [{ system_name: "GHSA", text: "GHSA-1" }],
      product_status: { known_not_affected: ["SHOP:LODASH"] },
      flags: [{ label: "vulnerable_code_not_in_execute_path", product_ids: ["SHOP:LODASH"] }],
      ...vulnerability,
    },
  ],
  ...fields,
});

const cycloneDx = (
  fields: Record<string, unknown> = {},
  analysis: unknown = {},
  affects: unknown = [{ ref: "l" }],
) => ({
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  serialNumber: "urn:uuid:1",
  metadata: { timestamp: time },
  components: [{ "bom-ref": "l", purl }],
  vulnerabilities: [
    {
      id: "CVE-2021-23337",
      references: [{ id: "GHSA-1", source: { name: "GitHub" } }],
      analysis:
        analysis === null
          ? undefined
          : { state: "not_affected", justification: "code_not_reachable", ...(analysis as object) },
      affects,
    },
  ],
  ...fields,
});

let deep: object = { product: { product_id: "X" } };
for (let level = 0; level < 50_000; level += 1) deep = { branches: [deep] };

describe("a document is refused, and why is said", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["OpenVEX of another version", openVex({ "@context": "https://openvex.dev/ns/v0.1.0" }), /expected OpenVEX 0.2/],
    ["OpenVEX without statements", openVex({ statements: [] }), /statements/],
    ["OpenVEX without an id", openVex({ "@id": undefined }), /@id/],
    ["OpenVEX without a time", openVex({ timestamp: undefined }), /timestamp/],
    ["OpenVEX with a time that is none", openVex({ timestamp: "soon" }), /a time that is none/],
    ["OpenVEX with a status that there is not", openVex({}, { status: "harmless" }), /status/],
    ["OpenVEX without a vulnerability's name", openVex({}, { vulnerability: { "@id": "x" } }), /vulnerability/],
    ["OpenVEX that does not say why", openVex({}, { justification: undefined }), /neither justification nor impact/],
    ["OpenVEX of no product", openVex({}, { products: [] }), /products/],
    ["OpenVEX without products", openVex({}, { products: undefined }), /products/],
    [
      "CSAF of a part that it has not",
      csaf({ product_tree: { ...csaf().product_tree, full_product_names: [] } }),
      /relationships has 'LODASH'/,
    ],
    ["CSAF of another profile", csaf({ document: { category: "csaf_base" } }), /category/],
    ["CSAF that is a draft", csaf({}, {}, { status: "draft" }), /status/],
    ["CSAF with a time that is none", csaf({}, {}, { current_release_date: "soon" }), /is no time/],
    ["CSAF that does not say why", csaf({}, { flags: [] }), /neither a flag nor an impact/],
    ["CSAF that says why of another", csaf({}, { flags: [{ label: "l", product_ids: ["SHOP"] }] }), /neither a flag/],
    ["CSAF of a product that it has not", csaf({}, { product_status: { fixed: ["TILL"] } }), /product 'TILL'/],
    ["CSAF of a vulnerability without a name", csaf({}, { cve: undefined, ids: [] }), /neither cve nor ids/],
    ["CSAF that says nothing", csaf({}, { product_status: {} }), /says anything/],
    ["CSAF nested without end", csaf({ product_tree: { branches: [deep] } }), /more than 64 levels/],
    ["CycloneDX of a version without VEX", cycloneDx({ specVersion: "1.3" }), /expected 1.4/],
    ["CycloneDX with a state that there is not", cycloneDx({}, { state: "harmless" }), /state/],
    [
      "CycloneDX that does not say why",
      cycloneDx({}, { justification: undefined }),
      /neither justification nor detail/,
    ],
    ["CycloneDX without a time", cycloneDx({ metadata: {} }), /has no time/],
  ])("%s", (_name, predicate, problem) => {
    expect(readVex(predicate)).toEqual({ problem: expect.stringMatching(problem) });
  });
});

test.each<[string, Record<string, unknown>]>([
  ["an SBOM", { bomFormat: "CycloneDX", components: [] }],
  ["a provenance", { buildDefinition: {} }],
  ["nothing", {}],
  ["a document of nobody's", { document: "x", product_tree: undefined }],
])("%s is no VEX", (_name, predicate) => {
  expect(readVex(predicate)).toBeUndefined();
});

describe("what is said is the same in each format", () => {
  const said = {
    vulnerability: ["CVE-2021-23337", "GHSA-1"],
    status: "not_affected",
    time: new Date(time),
  };
  const inShop = [{ ids: ["pkg:oci/shop@sha256%3A00"], parts: [purl] }];

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["OpenVEX", openVex(), { format: "OpenVEX", because: "vulnerable_code_not_in_execute_path", products: inShop }],
    ["CSAF", csaf(), { format: "CSAF", because: "vulnerable_code_not_in_execute_path", products: inShop }],
    [
      "CycloneDX",
      cycloneDx(),
      { format: "CycloneDX", because: "code_not_reachable", products: [{ ids: [purl], parts: "all" }] },
    ],
  ])("%s", (_name, predicate, { format, ...fields }) => {
    expect(readVex(predicate)).toMatchObject({ format, statements: [{ ...said, ...fields }] });
  });

  test.each<[string, Record<string, unknown>, object]>([
    [
      "OpenVEX's own time of a statement",
      openVex({}, { timestamp: "2026-05-02T00:00:00Z" }),
      { time: new Date("2026-05-02") },
    ],
    [
      "OpenVEX by identifiers and hashes",
      openVex(
        {},
        { products: [{ "@id": "https://acme.example/shop", identifiers: { purl }, hashes: { "sha-256": "AB" } }] },
      ),
      { products: [{ ids: ["https://acme.example/shop", purl, "sha256:ab"], parts: "all" }] },
    ],
    [
      "OpenVEX that is affected, without a reason",
      openVex({}, { status: "affected", justification: undefined }),
      { status: "affected" },
    ],
    [
      "CSAF's impact",
      csaf({}, { flags: [], threats: [{ category: "impact", details: "never called" }] }),
      { because: "never called" },
    ],
    [
      "CSAF that is fixed",
      csaf({}, { product_status: { first_fixed: ["LODASH"] }, flags: [] }),
      { status: "fixed", products: [{ ids: [purl], parts: "all" }] },
    ],
    [
      "CycloneDX's false positive",
      cycloneDx({}, { state: "false_positive", justification: undefined }),
      { status: "not_affected" },
    ],
    ["CycloneDX that is resolved", cycloneDx({}, { state: "resolved_with_pedigree" }), { status: "fixed" }],
    ["CycloneDX in triage", cycloneDx({}, { state: "in_triage" }), { status: "under_investigation" }],
    [
      "CycloneDX by a link into an SBOM",
      cycloneDx({}, {}, [{ ref: "urn:cdx:1/1#pkg%3Anpm%2Flodash%404.17.20%3Fpackage-id%3D1" }]),
      { products: [{ ids: [`${purl}?package-id=1`], parts: "all" }] },
    ],
  ])("%s", (_name, predicate, fields) => {
    expect(readVex(predicate)).toMatchObject({ statements: [fields] });
  });

  test.each<[string, Record<string, unknown>]>([
    [
      "OpenVEX",
      openVex(
        {},
        { products: [{ "@id": "pkg:oci/shop", subcomponents: [{ identifiers: { cpe23: "cpe:2.3:a:x" } }] }] },
      ),
    ],
    ["OpenVEX's empty list", openVex({}, { products: [{ "@id": "pkg:oci/shop", subcomponents: [] }] })],
    [
      "CSAF",
      csaf({
        product_tree: {
          ...csaf().product_tree,
          full_product_names: [{ product_id: "LODASH", product_identification_helper: { cpe: "cpe:/a:x" } }],
        },
      }),
    ],
  ])("a part that is named in no way that is read is no part, and not the whole: %s", (_name, predicate) => {
    expect(readVex(predicate)).toMatchObject({ statements: [{ products: [{ parts: [] }] }] });
  });

  test("CSAF of one product that no package URL names, with a state of each kind: nothing in an image is meant by it", () => {
    const states = ["known_affected", "first_fixed", "known_not_affected", "under_investigation", "fixed"];
    const threats = [{ category: "impact", details: "not called", product_ids: ["OLD"] }];
    const vulnerabilities = states.map((state, at) => ({
      ...{ cve: `CVE-2026-${at}`, product_status: { [state]: ["OLD"] } },
      ...(state === "known_not_affected" ? { threats } : {}),
    }));
    const full_product_names = [{ product_id: "OLD", name: "till 4.2" }];
    const found = readVex(csaf({ product_tree: { full_product_names }, vulnerabilities }));
    const statements = found !== undefined && "statements" in found ? found.statements : [];
    expect(statements.map(({ vulnerability, status }) => `${vulnerability.join(" ")} ${status}`)).toEqual([
      ...["CVE-2026-0 affected", "CVE-2026-1 fixed", "CVE-2026-2 not_affected"],
      ...["CVE-2026-3 under_investigation", "CVE-2026-4 fixed"],
    ]);
    expect(statements.flatMap(({ products }) => products.flatMap(({ ids }) => ids))).toEqual([]);
  });

  test("a vulnerability of CycloneDX that affects nothing says nothing", () => {
    expect(readVex(cycloneDx({}, {}, []))).toMatchObject({ statements: [] });
  });

  test("a vulnerability of CycloneDX without an analysis is a finding, and says nothing", () => {
    expect(readVex(cycloneDx({}, null))).toMatchObject({ statements: [] });
  });
});
