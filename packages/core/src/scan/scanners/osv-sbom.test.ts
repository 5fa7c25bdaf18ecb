import { describe, expect, test } from "vitest";
import { listComponents } from "../components.ts";
import { osvKey, renderOsvInput, systemEcosystem } from "./osv-sbom.ts";

const sbom = (...components: Record<string, unknown>[]) => ({ components });
const written = (component: Record<string, unknown>) => {
  const { document, leftOut } = renderOsvInput(listComponents(sbom({ type: "library", ...component })));
  return { components: document["components"], leftOut: [...leftOut] };
};

describe("a package goes by OSV's own name", () => {
  test.each([
    // What osv-scanner would look up in vain, by the name as it stands.
    [
      "a Debian package by its source",
      "pkg:deb/debian/libssl3@3.0.11-1?upstream=openssl&distro=debian-12",
      "openssl",
      "3.0.11-1",
    ],
    [
      "with the source's version",
      "pkg:deb/debian/libc6@2.36?upstream=glibc%402.36-9&distro=debian-12",
      "glibc",
      "2.36-9",
    ],
    [
      "an Alpine one",
      "pkg:apk/alpine/libcrypto3@3.1.4-r0?upstream=openssl&distro=alpine-3.18.4",
      "openssl",
      "3.1.4-r0",
    ],
    ["a Maven artifact with its group", "pkg:maven/org.acme.log/core@2.14.1", "org.acme.log:core", "2.14.1"],
    ["npm's with its scope", "pkg:npm/%40babel/traverse@7.0.0", "@babel/traverse", "7.0.0"],
    ["Go's with its path", "pkg:golang/golang.org/x/net@v0.1.0#html", "golang.org/x/net", "v0.1.0"],
    ["Go's library by the URL's version", "pkg:golang/stdlib@1.20.1", "stdlib", "1.20.1"],
    ["a Debian package that is its own source", "pkg:deb/debian/bash@5.2?distro=debian-12", "bash", "5.2"],
  ])("%s", (_name, purl, name, version) => {
    expect(written({ name: "as-it-stands", version: "go0", purl })).toMatchObject({
      components: [{ name, version }],
      leftOut: [],
    });
  });

  test.each([
    ["an rpm package, of which it knows no ecosystem", "pkg:rpm/rocky/bash@5.1?distro=rocky-9.2", "rpm"],
    ["another system's deb", "pkg:deb/raspbian/bash@5.1", "deb"],
    ["no package URL", undefined, "unknown"],
    ["one that can't be read", "pkg:npm/%zz@1", "npm"],
    ["a type like no other", "pkg:constructor/x@1", "constructor"],
    ["no version", "pkg:npm/lodash", "npm"],
  ])("and what it has no name for is told: %s", (_name, purl, type) => {
    expect(written({ name: "x", ...(purl === undefined ? {} : { purl }) })).toEqual({
      components: [],
      leftOut: [[type, 1]],
    });
  });

  test("all binary packages of one source are meant by it, and it is asked for once", () => {
    const packages = ["libssl3", "openssl"].map((name) => ({
      ...{ type: "library", name, version: "3.0.11-1" },
      purl: `pkg:deb/debian/${name}@3.0.11-1?upstream=openssl&distro=debian-12`,
    }));
    const { document, components } = renderOsvInput(listComponents(sbom(...packages)));
    expect(document["components"]).toHaveLength(1);
    const meant = components.get(osvKey("Debian:12", "openssl", "3.0.11-1"));
    expect(meant?.map((component) => component.package.name)).toEqual(["libssl3", "openssl"]);
  });

  test("Python's names are the same in any spelling", () => {
    expect(osvKey("PyPI", "Foo_Bar.baz", "1")).toBe(osvKey("PyPI", "foo-bar-baz", "1"));
    expect(osvKey("npm", "Foo", "1")).not.toBe(osvKey("npm", "foo", "1"));
  });
});

test.each([
  ["debian", "12", "Debian", "12"],
  ["debian", "12.4", "Debian", "12"],
  ["ubuntu", "22.04", "Ubuntu", "22.04"],
  ["alpine", "3.18.4", "Alpine", "v3.18"],
  ["wolfi", "20230201", "Wolfi", ""],
])("%s %s is OSV's %s:%s", (name, version, family, suffix) => {
  expect(systemEcosystem(name, version)).toEqual({ family, suffix });
});

test.each([
  ["rhel", "9.2"],
  ["debian", ""],
  ["debian", "sid"],
  ["ubuntu", "22"],
  ["alpine", "edge"],
  ["constructor", "1.0"],
])("%s '%s' is none that it looks up", (name, version) => {
  expect(systemEcosystem(name, version)).toBeUndefined();
});
