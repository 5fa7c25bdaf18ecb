import { PolicyViolation } from "@goldenpath/foundation/errors";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, it } from "vitest";
import { dockerfile } from "../dockerfile.ts";
import type { Used } from "./images.ts";
import { judgeUsed } from "./judge-images.ts";

const [old, newest, other] = [fakeDigest("a"), fakeDigest("b"), fakeDigest("c")];
const bases = [
  { name: "golden", image: "r.test/bases/golden", digests: [old, newest] },
  { name: "ended", image: "r.test/bases/ended", digests: [old], until: "2026-05-31" },
];
const builder = {
  kind: "dockerfile" as const,
  name: "files",
  images: ["r.test/tools/go", `docker.io/library/busybox@${other}`],
  downloads: ["https://a.example/files/"],
};
const limits = dockerfile.plan(builder, bases).dockerfile;
const now = new Date("2026-06-01T00:00:00Z");

const judge = (used: Partial<Used>, on = limits) =>
  judgeUsed({ images: [], downloads: [], isOnScratch: false, ...used }, on, "web/Dockerfile", now);
const image = (name: string, use: "base" | "build") => ({ images: [{ name, use, line: 3 }] });

function refusal(used: Partial<Used>, on = limits): PolicyViolation {
  try {
    judge(used, on);
  } catch (error) {
    if (error instanceof PolicyViolation) return error;
    throw error;
  }
  throw new Error("it was allowed");
}

describe("what the policy does not let a Dockerfile use", () => {
  it.each<[string, Partial<Used>, string, string]>([
    ["a base that it does not approve", image("r.test/other", "base"), "base.approved", "would stand on r.test/other"],
    ["a build image as base", image("r.test/tools/go:1", "base"), "base.approved", "would stand on r.test/tools/go:1"],
    ["nothing as base", { isOnScratch: true }, "base.approved", "would stand on scratch"],
    ["a base's old name", image(`r.test/bases/golden@${other}`, "base"), "base.approved", "no approved version"],
    ["a base whose time is over", image("r.test/bases/ended:1", "base"), "base.expired", "until 2026-05-31"],
    ["an image that it does not list", image("evil:1", "build"), "build.images", "evil:1 is no image"],
    ["one below a listed one", image("r.test/tools/go/evil:1", "build"), "build.images", "no image"],
    ["one beside a listed one", image("r.test/tools/go2:1", "build"), "build.images", "no image"],
    ["another version of a pinned one", image(`busybox@${old}`, "build"), "build.images", "no image"],
    [
      "a URL that it does not list",
      { downloads: [{ url: "https://evil.example/x", checksum: other, line: 3 }] },
      "build.downloads",
      "does not let",
    ],
    [
      "a listed one by plain http",
      { downloads: [{ url: "http://a.example/files/x", checksum: other, line: 3 }] },
      "build.downloads",
      "does not let",
    ],
    [
      "a listed one without a checksum",
      { downloads: [{ url: "https://a.example/files/x", checksum: undefined, line: 3 }] },
      "build.downloads",
      "without a checksum",
    ],
    [
      "a listed one with half a checksum",
      { downloads: [{ url: "https://a.example/files/x", checksum: "sha256:1", line: 3 }] },
      "build.downloads",
      "without a checksum",
    ],
  ])("%s", (_what, used, rule, problem) => {
    const error = refusal(used);
    expect(error).toMatchObject({ rule, code: "dockerfile-refused" });
    expect(error.message).toMatch(/^web\/Dockerfile:\d+: /);
    expect(error.message).toContain(problem);
    expect(error.places).toHaveLength(1);
  });

  it("is told all at once, with what is allowed instead", () => {
    const error = refusal({ images: [...image("evil:1", "base").images, { name: "evil:2", use: "build", line: 9 }] });
    expect(error.places.map(({ line }) => line)).toEqual([3, 9]);
    expect(error.wayOut).toContain("r.test/bases/golden (golden)");
    expect(error.wayOut).toContain("r.test/tools/go");
  });

  it("is a base that the builder does not list", () => {
    const narrow = dockerfile.plan({ ...builder, bases: ["ended"] }, bases).dockerfile;
    expect(refusal(image("r.test/bases/golden", "base"), narrow).rule).toBe("base.approved");
  });

  it("is a name that is none", () => {
    expect(() => judge(image("A//b", "build"))).toThrow(/^web\/Dockerfile:3: image 'A\/\/b' is not an image reference/);
  });
});

describe("what it lets it use", () => {
  const reference = (used: Partial<Used>) => judge(used).images[0];

  it("is a base in its newest approved version, whatever the tag, and says so", () => {
    for (const name of ["r.test/bases/golden", "r.test/bases/golden:old", "R.test/bases/golden:1"]) {
      const { reference: taken, remark } = reference(image(name, "base")) ?? {};
      expect(taken).toEqual(parseReference(`r.test/bases/golden@${newest}`));
      expect(remark).toContain(`web/Dockerfile:3: ${name} is base 'golden' in its newest approved version, ${newest}`);
    }
  });

  it("is a base by an approved digest, as the file has it", () => {
    const taken = reference(image(`r.test/bases/golden:1@${old}`, "base"));
    expect(taken?.reference.digest).toBe(old);
    expect(taken?.remark).toBeUndefined();
  });

  it("is an image of a listed repository, by its tag or digest, and a base", () => {
    expect(reference(image("r.test/tools/go", "build"))?.reference).toMatchObject({ tag: "latest" });
    expect(reference(image("r.test/tools/go:1.26", "build"))?.reference).toMatchObject({ tag: "1.26" });
    expect(reference(image(`r.test/tools/go@${old}`, "build"))?.reference).toMatchObject({ digest: old });
    expect(reference(image("r.test/bases/golden", "build"))?.reference).toMatchObject({ digest: newest });
  });

  it("is a pinned image, by the short name as well", () => {
    expect(reference(image(`docker.io/library/busybox@${other}`, "build"))?.reference.digest).toBe(other);
    expect(reference(image("busybox:1", "build"))).toMatchObject({
      reference: { digest: other },
      remark: expect.stringContaining("as the policy pins it"),
    });
  });

  it("is a file below a listed URL, with its checksum", () => {
    const download = { url: "https://a.example/files/x", checksum: other, line: 3 };
    expect(judge({ downloads: [download] }).downloads).toEqual([{ url: download.url, checksum: other }]);
  });
});
