import { expect, test } from "vitest";
import { listComponents } from "../components.ts";
import type { ReportedFinding } from "./report.ts";
import { resolvePackages } from "./resolve.ts";

const at = (type: string, path: string, layer: string) => [
  { name: "syft:package:type", value: type },
  { name: "syft:location:0:layerID", value: layer },
  { name: "syft:location:0:path", value: path },
];
const components = listComponents({
  components: [
    {
      ...{
        type: "library",
        name: "libc6",
        version: "2.36-9+deb12u1",
        properties: at("deb", "/var/lib/dpkg/status", "sha256:b"),
      },
      purl: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc",
    },
    {
      type: "library",
      name: "lodash",
      version: "4.17.20",
      purl: "pkg:npm/lodash@4.17.20",
      properties: at("npm", "/a", "sha256:c"),
    },
    {
      type: "library",
      name: "lodash",
      version: "4.17.20",
      purl: "pkg:npm/lodash@4.17.20",
      properties: at("npm", "/b", "sha256:d"),
    },
    {
      type: "library",
      name: "lodash",
      version: "3.0.0",
      purl: "pkg:npm/lodash@3.0.0",
      properties: at("npm", "/c", "sha256:d"),
    },
    { type: "library", name: "core", group: "@acme", version: "1.0.0", purl: "pkg:npm/%40acme/core@1.0.0" },
    { type: "library", name: "text", version: "1.9", purl: "pkg:maven/org.acme/text@1.9" },
  ],
});
const resolve = (pkg: ReportedFinding["package"]) =>
  resolvePackages(
    [
      {
        id: "CVE-2026-1",
        aliases: [],
        severity: "high",
        fixedVersions: [],
        fixState: "unknown",
        urls: [],
        package: pkg,
      },
    ],
    components,
  );

test.each<[string, ReportedFinding["package"]]>([
  ["nothing said", {}],
  ["another package", { name: "left-pad", version: "1.0.0" }],
  ["another version", { name: "lodash", version: "4.17.19" }],
  ["another kind of package of that name", { purl: "pkg:pypi/lodash@4.17.20" }],
  ["another version's source", { purl: "pkg:deb/debian/glibc@2.36-9%2Bdeb12u9" }],
  ["a package URL that is none", { purl: "pkg:%zz" }],
])("%s is of no package of the SBOM, and found all the same", (_name, pkg) => {
  const { findings, strange } = resolve(pkg);
  expect(strange).toBe(1);
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ layers: [], paths: [], package: { name: expect.stringMatching(/./) } });
});

test.each<[string, ReportedFinding["package"], string[]]>([
  ["a package URL", { purl: "pkg:npm/lodash@4.17.20" }, ["/a", "/b"]],
  [
    "with qualifiers of its own",
    { purl: "pkg:deb/debian/libc6@2.36-9+deb12u1?os_name=debian" },
    ["/var/lib/dpkg/status"],
  ],
  ["the source package", { purl: "pkg:deb/debian/glibc@2.36-9%2Bdeb12u1?os_name=debian" }, ["/var/lib/dpkg/status"]],
  ["name and version", { name: "lodash", version: "4.17.20" }, ["/a", "/b"]],
  ["Snyk's source and name", { name: "glibc/libc6", version: "2.36-9+deb12u1" }, ["/var/lib/dpkg/status"]],
  ["a name alone is all of its versions", { name: "lodash" }, ["/a", "/b", "/c"]],
])("%s", (_name, pkg, paths) => {
  const { findings, strange } = resolve(pkg);
  expect(strange).toBe(0);
  expect(findings.flatMap((each) => each.paths)).toEqual(paths);
});

test("a scope, and Maven's group before the artifact", () => {
  expect(resolve({ name: "@acme/core", version: "1.0.0" }).findings[0]?.package.purl).toBe(
    "pkg:npm/%40acme/core@1.0.0",
  );
  expect(resolve({ name: "org.acme:text", version: "1.9" }).findings[0]?.package.purl).toBe(
    "pkg:maven/org.acme/text@1.9",
  );
});

test("one package in two places is one finding, with the layers of both", () => {
  expect(resolve({ purl: "pkg:npm/lodash@4.17.20" }).findings).toMatchObject([{ layers: ["sha256:c", "sha256:d"] }]);
});
