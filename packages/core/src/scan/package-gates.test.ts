import { describe, expect, test } from "vitest";
import type { SbomQuality } from "../policy/scan-section.ts";
import type { Exception } from "../policy/schema.ts";
import { judgePackages, type PackageGateFacts } from "./package-gates.ts";

const now = new Date("2026-05-10T12:00:00Z");
const component = (fields: Record<string, unknown> = {}) => ({
  ...{ type: "library", name: "lodash", version: "4.17.21", purl: "pkg:npm/lodash@4.17.21?x=y" },
  licenses: [{ license: { id: "MIT" } }],
  ...fields,
});
const document = (components: unknown[], metadata: object = {}) => ({
  bomFormat: "CycloneDX",
  metadata: { timestamp: "2026-05-10T11:00:00Z", tools: { components: [{ name: "syft" }] }, ...metadata },
  components,
});
const judge = (
  components: unknown[],
  policy: PackageGateFacts["policy"],
  { metadata = {}, exceptions = [] as Exception[], platform = undefined as string | undefined } = {},
) =>
  judgePackages({
    sbom: document(components, metadata),
    policy,
    exceptions,
    now,
    image: "r.example/shop@sha256:1",
    platform,
  });
const exception = (fields: Partial<Exception>): Exception => ({
  ...{ rule: "scan.license", license: "lodash", reason: "r", owner: "o", expires: "2026-05-10" },
  ...fields,
});

describe("forbidden packages", () => {
  const reason = "it was taken over";
  test.each([
    ["by name", { name: "lodash", reason }, {}, true],
    ["by another name", { name: "lodash-es", reason }, {}, false],
    ["by a part of the name", { name: "lod", reason }, {}, false],
    ["by its URL with a scope", { purl: "pkg:npm/%40acme/x", reason }, { purl: "pkg:npm/@acme/x@1" }, true],
    ["by the URL of another of the scope", { purl: "pkg:npm/%40acme/x", reason }, { purl: "pkg:npm/@acme/y@1" }, false],
    ["by its URL", { purl: "pkg:npm/lodash", reason }, {}, true],
    ["by the URL of another kind", { purl: "pkg:pypi/lodash", reason }, {}, false],
    ["by an URL, where it has none", { purl: "pkg:npm/lodash", reason }, { purl: undefined }, false],
    ["in this version", { name: "lodash", versions: ["1", "4.17.21"], reason }, {}, true],
    ["in another version", { name: "lodash", versions: ["4.17.2"], reason }, {}, false],
    ["in one version, where it has none", { name: "lodash", versions: ["1"], reason }, { version: undefined }, false],
    ["by the name of a file", { name: "lodash", reason }, { type: "file" }, false],
  ])("%s", (_name, forbidden, fields, isRefused) => {
    const violations = judge([component(fields)], { packages: [forbidden] });
    expect(violations.map(({ rule, thing }) => `${rule} ${thing}`)).toEqual(
      isRefused ? ["scan.package lodash 4.17.21"] : [],
    );
    if (isRefused) expect(violations[0]?.problem).toContain(reason);
  });

  test("inside of another package as well", () => {
    const outer = component({ name: "shop", components: [component({ name: "web", components: [component()] })] });
    const violations = judge([outer], { packages: [{ name: "lodash", reason }] });
    expect(violations.map(({ thing }) => thing)).toEqual(["lodash 4.17.21"]);
  });

  test("an exception sets one aside, by name or URL, until its last day is over", () => {
    const granted = (fields: Partial<Exception>) =>
      judge([component()], { packages: [{ name: "lodash", reason }] }, { exceptions: [exception(fields)] });
    for (const name of ["lodash", "pkg:npm/lodash"])
      expect(granted({ rule: "scan.package", package: name })).toMatchObject([{ exception: { owner: "o" } }]);
    expect(granted({ rule: "scan.license" })[0]?.exception).toBeUndefined();
    expect(granted({ rule: "scan.package", package: "lodash", expires: "2026-05-09" })).toMatchObject([
      { lapsed: { thing: "lodash" } },
    ]);
  });
});

