import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { describe, expect, test } from "vitest";
import { boundReading, chooseReferrers, readingLimits } from "./reading-bounds.ts";

const where = `registry.example/shop@${digestOf("image")}`;
const entry = (artifactType: string | undefined, at: number): Descriptor => ({
  ...{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf(`${artifactType} ${at}`), size: 500 },
  ...(artifactType === undefined ? {} : { artifactType }),
});
const junk = (count: number) => Array.from({ length: count }, (_each, at) => entry("application/vnd.example.sbom", at));

describe("of a list that the registry makes", () => {
  test("all is read as long as it is short, and of a long one what can be evidence", () => {
    expect(chooseReferrers(junk(500))).toHaveLength(500);
    expect(chooseReferrers(junk(501))).toEqual([]);
  });

  test.each([
    ["application/vnd.dev.sigstore.bundle.v0.3+json"],
    ["application/vnd.cncf.notary.signature"],
    ["application/vnd.docker.attestation.manifest.v1+json"],
    // What says nothing of the artifact type, or the config's.
    [undefined],
    [""],
    ["application/vnd.oci.empty.v1+json"],
    ["application/vnd.oci.image.config.v1+json"],
  ])("%s can be", (artifactType) => {
    const likely = entry(artifactType, 0);
    expect(chooseReferrers([...junk(500), likely, ...junk(500)])).toEqual([likely]);
  });
});

describe("about one image", () => {
  const bounds = (limits: Partial<typeof readingLimits>) => boundReading(where, { ...readingLimits, ...limits });
  const tooMuch = (says: string) =>
    expect.objectContaining({
      ...{
        name: "InfrastructureError",
        code: "too-much-evidence",
        safeToRetry: false,
        message: `${where} has ${says}`,
      },
      wayOut: expect.stringMatching(/oras discover registry[\s\S]*fleet prune/),
    });

  test("the limits are those that docs/registries.md has", () => {
    expect(readingLimits).toEqual({
      ...{ referrers: 5_000, evidenceBytes: 268_435_456 },
      ...{ reads: 20_000, readBytes: 536_870_912 },
    });
  });

  test("so many referrers are read, of the image and of what refers to it", () => {
    const { referrers } = bounds({ referrers: 3 });
    referrers(2);
    referrers(1);
    expect(() => referrers(1)).toThrow(tooMuch("4 referrers, and 3 are read at most"));
  });

  test("so many manifests and blobs are, and so many bytes", () => {
    const byCount = bounds({ reads: 2, readBytes: 0 });
    byCount.read(0);
    byCount.read(0);
    expect(() => byCount.read(0)).toThrow(tooMuch("more than 2 manifests and bundles"));
    const bySize = bounds({ readBytes: 10 });
    bySize.read(4);
    bySize.read(6);
    expect(() => bySize.read(1)).toThrow(tooMuch("more than 10 bytes of manifests and bundles"));
  });

  test("so many bytes of bundles are held, each once", () => {
    const { hold } = bounds({ evidenceBytes: 10 });
    const bundle = (text: string, size: number) => ({ mediaType: "text/plain", digest: digestOf(text), size });
    hold(bundle("one", 4));
    hold(bundle("one", 4));
    hold(bundle("two", 6));
    expect(() => hold(bundle("three", 1))).toThrow(tooMuch("more than 10 bytes of bundles"));
  });
});
