import { describe, expect, test } from "vitest";
import { compareApkVersions, compareDpkgVersions } from "./versions.ts";

describe("versions of packages", () => {
  // Each is newer than the one before it: deb-version(7), and dpkg's own tests.
  test.each([
    ["1.0~~", "1.0~rc1", "1.0", "1.0+b1", "1.0.1", "1.2", "1.10", "1:0.1", "2:0"],
    ["3.0.9-1", "3.0.11-1~deb12u1", "3.0.11-1~deb12u2", "3.0.11-1", "3.0.11-1+deb12u1", "3.0.11-2"],
    ["2.36-9+deb12u1", "2.36-9+deb12u13", "2.36-10"],
    ["1.0a", "1.0b", "1.0+", "1.0."],
    // A revision is no part of what it is a revision of.
    ["1.2-9", "1.2+b1-1", "1.2.1-1"],
    ["1-2-1", "1-2-2", "1-10-1"],
    ["9:9", "10:1"],
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
    expect(compareDpkgVersions("1.2", "1.002")).toBe("same");
    expect(compareDpkgVersions("1.002", "1.2")).toBe("same");
    expect(compareDpkgVersions("0:1.2", "1.2-0")).toBe("same");
    expect(compareDpkgVersions("1.2-0", "1.2")).toBe("same");
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
    ["1.02", "1.1", "1.2", "1.2.0", "1.2.00", "1.2.1", "1.10", "9.1", "010.1", "20"],
    // apk-package(5): a version before its release, and what was made after it.
    ["1_alpha", "1_beta", "1_pre", "1_rc", "1", "1_cvs", "1_svn", "1_git", "1_hg", "1_p"],
    ["1_rc9", "1_rc10_p1", "1_rc10_p2", "1", "1_p1_rc1", "1_p1", "1b_alpha-r1", "1b-r0"],
  ])("apk's %s …", (...versions) => {
    for (const [at, version] of versions.entries()) {
      for (const older of versions.slice(0, at)) {
        expect(compareApkVersions(version, older), `${version} and ${older}`).toBe("newer");
        expect(compareApkVersions(older, version), `${older} and ${version}`).toBe("older");
      }
    }
  });

  test("zeros in front of all but a later number, and a commit, make no difference to apk", () => {
    expect(compareApkVersions("01.2", "1.2")).toBe("same");
    expect(compareApkVersions("1_git02-r0", "1_git2-r00")).toBe("same");
    expect(compareApkVersions("1.0~ab12-r0", "1.0-r0")).toBe("same");
    expect(compareApkVersions("1.0", "1.0-r0")).toBe("same");
    expect(compareApkVersions("1.0", "1.0-r1")).toBe("older");
  });

  test.each(["newest", "", "v1.0-r0", "1.0-r0x", "1.0-r0 ", "1..0", "1.0_beta_-r0", "1.0_x1", "1.0~-r0"])(
    "'%s' is no version that can be compared, but with itself",
    (version) => {
      expect(compareApkVersions(version, "1.0-r0")).toBeUndefined();
      expect(compareApkVersions("1.0-r0", version)).toBeUndefined();
      expect(compareApkVersions(version, version)).toBe("same");
    },
  );
});
