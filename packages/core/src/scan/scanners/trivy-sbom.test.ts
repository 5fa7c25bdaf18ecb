import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson } from "@goldenpath/foundation/text/json";
import { describe, expect, test } from "vitest";
import { listComponents } from "../components.ts";
import { renderTrivyInput, systemBucket } from "./trivy-sbom.ts";

const fixture = join(import.meta.dirname, "../../../../../test/fixtures/trivy-db/sbom.cdx.json");
const sbom = parseJson(readFileSync(fixture, "utf8")) as Record<string, unknown>;
const debian = { name: "debian", version: "12" };
const of = (purl: string, system: { name: string; version: string } | undefined, type = "library") =>
  renderTrivyInput(listComponents({ components: [{ type, name: "x", version: "1", purl }] }), system);
const written = ({ document }: ReturnType<typeof of>): Record<string, unknown>[] =>
  document["components"] as Record<string, unknown>[];
const properties = (purl: string, name: string): Record<string, string> =>
  Object.fromEntries(
    written(of(purl, { name, version: "9" }))
      .flatMap((each) => (each["properties"] ?? []) as { name: string; value: string }[])
      .map((each) => [each.name.replace("aquasecurity:trivy:", ""), each.value]),
  );

describe("packages that trivy would answer nothing for are left out, and told", () => {
  test.each([
    ["a system that nobody names", "pkg:deb/debian/libc6@1", undefined],
    ["a system that trivy does not know", "pkg:deb/plan9/libc6@1", { name: "plan9", version: "4" }],
    ["a name that every object has", "pkg:deb/debian/libc6@1", { name: "constructor", version: "1" }],
    ["of Red Hat, by its repositories", "pkg:rpm/redhat/glibc@2", { name: "rhel", version: "9.4" }],
    ["of another package manager than the system's", "pkg:rpm/fedora/glibc@2", debian],
    ["of no language that it has", "pkg:generic/odd@1", debian],
    ["without a version", "pkg:npm/lodash", debian],
  ])("%s", (_name, purl, system) => {
    const input = of(purl, system);
    expect(input.components.size).toBe(0);
    expect(written(input).filter(({ type }) => type === "library")).toEqual([]);
    expect([...input.leftOut.values()]).toEqual([1]);
  });

  test("one without a package URL", () => {
    const input = renderTrivyInput(
      listComponents({ components: [{ type: "library", name: "x", version: "1" }] }),
      debian,
    );
    expect([...input.leftOut]).toEqual([["unknown", 1]]);
  });
});

test("one package in two places is asked for once, and found in both", () => {
  const input = renderTrivyInput(listComponents(sbom), debian);
  expect(written(input).map(({ name, version }) => `${name} ${version}`)).toEqual([
    "debian 12",
    "libc6 2.36-9+deb12u1",
    "lodash 4.17.20",
  ]);
  expect(input.components.get("1")?.paths).toEqual(["/app/a/package.json", "/app/b/package.json"]);
  expect([...input.languages]).toEqual(["npm::"]);
  expect([...input.leftOut]).toEqual([["generic", 1]]);
});

describe("the source package is said in trivy's own words", () => {
  test.each([
    ["its own", "pkg:deb/debian/zlib@1.2-1", "debian", { SrcName: "zlib", SrcVersion: "1.2-1" }],
    ["another", "pkg:deb/debian/libc6@2.36-9?upstream=glibc", "debian", { SrcName: "glibc", SrcVersion: "2.36-9" }],
    [
      "another in a version of its own, with an epoch",
      "pkg:deb/debian/a@1%2Bb1?upstream=b%401%3A1",
      "debian",
      { SrcName: "b", SrcVersion: "1:1" },
    ],
    [
      "an rpm's, by its file",
      "pkg:rpm/rocky/libcurl-minimal@7.76.1-23.el9?epoch=1&upstream=curl-7.76.1-23.el9.src.rpm",
      "rocky",
      { SrcName: "curl", SrcVersion: "7.76.1", SrcRelease: "23.el9", SrcEpoch: "1" },
    ],
  ])("%s", (_name, purl, system, expected) => {
    expect(properties(purl, system)).toEqual(expected);
  });
});

describe("what the data calls a system", () => {
  test.each([
    ["debian", "", undefined],
    ["debian", "sid", undefined],
    ["ubuntu", "22", undefined],
    ["rhel", "9.4", undefined],
    ["constructor", "1", undefined],
    ["debian", "12.5", "debian 12"],
    ["ubuntu", "22.04", "ubuntu 22.04"],
    ["alpine", "3.18.4", "alpine 3.18"],
    ["wolfi", "20230201", "wolfi"],
    ["rocky", "9.3", "rocky 9"],
    ["amzn", "2023", "amazon linux 2023"],
    ["photon", "5.0", "Photon OS 5.0"],
  ])("%s %s: %s", (name, version, bucket) => {
    expect(systemBucket({ name, version })).toBe(bucket);
  });
});
