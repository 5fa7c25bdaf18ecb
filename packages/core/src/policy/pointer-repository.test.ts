import { describe, expect, test } from "vitest";
import { findPointerRepository, isPointerRepository } from "./pointer.ts";

describe("where the policy in force is said", () => {
  test.each([
    ["registry.test", "vetted/shop/api", "vetted/goldenpath-policy"],
    ["registry.test", "shop", "goldenpath-policy"],
    ["europe-docker.pkg.dev", "project/vetted/shop", "project/vetted/goldenpath-policy"],
    ["europe-docker.pkg.dev", "project/vetted", "project/goldenpath-policy"],
    ["registry.gitlab.com", "group/project/shop", "group/project/goldenpath-policy"],
    // Hosts that only look like those: by whole names, and never by a part of one.
    ["europe-docker.pkg.dev.test", "project/vetted/shop", "project/goldenpath-policy"],
    ["pkg.dev.test", "project/vetted/shop", "project/goldenpath-policy"],
    ["europe-docker.pkgxdev", "project/vetted/shop", "project/goldenpath-policy"],
    ["registry.gitlab.com.test", "group/project/shop", "group/goldenpath-policy"],
    ["my-registry.gitlab.com", "group/project/shop", "group/goldenpath-policy"],
    ["registryxgitlab.com", "group/project/shop", "group/goldenpath-policy"],
    ["registry.gitlabxcom", "group/project/shop", "group/goldenpath-policy"],
  ])("for %s/%s", (registry, name, expected) => {
    expect(findPointerRepository({ registry, name })).toEqual({ registry, name: expected });
  });

  test("no image belongs there, or below it", () => {
    expect(isPointerRepository({ registry: "r.test", name: "vetted/goldenpath-policy" })).toBe(true);
    expect(isPointerRepository({ registry: "r.test", name: "vetted/goldenpath-policy/shop" })).toBe(true);
    expect(isPointerRepository({ registry: "r.test", name: "vetted/my-goldenpath-policy" })).toBe(false);
  });
});
