import { describe, expect, test } from "vitest";
import { canonicalLicense, isLicenseId, judgeLicense } from "./licenses.ts";

const refused = new Set(
  [
    ...["AGPL-3.0-only", "AGPL-3.0-or-later", "GPL-2.0", "GPL-3.0-only WITH GCC-exception-3.1", "Our own licence"],
    ...["LicenseRef-ours", "CDDL-1.0"],
  ].map(canonicalLicense),
);

describe("an expression of licences", () => {
  test.each([
    ["AGPL-3.0-only", "refused"],
    ["agpl-3.0-ONLY", "refused"],
    ["MIT AND AGPL-3.0-only", "refused"],
    ["(MIT OR Apache-2.0) AND AGPL-3.0-only", "refused"],
    ["AGPL-3.0-only OR GPL-2.0-only", "refused"],
    ["GPL-2.0-only WITH Classpath-exception-2.0", "refused"],
    ["GPL-3.0-only WITH GCC-exception-3.1", "refused"],
    ["MIT OR BSD-3-Clause AND ISC AND AGPL-3.0-only", "fine"],
    ["Our own licence", "refused"],
    ["NOASSERTION AND AGPL-3.0-only", "refused"],
    ["AGPL-3.0", "refused"],
    ["agpl-3.0+", "refused"],
    ["GPL-2.0-only", "refused"],
    ["GPL-2.0-with-classpath-exception", "refused"],
    ["CDDL-1.0+", "refused"],
    ["LicenseRef-ours", "refused"],
    ["MIT", "fine"],
    ["mit", "fine"],
    ["Apache-2.0+", "fine"],
    ["GPL-2.0-or-later", "fine"],
    ["MIT OR AGPL-3.0-only", "fine"],
    ["AGPL-3.0-only OR (GPL-2.0-only AND MIT) OR ISC", "fine"],
    ["GPL-3.0-only", "fine"],
    ["GPL-2.0+", "fine"],
    ["LicenseRef-acme", "unknown"],
    ["UNKNOWN", "unknown"],
    ["UNLICENSED", "unknown"],
    ["Proprietary", "unknown"],
    ["Commercial", "unknown"],
    ["GPL", "unknown"],
    ["AGPLv3", "unknown"],
    ["MIT AND GPL", "unknown"],
    [`sha256:${"a".repeat(64)}`, "unknown"],
    ["NOASSERTION OR MIT", "fine"],
    ["", "unknown"],
    ["NOASSERTION", "unknown"],
    ["NONE", "unknown"],
    ["MIT AND NOASSERTION", "unknown"],
    ["AGPL-3.0-only OR NOASSERTION", "unknown"],
    ["The MIT License", "unknown"],
    ["MIT OR", "unknown"],
    ["OR MIT", "unknown"],
    ["(MIT", "unknown"],
    ["MIT)", "unknown"],
    ["GPL-2.0-only WITH", "unknown"],
    ["GPL-2.0-only WITH AND", "unknown"],
    ["MIT; AGPL-3.0-only", "unknown"],
    [`${"(".repeat(10_000)}MIT${")".repeat(10_000)}`, "unknown"],
  ])("%s", (expression, kind) => {
    expect(judgeLicense(expression, refused).kind).toBe(kind);
  });

  test("says which one is refused", () => {
    expect(judgeLicense("MIT AND GPL-2.0-only WITH X-1", refused)).toEqual({
      kind: "refused",
      by: "GPL-2.0-only WITH X-1",
    });
  });
});

test("the list knows what most packages are under", () => {
  for (const id of ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "MPL-2.0", "LGPL-2.1+", "0BSD", "Zlib"])
    expect(isLicenseId(id)).toBe(true);
  expect(isLicenseId("GPL-2.1")).toBe(false);
});