describe("licences", () => {
  const rules = { refuse: ["AGPL-3.0-only"], unknown: "refuse" } as const;
  const isRefused = (licenses: unknown, unknown: "refuse" | "pass" = "refuse") =>
    judge([component({ licenses })], { licenses: { ...rules, refuse: [...rules.refuse], unknown } }).length === 1;
  const agpl = { license: { id: "AGPL-3.0-only" } };
  const mit = { license: { id: "MIT" } };

  test.each([
    ["refused", [agpl], true, true],
    ["one of several refused", [mit, agpl], true, true],
    ["refused by its name", [{ license: { name: "AGPL-3.0-only" } }], true, true],
    ["an expression that is refused", [{ expression: "MIT AND AGPL-3.0-only" }], true, true],
    ["an expression with a choice", [{ expression: "MIT OR AGPL-3.0-only" }], false, false],
    ["another", [mit], false, false],
    ["none", [], true, false],
    ["none at all", undefined, true, false],
    ["no list", "MIT", true, false],
    ["words", [{ license: { name: "Some licence of ours" } }], true, false],
    ["words beside one that is known", [mit, { license: { name: "See the file" } }], true, false],
    ["a number", [{ license: { id: 7 } }], true, false],
  ])("%s", (_name, licenses, refused, refusedWhereUnknownPasses) => {
    expect(isRefused(licenses)).toBe(refused);
    expect(isRefused(licenses, "pass")).toBe(refusedWhereUnknownPasses);
  });

  test("an exception is for the licence, in one package or in all", () => {
    const granted = (fields: Partial<Exception>) =>
      judge(
        [component({ licenses: [agpl] })],
        { licenses: { ...rules, refuse: [...rules.refuse] } },
        { exceptions: [exception({ license: "AGPL-3.0-only", ...fields })] },
      )[0]?.exception?.owner;
    expect(granted({})).toBe("o");
    expect(granted({ package: "lodash" })).toBe("o");
    expect(granted({ package: "other" })).toBeUndefined();
    expect(granted({ license: "MIT" })).toBeUndefined();
  });
});

describe("what an SBOM says", () => {
  const quality = (fields: Partial<SbomQuality> = {}): SbomQuality => ({
    ...{ version: 0, identifier: 0, license: 0, hash: 0, supplier: 0 },
    ...fields,
  });
  const twenty = (lacking: number, fields: Record<string, unknown>) =>
    Array.from({ length: 20 }, (_, at) => component({ name: `p${at}`, ...(at < lacking ? fields : {}) }));

  test.each([
    ["19 of 20 versions, of 95 %", twenty(1, { version: "" }), quality({ version: 95 }), false],
    ["19 of 20 versions, of 96 %", twenty(1, { version: "" }), quality({ version: 96 }), true],
    ["versions that are unknown", twenty(1, { version: "UNKNOWN" }), quality({ version: 100 }), true],
    ["no URL, and a CPE", twenty(1, { purl: undefined, cpe: "cpe:2.3:a:x" }), quality({ identifier: 100 }), false],
    ["neither URL nor CPE", twenty(1, { purl: undefined }), quality({ identifier: 100 }), true],
    [
      "a licence that nobody asserts",
      twenty(1, { licenses: [{ license: { name: "NOASSERTION" } }] }),
      quality({ license: 100 }),
      true,
    ],
    ["licences", twenty(0, {}), quality({ license: 100 }), false],
    ["no hash", twenty(0, {}), quality({ hash: 1 }), true],
    ["a hash each", [component({ hashes: [{ alg: "SHA-1", content: "0" }] })], quality({ hash: 100 }), false],
    ["no supplier", twenty(0, {}), quality({ supplier: 1 }), true],
    ["a publisher", [component({ publisher: "acme" })], quality({ supplier: 100 }), false],
    ["a supplier", [component({ supplier: { name: "acme" } })], quality({ supplier: 100 }), false],
    ["no packages", [], quality({ version: 100 }), false],
    [
      "files, which are no packages",
      [component({ type: "file", version: undefined })],
      quality({ version: 100 }),
      false,
    ],
  ])("%s", (_name, components, asked, isRefused) => {
    expect(judge(components, { sbom: asked }).map(({ rule }) => rule)).toEqual(isRefused ? ["scan.sbom"] : []);
  });

  test.each([
    ["no time", { timestamp: undefined }],
    ["no time that is one", { timestamp: "today" }],
    ["no tool", { tools: undefined }],
    ["an empty list of tools", { tools: [] }],
    ["tools of no kind", { tools: { components: [], services: [] } }],
  ])("%s", (_name, metadata) => {
    expect(judge([component()], { sbom: quality() }, { metadata })).toMatchObject([{ rule: "scan.sbom" }]);
  });

  test("the tools of CycloneDX 1.4 are tools", () => {
    expect(judge([component()], { sbom: quality() }, { metadata: { tools: [{ name: "syft" }] } })).toEqual([]);
  });

  test("says which packages lack it, some of many, and the platform", () => {
    const [violation] = judge(
      twenty(7, { version: "" }),
      { sbom: quality({ version: 90 }) },
      { platform: "linux/arm64" },
    );
    expect(violation).toMatchObject({ thing: "the SBOM of r.example/shop@sha256:1", platform: "linux/arm64" });
    expect(violation?.problem).toBe(
      "13 of 20 packages have a version; the policy asks for 90 %. Without: p0, p1, p2, p3, p4 and 2 more.",
    );
  });
});

test("a policy that asks for none of it refuses nothing, and a package in two places is refused once", () => {
  expect(judge([component({ licenses: [] })], {})).toEqual([]);
  const packages = [{ name: "lodash", reason: "r" }];
  expect(judge([component(), component({ "bom-ref": "2" })], { packages })).toHaveLength(1);
});
