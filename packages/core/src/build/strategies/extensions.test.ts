import { describe, expect, test } from "vitest";
import { buildpacks } from "./buildpacks.ts";
import { extensionText, listExtensions, requireAllowed, whyNotLifecycle } from "./extensions.ts";

const label = "io.buildpacks.buildpack.order-extensions";
const order = (...groups: unknown[]) => ({ [label]: JSON.stringify(groups) });
const curl = { id: "acme/curl", version: "1.0.0" };

describe("a builder's label of extensions", () => {
  test.each([
    ["no JSON", "{"],
    ["no list", '{"group":[]}'],
    ["an extension without an id", '[{"group":[{"version":"1"}]}]'],
    ["an id that is no text", '[{"group":[{"id":1}]}]'],
  ])("is an error where it can't be read: %s", (_what, text) => {
    expect(() => listExtensions({ [label]: text }, "builder b")).toThrow(
      expect.objectContaining({ code: "builder-malformed", message: expect.stringContaining("builder b") }),
    );
  });

  test("names each extension of each group once, and none where there is none", () => {
    const other = { id: "acme/fonts", version: "2" };
    expect(listExtensions(order({ group: [curl, other] }, { group: [curl] }), "b")).toEqual([curl, other]);
    for (const labels of [{}, { [label]: "null" }, order(), order({ group: null })])
      expect(listExtensions(labels, "b")).toEqual([]);
  });
});

describe("extensions that the policy's builder does not name", () => {
  test.each([
    ["none are allowed", []],
    ["another is", ["acme/other"]],
    ["another version is", ["acme/curl@1.0.1"]],
    ["one whose id begins so is", ["acme/curl-more", "acme/cur"]],
  ])("are refused by name where %s", (_what, allowed) => {
    expect(() => requireAllowed([curl], { builder: "java", allowed })).toThrow(
      expect.objectContaining({
        ...{ name: "PolicyViolation", code: "extensions-not-allowed", rule: "build.buildpacks" },
        message: expect.stringContaining("builder 'java' has extensions that the policy does not allow"),
        wayOut: expect.stringContaining(`Allowed now: ${allowed.join(", ") || "none"}.`),
      }),
    );
  });

  test("are refused beside one that it names", () => {
    const both = [curl, { id: "acme/fonts", version: "2" }];
    expect(() => requireAllowed(both, { builder: "java", allowed: ["acme/curl"] })).toThrow(/: acme\/fonts@2$/);
  });

  test.each([[["acme/curl"]], [["acme/curl@1.0.0"]]])("are taken where it names them: %s", (allowed) => {
    expect(() => requireAllowed([curl], { builder: "java", allowed })).not.toThrow();
  });
});

test("why the lifecycle can't run them is one sentence's clause, with their names", () => {
  expect(whyNotLifecycle("java", [curl])).toMatch(/builder 'java' run \(acme\/curl@1\.0\.0\).*root's/);
});

describe("a policy's allowExtensions", () => {
  test.each(["", "a b", "../evil", "acme/curl@", "acme/curl@1@2", "acme//curl"])("is no extension: %j", (text) => {
    expect(extensionText.safeParse(text).success).toBe(false);
  });

  test("goes with an image and the lifecycle's image alone", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const builder = { name: "java", image: "r.test/builder", digests: [digest], runImage: "golden" };
    const lifecycleImage = `r.test/lifecycle@${digest}`;
    const allowExtensions = ["acme/curl", "acme/fonts@1.0.0"];
    const parse = (more: object) => buildpacks.builderSchema.safeParse({ ...builder, ...more });
    expect(parse({ allowExtensions }).error?.message).toContain("only with `image` and `lifecycleImage`");
    expect(parse({ allowExtensions, lifecycleImage }).success).toBe(true);
    expect(parse({ allowExtensions: [], lifecycleImage }).success).toBe(false);
  });
});
