import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type Manifest, mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { describe, expect, test } from "vitest";
import { parsePlatforms, planMerge, renderIndex, takeChildren } from "./merge.ts";

const [one, two] = [digestOf("one"), digestOf("two")];
const refusal = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    return error;
  }
};

describe("platforms", () => {
  test.each([
    "linux",
    "linux/",
    "Linux/amd64",
    "windows/amd64",
    "linux/amd64/v1/x",
    "linux/amd64 linux/arm64",
    "linux/../x",
  ])("%j is refused", (text) => expect(refusal(() => parsePlatforms([text]))).toMatchObject({ code: "input-invalid" }));

  test.each([
    ["linux/amd64,linux/amd64", "has linux/amd64 twice"],
    ["linux/arm64/v8,linux/amd64,linux/arm64", "has linux/arm64/v8 and linux/arm64, which are one"],
    ["linux/arm,linux/arm/v7", "has linux/arm and linux/arm/v7, which are one"],
  ])("of %s one is there twice", (text, message) =>
    expect(refusal(() => parsePlatforms([text]))).toMatchObject({
      ...{ code: "input-invalid", message: expect.stringContaining(message) },
    }),
  );

  test("of one architecture those of several variants are several", () => {
    const variants = ["linux/arm/v6", "linux/arm/v7", "linux/amd64", "linux/amd64/v3"];
    expect(parsePlatforms(variants)).toEqual(variants);
  });

  test("are one a line, or with commas between them", () =>
    expect(parsePlatforms(["linux/amd64, linux/arm64,", "linux/arm/v7"])).toEqual([
      "linux/amd64",
      "linux/arm64",
      "linux/arm/v7",
    ]));
});

describe("what is merged", () => {
  const wanted = ["linux/amd64", "linux/arm64"];
  test.each<[string, string[], Record<string, string>, string]>([
    ["without a word on what is wanted", [], { "linux/amd64": one }, "input-invalid"],
    [
      "of a platform that nobody asked for",
      ["linux/amd64"],
      { "linux/amd64": one, "linux/arm64": two },
      "input-invalid",
    ],
    ["without one that is asked for", wanted, { "linux/amd64": one }, "platform-missing"],
    ["whose job came to nothing", wanted, { "linux/amd64": one, "linux/arm64": "" }, "platform-missing"],
    ["by a tag", wanted, { "linux/amd64": one, "linux/arm64": "latest" }, "input-invalid"],
    ["by the name of another image", wanted, { "linux/amd64": one, "linux/arm64": `evil/x@${two}` }, "input-invalid"],
    ["with one digest twice", wanted, { "linux/amd64": one, "linux/arm64": one }, "input-invalid"],
    ["with what no platform is", wanted, { "linux/amd64": one, "linux/arm64": two, toString: one }, "input-invalid"],
  ])("is nothing %s", (_what, platforms, digests, code) =>
    expect(refusal(() => planMerge(platforms, digests))).toMatchObject({ code }),
  );

  test("is one digest a platform, in the order that was asked for; a job that was left out is none", () =>
    expect(planMerge(wanted, { "linux/s390x": "", "linux/arm64": two, "linux/amd64": one })).toEqual([
      { platform: "linux/amd64", digest: one },
      { platform: "linux/arm64", digest: two },
    ]));
});

/** As a registry has it: a manifest whose config says a platform. */
function single(platform: { os: string; architecture: string; variant?: string }): [Manifest, ImageFacts] {
  const descriptor = { mediaType: mediaTypes.ociConfig, digest: digestOf(JSON.stringify(platform)), size: 2 };
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] }),
  );
  const root = parseManifest(bytes, undefined, "here");
  return [root, factsOf(root, [{ config: platform } as unknown as ChildFacts])];
}

const factsOf = (root: Manifest, children: ChildFacts[]): ImageFacts => ({
  reference: { registry: "r", name: "n", digest: root.digest },
  mediaType: root.mediaType,
  size: root.bytes.byteLength,
  children,
});

function indexOf(descriptors: readonly Descriptor[], platform: object, runnable = 1): [Manifest, ImageFacts] {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: descriptors }),
  );
  const root = parseManifest(bytes, undefined, "here");
  return [root, factsOf(root, Array(runnable).fill({ config: platform }))];
}

describe("a child of the index", () => {
  const take = (platform: string, [root, image]: [Manifest, ImageFacts]) =>
    refusal(() => takeChildren({ platform, digest: root.digest }, root, image));
  const amd64 = { os: "linux", architecture: "amd64" };
  const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };
  const child: Descriptor = { mediaType: mediaTypes.ociManifest, digest: one, size: 7, platform: amd64 };
  const attestation: Descriptor = {
    mediaType: mediaTypes.ociManifest,
    digest: two,
    size: 9,
    annotations: { "vnd.docker.reference.digest": one, "vnd.docker.reference.type": "attestation-manifest" },
    platform: { os: "unknown", architecture: "unknown" },
  };

  test.each<[string, string, [Manifest, ImageFacts]]>([
    ["that its config says is another's", "linux/arm64", single(amd64)],
    ["of another variant", "linux/arm/v6", single({ os: "linux", architecture: "arm", variant: "v7" })],
    ["of another system", "linux/amd64", single({ os: "windows", architecture: "amd64" })],
    [
      "of an index that says another platform than its config",
      "linux/amd64",
      indexOf([{ ...child, platform: arm64 }], amd64),
    ],
    ["of an index with several", "linux/amd64", indexOf([child, { ...child, digest: two }], amd64, 2)],
  ])("is none %s", (_what, platform, built) =>
    expect(take(platform, built)).toMatchObject({ code: "platform-differs" }),
  );

  test("is the manifest that is there, with the platform of its config", () => {
    const [root, image] = single(arm64);
    const descriptor = { mediaType: root.mediaType, digest: root.digest, size: root.bytes.byteLength };
    expect(take("linux/arm64", [root, image])).toEqual([{ ...descriptor, platform: arm64 }]);
    expect(take("linux/arm64/v8", [root, image])).toEqual([{ ...descriptor, platform: arm64 }]);
    expect(take("linux/arm64/v8", single({ os: "linux", architecture: "arm64" }))).toHaveLength(1);
  });

  test("is brought with its attestation, both as the build's index has them", () =>
    expect(take("linux/amd64", indexOf([child, attestation], amd64))).toEqual([child, attestation]));

  test("and the index of them is the same bytes for the same children", () => {
    const bytes = renderIndex([[child, attestation], [{ ...child, digest: two, platform: arm64 }]]);
    expect(parseManifest(bytes, undefined, "here")).toMatchObject({
      kind: "index",
      mediaType: mediaTypes.ociIndex,
      manifest: { manifests: [child, attestation, { ...child, digest: two, platform: arm64 }] },
    });
    expect(renderIndex([[child], []])).toEqual(renderIndex([[child]]));
  });
});
