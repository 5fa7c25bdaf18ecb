import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { signStatement } from "@goldenpath/core/signing/schemes/key/sign";
import { maxBundleBytes } from "@goldenpath/core/signing/schemes/scheme";
import { publicKeyHint } from "@goldenpath/core/signing/sigstore";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import { stageVerifierId } from "@goldenpath/core/stages";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { encode, statementAbout } from "@goldenpath/testing/evidence-registry";
import type { StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect, keys, now, policy, registry, start, stranger, useCollected } from "../support/collected-evidence.ts";

useCollected();

describe.each([
  ["with the referrers API", true],
  ["with the fallback tag", false],
])("evidence %s", (_name, referrers) => {
  beforeAll(() => start(referrers));
  afterAll(() => registry.close());

  describe("counts for nothing", () => {
    interface BundleJson {
      verificationMaterial: object;
      dsseEnvelope: { payload: string; payloadType: string };
    }
    interface Attack {
      repository: Repository;
      image: Descriptor;
      /** Signed by scan, about the image. */
      bundle: Uint8Array;
      /** A bundle changed and not signed again. */
      changed: (change: (json: BundleJson) => void) => Uint8Array;
    }
    const other = digestOf("another image");
    const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

    test.each<[string, (attack: Attack) => Promise<unknown>, string]>([
      [
        "an SBOM as it is",
        ({ repository, image }) =>
          registry.pushReferrer(repository, image, bytesOf("{}"), { artifactType: "application/vnd.cyclonedx+json" }),
        "not a Sigstore bundle",
      ],
      [
        "a bundle without an artifact type",
        ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, { artifactType: undefined }),
        "not a Sigstore bundle",
      ],
      [
        "a layer of another type",
        async ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, {
            layers: [await registry.pushBlob(repository, bundle, "application/json")],
          }),
        "its layer is application/json",
      ],
      [
        "two layers",
        async ({ repository, image, bundle }) => {
          const layer = await registry.pushBlob(repository, bundle);
          return registry.pushReferrer(repository, image, bundle, { layers: [layer, layer] });
        },
        "it has 2 layers",
      ],
      [
        "a config of its own",
        async ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, {
            config: await registry.pushBlob(repository, bytesOf("anything")),
          }),
        "its config is not the empty one",
      ],
      [
        "a config of its own that calls itself empty",
        async ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, {
            config: await registry.pushBlob(repository, bytesOf("[]"), mediaTypes.ociEmpty),
          }),
        "its config is not the empty one",
      ],
      [
        "the empty config as another type",
        async ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, {
            config: await registry.pushBlob(repository, bytesOf("{}"), mediaTypes.ociConfig),
          }),
        "its config is not the empty one",
      ],
      [
        "an annotation of its own",
        ({ repository, image, bundle }) =>
          registry.pushReferrer(repository, image, bundle, { annotations: { "io.example": "anything" } }),
        "annotations",
      ],
      [
        "no layer",
        ({ repository, image, bundle }) => registry.pushReferrer(repository, image, bundle, { layers: [] }),
        "it has 0 layers",
      ],
      [
        "an index",
        async ({ repository, image }) => {
          const index = {
            schemaVersion: 2,
            mediaType: mediaTypes.ociIndex,
            artifactType: mediaTypes.sigstoreBundle,
            manifests: [],
            subject: { mediaType: image.mediaType, digest: image.digest, size: image.size },
          };
          return registry.client.pushManifest(repository, encode(index), mediaTypes.ociIndex);
        },
        "it is an index",
      ],
      [
        "a bundle that is too large",
        async ({ repository, image }) => registry.pushReferrer(repository, image, new Uint8Array(maxBundleBytes + 1)),
        "are read at most",
      ],
      ["no bundle", ({ repository, image }) => registry.pushReferrer(repository, image, bytesOf("{}")), "malformed"],
      [
        "half a bundle",
        ({ repository, image, bundle }) => registry.pushReferrer(repository, image, bundle.subarray(0, 200)),
        "not JSON",
      ],
      [
        "an unknown key",
        async ({ repository, image }) =>
          registry.pushReferrer(
            repository,
            image,
            await signStatement(statementAbout(repository, [image.digest]), stranger.signer),
          ),
        "signed with a key that is not in this policy",
      ],
      [
        "a payload that was changed",
        ({ repository, image, changed }) =>
          registry.pushReferrer(
            repository,
            image,
            changed((json) => {
              const payload = Buffer.from(json.dsseEnvelope.payload, "base64")
                .toString("utf8")
                .replace("something", "nothing at all");
              json.dsseEnvelope.payload = Buffer.from(payload).toString("base64");
            }),
          ),
        "signed with a key that is not in this policy",
      ],
      [
        "another payload type",
        ({ repository, image, changed }) =>
          registry.pushReferrer(
            repository,
            image,
            changed((json) => {
              json.dsseEnvelope.payloadType = "application/json";
            }),
          ),
        "payload type",
      ],
      [
        "a certificate in the place of the key",
        ({ repository, image, changed }) =>
          registry.pushReferrer(
            repository,
            image,
            changed((json) => {
              json.verificationMaterial = { certificate: { rawBytes: "AAAA" }, tlogEntries: [] };
            }),
          ),
        "certificate",
      ],
      [
        "a statement about another image",
        async ({ repository, image }) =>
          registry.pushReferrer(
            repository,
            image,
            await signStatement(statementAbout(repository, [other]), keys.scan.signer),
          ),
        "about another image",
      ],
      [
        "a signed statement that names a subject twice",
        async ({ repository, image }) => {
          const statement = statementAbout(repository, [image.digest]);
          const twice = { ...statement, subject: [...statement.subject, ...statement.subject] };
          return registry.pushReferrer(repository, image, await signStatement(twice, keys.scan.signer));
        },
        "twice",
      ],
      [
        "a signed payload that is no statement",
        async ({ repository, image }) =>
          registry.pushReferrer(
            repository,
            image,
            await signStatement({ subject: [] } as unknown as Statement, keys.scan.signer),
          ),
        "not an in-toto statement",
      ],
    ])("%s", async (_what, push, reason) => {
      const { repository, image } = await registry.newImage();
      const bundle = await signStatement(statementAbout(repository, [image.digest]), keys.scan.signer);
      const changed = (change: (json: BundleJson) => void): Uint8Array => {
        const json = JSON.parse(new TextDecoder().decode(bundle)) as BundleJson;
        change(json);
        return encode(json);
      };
      await push({ repository, image, bundle, changed });
      const evidence = await collect(repository, image.digest);
      expect(evidence.statements).toEqual([]);
      expect(evidence.rejected).toHaveLength(1);
      expect(evidence.rejected[0]).toMatchObject({ subject: image.digest, reason: expect.stringContaining(reason) });
    });

    test("a good bundle, replayed on another image", async () => {
      const first = await registry.newImage();
      const second = await registry.newImage("amd64", first.repository);
      const bundle = await signStatement(statementAbout(first.repository, [first.image.digest]), keys.scan.signer);
      await registry.pushReferrer(first.repository, first.image, bundle);
      await registry.pushReferrer(second.repository, second.image, bundle);
      expect((await collect(first.repository, first.image.digest)).statements).toHaveLength(1);
      expect(await collect(second.repository, second.image.digest)).toMatchObject({
        statements: [],
        rejected: [{ reason: "its statement is about another image" }],
      });
    });

    test("a bundle or a manifest whose bytes are not those of its digest", async () => {
      const { repository, image } = await registry.newImage();
      const bundle = await signStatement(statementAbout(repository, [image.digest]), keys.base.signer);
      await registry.pushReferrer(repository, image, bundle);
      for (const path of ["/blobs/", "/manifests/sha256:"]) {
        registry.server.faults = [{ method: "GET", path, action: { kind: "corrupt" } }];
        expect(await collect(repository, image.digest)).toMatchObject({
          statements: [],
          rejected: [{ reason: expect.stringContaining("not what its digest says") }],
        });
      }
    });

    test("a bundle a second time, wrapped again", async () => {
      const { repository, image } = await registry.newImage();
      const bundle = await signStatement(statementAbout(repository, [image.digest]), keys.base.signer);
      await registry.pushReferrer(repository, image, bundle);
      const annotations = { "org.opencontainers.image.created": "2026-05-01T12:00:00Z" };
      await registry.pushReferrer(repository, image, bundle, { annotations });
      expect(await collect(repository, image.digest)).toMatchObject({
        statements: [{ signers: ["base"] }],
        rejected: [],
      });
    });

    test("which key a bundle names decides nothing: neither for whose it is, nor against", async () => {
      const hinted = async (by: StageKey, hint: string, digest: Digest, where: Repository): Promise<Uint8Array> => {
        const json = JSON.parse(
          new TextDecoder().decode(await signStatement(statementAbout(where, [digest]), by.signer)),
        );
        json.verificationMaterial.publicKey.hint = hint;
        return bytesOf(JSON.stringify(json));
      };
      for (const hint of [publicKeyHint(keys.base.publicKeyPem), "nobody's", ""]) {
        const { repository, image } = await registry.newImage();
        await registry.pushReferrer(repository, image, await hinted(keys.scan, hint, image.digest, repository));
        await registry.pushReferrer(repository, image, await hinted(stranger, hint, image.digest, repository));
        // Twice: what is remembered of it is the same.
        for (let times = 0; times < 2; times++) {
          const { statements, rejected } = await collect(repository, image.digest);
          expect(statements.map(({ signers }) => signers)).toEqual([["scan"]]);
          expect(rejected).toHaveLength(1);
        }
      }
    });

    test("what it claims is told, unverified, with why it does not count", async () => {
      const { repository, image } = await registry.newImage();
      const predicate = { verifier: { id: stageVerifierId("scan") } };
      const statement = buildStatement(
        buildSubjects(repository, [image.digest]),
        predicateTypes.verificationSummary,
        predicate,
      );
      await registry.pushReferrer(repository, image, await signStatement(statement, stranger.signer));
      const { rejected } = await collect(repository, image.digest);
      expect(rejected).toMatchObject([
        { claimedPredicateType: predicateTypes.verificationSummary, claimedVerifierId: stageVerifierId("scan") },
      ]);
    });
  });

  describe("that cannot be had is an error, and never just missing", () => {
    test.each([
      ["the list", "/(?:referrers/|manifests/sha256-)"],
      ["a manifest", "/manifests/sha256:"],
      ["a bundle", "/blobs/"],
    ])("%s", async (_what, path) => {
      const { repository, image } = await registry.newImage();
      await attachStatement(
        registry.client,
        { repository, image, children: [] },
        statementAbout(repository, [image.digest]),
        keys.base.signer,
        now,
      );
      registry.server.faults = [{ method: "GET", path, action: { kind: "status", status: 503 } }];
      await expect(collect(repository, image.digest)).rejects.toThrow(InfrastructureError);
      registry.server.faults = [{ method: "GET", path, action: { kind: "status", status: 403 } }];
      await expect(collect(repository, image.digest)).rejects.toThrow(
        expect.objectContaining({ code: "registry-unauthorized" }),
      );
    });

    test("more bundles than are held in memory at once", async () => {
      const { repository, image } = await registry.newImage();
      await registry.pushReferrer(
        repository,
        image,
        await signStatement(statementAbout(repository, [image.digest]), keys.scan.signer),
      );
      const bundle = (await collect(repository, image.digest)).statements[0]?.bundle.size ?? 0;
      const within = (evidenceBytes: number) =>
        collectEvidence(registry.client, repository, image.digest, policy.policy.signers, {
          referrers: 1,
          evidenceBytes,
          now: new Date(),
        });
      expect((await within(bundle)).statements).toHaveLength(1);
      await expect(within(bundle - 1)).rejects.toThrow(expect.objectContaining({ code: "too-much-evidence" }));
    });

    test("a key of the policy that goldenpath does not know", async () => {
      const { repository, image } = await registry.newImage();
      const signers = { scan: { publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" } };
      await expect(
        collectEvidence(registry.client, repository, image.digest, signers, { now: new Date() }),
      ).rejects.toThrow("signer 'scan'");
      await expect(
        collectEvidence(registry.client, repository, image.digest, signers, { now: new Date() }),
      ).rejects.toThrow(UserError);
    });
  });
});
