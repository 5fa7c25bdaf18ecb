import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { fakeDigest } from "@goldenpath/testing/policy";
import { expect, it } from "vitest";
import { hostPlatform, selectPlatform } from "./images.ts";

/** As far as a platform is selected by it. */
const child = (os: string, architecture: string, digest: string) =>
  ({ platform: { os, architecture }, digest: fakeDigest(digest) }) as ChildFacts;
const image = (...children: ChildFacts[]): ImageFacts => ({
  reference: { registry: "r.test", name: "base", digest: fakeDigest("a") },
  mediaType: "application/vnd.oci.image.index.v1+json",
  size: 1,
  children,
});

it("refuses an image that is not for this platform, and says what it is for", () => {
  const windows = image(child("windows", "amd64", "1"), child("linux", "s390x", "2"));
  expect(() => selectPlatform(windows, { os: "linux", architecture: "amd64" }, "base 'x'")).toThrow(
    expect.objectContaining({
      code: "platform-missing",
      message: expect.stringMatching(/linux\/amd64.*windows\/amd64, linux\/s390x/),
    }),
  );
});

it("selects the one that is", () => {
  const both = image(child("linux", "arm64", "1"), child("linux", "amd64", "2"));
  expect(selectPlatform(both, { os: "linux", architecture: "amd64" }, "base").digest).toBe(fakeDigest("2"));
});

it("names this machine as images do", () => {
  expect(hostPlatform("x64")).toEqual({ os: "linux", architecture: "amd64" });
  expect(hostPlatform("arm64")).toEqual({ os: "linux", architecture: "arm64" });
});
