import { signStatement } from "@goldenpath/core/signing/schemes/key/sign";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { statementAbout } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect, keys, registry, start, useCollected } from "../support/collected-evidence.ts";

useCollected();

describe("a list that is not to be believed", () => {
  beforeAll(() => start(false));
  afterAll(() => registry.close());

  /** Whoever may push may write the fallback tag; this registry checks what an index names, and others do not. */
  function listAs(subject: Digest, digests: Digest[]): void {
    const manifests = digests.map((digest) => ({
      mediaType: mediaTypes.ociManifest,
      digest,
      size: 500,
      artifactType: mediaTypes.sigstoreBundle,
    }));
    const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
    const headers = { "content-type": mediaTypes.ociIndex, "docker-content-digest": digestOf(body) };
    registry.server.faults = [
      {
        method: "GET",
        path: `/manifests/${subject.replace(":", "-")}$`,
        action: { kind: "replace", body, status: 200, headers },
      },
    ];
  }

  test("names another image's referrer", async () => {
    const { repository, image } = await registry.newImage();
    const victim = await registry.newImage("amd64", repository);
    const both = statementAbout(repository, [image.digest, victim.image.digest]);
    const digest = await registry.pushReferrer(repository, victim.image, await signStatement(both, keys.scan.signer));
    listAs(image.digest, [digest]);
    expect(await collect(repository, image.digest)).toMatchObject({
      statements: [],
      rejected: [{ reason: "its manifest refers to another image" }],
    });
  });

  test("names a manifest that is gone", async () => {
    const { repository, image } = await registry.newImage();
    const kept = await registry.pushReferrer(
      repository,
      image,
      await signStatement(statementAbout(repository, [image.digest]), keys.scan.signer),
    );
    const gone = digestOf("a manifest that nobody has");
    listAs(image.digest, [gone, kept]);
    expect(await collect(repository, image.digest)).toMatchObject({
      statements: [{ signers: ["scan"] }],
      rejected: [{ referrer: gone }],
    });
  });

  test("is longer than any path leaves", async () => {
    const { repository, image } = await registry.newImage();
    await listAs(
      image.digest,
      Array.from({ length: 5_001 }, (_, at) => digestOf(`referrer ${at}`)),
    );
    registry.server.requests.length = 0;
    await expect(collect(repository, image.digest)).rejects.toThrow(
      expect.objectContaining({ code: "too-much-evidence" }),
    );
    expect(registry.server.requests.filter((request) => /\/manifests\/sha256:/.test(request.path))).toEqual([]);
    await listAs(
      image.digest,
      Array.from({ length: 501 }, (_, at) => digestOf(`referrer ${at}`)),
    );
    expect((await collect(repository, image.digest)).rejected).toHaveLength(501);
  });
});
