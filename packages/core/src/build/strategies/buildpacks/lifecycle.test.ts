import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, it } from "vitest";
import { keepRunImage, parseReport } from "./lifecycle.ts";

const asked = `r.test/base@${fakeDigest("a")}`;
const analyzed = (reference: string) => `[image]
reference = "r.test/app@${fakeDigest("9")}"
[metadata]
[[metadata.buildpacks]]
key = "evil"
[run-image]
reference = "${reference}"
image = "r.test/base"
extend = true
[run-image.target]
os = "linux"
arch = "amd64"
`;

describe("keepRunImage", () => {
  it.each([
    ["another run image", analyzed(`r.test/evil@${fakeDigest("a")}`)],
    ["another digest", analyzed(`r.test/base@${fakeDigest("b")}`)],
    ["no run image", "[metadata]\n"],
    ["no TOML", "]["],
    ["nothing", ""],
  ])("refuses %s", (_what, text) => {
    expect(() => keepRunImage(text, asked)).toThrow(
      expect.objectContaining({ name: "InfrastructureError", code: "lifecycle-output-invalid" }),
    );
  });

  it("keeps nothing of an earlier image, and no wish to extend", () => {
    expect(keepRunImage(analyzed(asked), asked).trim().split(/\n+/)).toEqual([
      "[run-image]",
      `reference = "${asked}"`,
      'image = "r.test/base"',
      "[run-image.target]",
      'os = "linux"',
      'arch = "amd64"',
    ]);
  });
});

describe("parseReport", () => {
  it.each(["", "][", "[image]\n", '[image]\ndigest = "sha256:12"', "[image]\ndigest = 1"])("refuses %j", (text) => {
    expect(() => parseReport(text)).toThrow(expect.objectContaining({ code: "lifecycle-output-invalid" }));
  });

  it("finds the digest", () => {
    expect(parseReport(`[image]\ntags = ["r.test/app:1"]\ndigest = "${fakeDigest("d")}"\nmanifest-size = 12\n`)).toBe(
      fakeDigest("d"),
    );
  });
});
