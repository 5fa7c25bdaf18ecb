import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { maxBundleBytes } from "@goldenpath/core/signing/schemes/scheme";
import type { Statement } from "@goldenpath/core/signing/types";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { makeStageKeys, policyWith, type StageKey, type StageName } from "@goldenpath/testing/signers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

let registry: EvidenceRegistry;
let keys: Record<StageName, StageKey>;
let policy: LoadedPolicy;

const now = new Date("2026-05-01T12:00:00.123Z");

beforeAll(async () => {
  keys = await makeStageKeys();
});
async function start(referrers: boolean): Promise<void> {
  registry = await startEvidenceRegistry(referrers);
  policy = policyWith(keys, registry.server.host);
}
afterEach(() => {
  registry.server.faults = [];
});

const collect = (repository: Repository, digest: Digest) =>
  collectEvidence(registry.client, repository, digest, policy.policy.signers, { now: new Date() });

describe.each([
  ["with the referrers API", true],
  ["with the fallback tag", false],
])("evidence %s", (_name, referrers) => {
  beforeAll(() => start(referrers));
  afterAll(() => registry.close());

  describe("that was attached", () => {
    test("is found on the image and each child, with whose it is and where it lies", async () => {
      const { repository, image, children } = await registry.newIndex();
      const statement = statementAbout(repository, [image.digest, ...children.map((child) => child.digest)]);
      const attachment = await attachStatement(
        registry.client,
        { repository, image, children },
        statement,
        keys.base.signer,
        now,
      );
      expect(attachment.existed).toBe(false);
      expect(attachment.childReferrers.map(({ subject }) => subject)).toEqual(children.map((child) => child.digest));
      const referrerOf = new Map(attachment.childReferrers.map(({ subject, referrer }) => [subject, referrer.digest]));
      referrerOf.set(image.digest, attachment.referrer.digest);
      for (const { digest } of [image, ...children]) {
        const { statements, rejected } = await collect(repository, digest);
        expect(rejected).toEqual([]);
        expect(statements).toMatchObject([
          {
            subject: digest,
            signers: ["base"],
            statement,
            bundle: attachment.bundle,
            referrer: { digest: referrerOf.get(digest) },
          },
        ]);
      }
    });

    test("is a referrer as cosign writes it", async () => {
      const { repository, image } = await registry.newImage();
      const statement = statementAbout(repository, [image.digest]);
      const { referrer, bundle, childReferrers } = await attachStatement(
        registry.client,
        { repository, image, children: [image] },
        statement,
        keys.base.signer,
        now,
      );
      // A single image is its own child.
      expect(childReferrers).toEqual([]);
      const { manifest } = await registry.client.fetchManifest({ ...repository, digest: referrer.digest });
      expect(manifest).toEqual({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        artifactType: "application/vnd.dev.sigstore.bundle.v0.3+json",
        config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 },
        layers: [bundle],
        subject: { mediaType: image.mediaType, digest: image.digest, size: image.size },
        annotations: {
          "org.opencontainers.image.created": "2026-05-01T12:00:00Z",
          "dev.sigstore.bundle.content": "dsse-envelope",
          "dev.sigstore.bundle.predicateType": predicateTypes.base,
        },
      });
    });

    test("is of every signer that has its key", async () => {
      const { repository, image } = await registry.newImage();
      await attachStatement(
        registry.client,
        { repository, image, children: [] },
        statementAbout(repository, [image.digest]),
        keys.base.signer,
        now,
      );
      const signers = { ...policy.policy.signers, second: { publicKey: keys.base.publicKeyPem } };
      const { statements } = await collectEvidence(registry.client, repository, image.digest, signers, {
        now: new Date(),
      });
      expect(statements.map((each) => each.signers)).toEqual([["base", "second"]]);
    });

    test("is not attached twice, whatever the time", async () => {
      const { repository, image, children } = await registry.newIndex();
      const target = { repository, image, children };
      const statement = statementAbout(repository, [image.digest, ...children.map((child) => child.digest)]);
      const first = await attachStatement(registry.client, target, statement, keys.base.signer, now);
      const before = await registry.server.snapshot();
      expect(await attachStatement(registry.client, target, statement, keys.base.signer, new Date())).toEqual({
        ...first,
        existed: true,
      });
      expect(await registry.server.snapshot()).toEqual(before);
    });

    test("is attached again for another key and for another content", async () => {
      const { repository, image } = await registry.newImage();
      const target = { repository, image, children: [] };
      const attach = (statement: Statement, key: StageKey) =>
        attachStatement(registry.client, target, statement, key.signer, now);
      await attach(statementAbout(repository, [image.digest]), keys.base);
      expect((await attach(statementAbout(repository, [image.digest]), keys.scan)).existed).toBe(false);
      expect(
        (await attach(statementAbout(repository, [image.digest], predicateTypes.vulnerabilities), keys.base)).existed,
      ).toBe(false);
      expect(
        (await attach({ ...statementAbout(repository, [image.digest]), predicate: { found: "more" } }, keys.base))
          .existed,
      ).toBe(false);
      expect((await collect(repository, image.digest)).statements).toHaveLength(4);
    });

    test("is attached beside broken referrers of the same kind", async () => {
      const { repository, image } = await registry.newImage();
      await registry.pushReferrer(repository, image, new TextEncoder().encode("{}"));
      await attachStatement(
        registry.client,
        { repository, image, children: [] },
        statementAbout(repository, [image.digest]),
        keys.base.signer,
        now,
      );
      expect(await collect(repository, image.digest)).toMatchObject({
        statements: [{ signers: ["base"] }],
        rejected: [{}],
      });
    });

    test("is whole after an attempt that broke off: the image's own referrer comes last", async () => {
      const { repository, image, children } = await registry.newIndex();
      const target = { repository, image, children };
      const statement = statementAbout(repository, [image.digest, ...children.map((child) => child.digest)]);
      const puts = registry.server.requests.length;
      registry.server.faults = [
        { method: "PUT", path: "/manifests/sha256", after: 2, action: { kind: "status", status: 500 } },
      ];
      await expect(attachStatement(registry.client, target, statement, keys.base.signer, now)).rejects.toThrow(
        InfrastructureError,
      );
      expect(registry.server.requests.slice(puts).filter((request) => request.fault !== undefined)).not.toEqual([]);
      registry.server.faults = [];
      expect((await collect(repository, image.digest)).statements).toEqual([]);
      await attachStatement(registry.client, target, statement, keys.base.signer, now);
      for (const { digest } of [image, ...children])
        expect((await collect(repository, digest)).statements).not.toEqual([]);
    });
  });

  test("is refused for a statement that does not name what it is to be attached to, and nothing is written", async () => {
    const { repository, image, children } = await registry.newIndex();
    const before = await registry.server.snapshot();
    const partial = statementAbout(repository, [image.digest]);
    await expect(
      attachStatement(registry.client, { repository, image, children }, partial, keys.base.signer, now),
    ).rejects.toThrow(expect.objectContaining({ code: "statement-mismatch" }));
    expect(await registry.server.snapshot()).toEqual(before);
  });

  test("is refused where it is larger than the gate reads", async () => {
    const { repository, image } = await registry.newImage();
    const large = { ...statementAbout(repository, [image.digest]), predicate: { found: "x".repeat(maxBundleBytes) } };
    const before = await registry.server.snapshot();
    await expect(
      attachStatement(registry.client, { repository, image, children: [] }, large, keys.base.signer, now),
    ).rejects.toThrow(expect.objectContaining({ code: "statement-too-large" }));
    expect(await registry.server.snapshot()).toEqual(before);
  });
});
