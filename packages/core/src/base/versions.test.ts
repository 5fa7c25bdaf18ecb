import { describe, expect, test } from "vitest";
import { compareApkVersions, compareDpkgVersions } from "./versions.ts";

describe("versions of packages", () => {
  // Each is newer than the one before it: deb-version(7), and dpkg's own tests.
  test.each([
    ["1.0~~", "1.0~rc1", "1.0", "1.0+b1", "1.0.1", "1.2", "1.10", "1:0.1", "2:0"],
    ["3.0.9-1", "3.0.11-1~deb12u1", "3.0.11-1~deb12u2", "3.0.11-1", "3.0.11-1+deb12u1", "3.0.11-2"],
    ["2.36-9+deb12u1", "2.36-9+deb12u13", "2.36-10"],
    ["1.0a", "1.0b", "1.0+", "1.0."],
  ])("dpkg's %s …", (...versions) => {
    for (const [at, version] of versions.entries()) {
      expect(compareDpkgVersions(version, version)).toBe("same");
      for (const older of versions.slice(0, at)) {
        expect(compareDpkgVersions(version, older), `${version} and ${older}`).toBe("newer");
        expect(compareDpkgVersions(older, version), `${older} and ${version}`).toBe("older");
      }
    }
  });

  test("zeros in front and an empty revision make no difference to dpkg", () => {
    expect(compareDpkgVersions("1.02", "1.2")).toBe("same");
    expect(compareDpkgVersions("0:1.2", "1.2-0")).toBe("same");
  });

  test.each([
    [
      "1.2.4_alpha1-r0",
      "1.2.4_rc1-r0",
      "1.2.4-r0",
      "1.2.4-r2",
      "1.2.4-r10",
      "1.2.4_git20230717-r4",
      "1.2.4_p1-r0",
      "1.2.4a-r0",
      "1.2.5-r0",
      "1.10-r0",
    ],
    ["1.01-r0", "1.1-r0", "2-r0"],
  ])("apk's %s …", (...versions) => {
    for (const [at, version] of versions.entries()) {
      for (const older of versions.slice(0, at)) {
        expect(compareApkVersions(version, older), `${version} and ${older}`).toBe("newer");
        expect(compareApkVersions(older, version), `${older} and ${version}`).toBe("older");
      }
    }
  });

  test("what is no version can't be compared", () => {
    expect(compareApkVersions("newest", "1.0-r0")).toBeUndefined();
    expect(compareApkVersions("1.0-r0", "")).toBeUndefined();
  });
});
