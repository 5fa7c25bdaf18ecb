import { encodeBundleReferrer } from "@goldenpath/core/signing/bundle-layer";
import { statementType } from "@goldenpath/core/signing/predicates";
import { cosignSignature, keylessManifest } from "@goldenpath/core/signing/schemes/keyless-manifest";
import { type FoundReferrer, maxBundleBytes, type TrustedSigner } from "@goldenpath/core/signing/schemes/scheme";
import type { SigstoreInstance } from "@goldenpath/core/signing/sigstore-instance";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { encode } from "@goldenpath/testing/evidence-registry";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type ConstructedSigstore,
  constructSigstore,
  type SignatureFalsehood,
} from "../support/constructed-sigstore.ts";
import { builderCommit, builderRun, builderWorkflow } from "../support/signed-manifests.ts";

// Whose a manifest of BuildKit's attestations is, asked without a registry and a gate: quick enough to be tried for each
// change that `npm run mutants` makes to what asks it. The whole way is in signed-manifests.test.ts.

let sigstore: ConstructedSigstore;
beforeAll(async () => {
  sigstore = await constructSigstore();
});

const intoto = "application/vnd.in-toto+json";
const child: Descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf("child"), size: 5 };

/** A registry is a map here; the real ones are in the other file. */
class Blobs {
  readonly kept = new Map<Digest, Uint8Array>();
  asked: Digest[] = [];

  add(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = digestOf(bytes);
    this.kept.set(digest, bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  read = async ({ digest }: Descriptor): Promise<Uint8Array> => {
    this.asked.push(digest);
    const bytes = this.kept.get(digest);
    if (bytes === undefined) throw new UserError("it is gone", { code: "blob-not-found" });
    return bytes;
  };
}

const found = (manifest: object, below: readonly FoundReferrer[] = []): FoundReferrer => ({
  descriptor: { mediaType: mediaTypes.ociManifest, digest: digestOf(encode(manifest)), size: 500 },
  manifest: manifest as ImageManifest,
  below,
});

function attestation(blobs: Blobs, ...payloads: string[]): ImageManifest {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: "application/vnd.docker.attestation.manifest.v1+json",
    config: { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size },
    layers: payloads.map((payload) => blobs.add(new TextEncoder().encode(payload), intoto)),
    subject: child,
  } as unknown as ImageManifest;
}

interface Falsehood extends SignatureFalsehood {
  about?: Digest;
  predicateType?: string;
  payload?: Uint8Array;
}

async function signature(
  blobs: Blobs,
  of: FoundReferrer,
  { about = of.descriptor.digest, predicateType = cosignSignature, payload, ...falsehood }: Falsehood = {},
): Promise<FoundReferrer> {
  const subject = [{ digest: { sha256: digestHex(about) }, annotations: {} }];
  const statement = payload ?? encode({ _type: statementType, subject, predicateType, predicate: {} });
  const bundle = blobs.add(
    Buffer.from(await sigstore.sign(statement, builderRun, falsehood)),
    mediaTypes.sigstoreBundle,
  );
  const referrer = encodeBundleReferrer(of.descriptor, bundle, predicateType, "2026-11-01T10:02:00Z");
  return found(JSON.parse(new TextDecoder().decode(referrer)));
}

const signer = (name: string, change: object = {}): TrustedSigner => ({
  name,
  material: {
    kind: "workflow",
    rule: {
      ...{ issuer: builderRun.issuer, workflow: builderWorkflow, at: [builderCommit], ownerId: "4321" },
      ...{ repositories: ["https://github.com/acme/*"], runnerEnvironments: ["github-hosted"] },
      ...change,
    },
    instance: { trustedRoot: sigstore.trustedRoot, proof: "log" } as SigstoreInstance,
  },
});
const verify = (blobs: Blobs, of: FoundReferrer, below: readonly FoundReferrer[], by = [signer("builder")]) =>
  keylessManifest.trust(by).verify({ ...of, below }, blobs.read);

describe("a manifest of attestations", () => {
  test("is told by BuildKit's type for one, by which lists have it as well", () => {
    const buildkits = attestation(new Blobs());
    const { artifactType: type = "" } = buildkits;
    expect(keylessManifest.recognises(buildkits)).toBe(true);
    expect(keylessManifest.recognises({ ...buildkits, artifactType: "application/vnd.example" })).toBe(false);
    expect(keylessManifest.listedAs).toEqual([type]);
  });

  test("is whose signature of it is there: each statement in it, and the signature goes along", async () => {
    const blobs = new Blobs();
    const of = found(attestation(blobs, '{"a":1}', '{"b":2}'));
    const below = [await signature(blobs, of)];
    const answer = await verify(blobs, of, below);
    expect(answer).toEqual(
      ['{"a":1}', '{"b":2}'].map((payload) => ({
        payload: new TextEncoder().encode(payload),
        bundle: { mediaType: intoto, digest: digestOf(payload), size: payload.length },
        signers: ["builder"],
        time: expect.any(Date),
        identity: builderRun,
        below,
        isInSignedManifest: true,
      })),
    );
    // Two who signed it say it twice, and who is nobody's takes nothing from whoever is somebody's.
    const second = await signature(blobs, of);
    const strangers = await signature(blobs, of, { by: "another authority" });
    const [twice, beside] = [
      await verify(blobs, of, [...below, second]),
      await verify(blobs, of, [strangers, ...below]),
    ];
    expect(twice).toHaveLength(4);
    expect(beside).toEqual(answer);
  });

  test.each<[string, Falsehood, string]>([
    ["signed by an authority of nobody's", { by: "another authority" }, "does not hold"],
    ["signed by another statement's signature", { predicateType: "https://slsa.dev/provenance/v1" }, "no signature"],
    ["beside the signature of another manifest", { about: digestOf("another") }, "is of another manifest"],
    ["beside what is no statement", { payload: encode({ a: 1 }) }, "statement"],
    ["beside a bundle of two readings", { change: (text) => text.replace("{", '{"mediaType":"x",') }, "twice"],
  ])("is nobody's %s", async (_what, falsehood, says) => {
    const blobs = new Blobs();
    const of = found(attestation(blobs, "{}"));
    const answer = await verify(blobs, of, [await signature(blobs, of, falsehood)]);
    expect(answer).toEqual([
      {
        payload: new TextEncoder().encode("{}"),
        bundle: { mediaType: intoto, digest: digestOf("{}"), size: 2 },
        signers: [],
        reason: expect.stringContaining(says),
        isInSignedManifest: true,
      },
    ]);
    expect(await verify(blobs, of, [await signature(blobs, of)])).toMatchObject([{ signers: ["builder"] }]);
  });

  test("is nobody's unsigned, by nobody whom the policy names, and below what is no bundle", async () => {
    const blobs = new Blobs();
    const of = found(attestation(blobs, "{}"));
    const reasonOf = async (below: readonly FoundReferrer[], by?: TrustedSigner[]) =>
      ((await verify(blobs, of, below, by)) as unknown as { signers: string[]; reason: string }[]).map(
        ({ signers, reason }) => {
          expect(signers).toEqual([]);
          return reason;
        },
      );
    expect(await reasonOf([])).toEqual(["nobody has signed the manifest that it lies in"]);
    const own = await signature(blobs, of);
    expect(await reasonOf([own], [signer("other", { ownerId: "1" })])).toEqual([
      expect.stringMatching(/^it is not by 'other': /),
    ]);
    const typed = found({ ...own.manifest, artifactType: "application/vnd.example" });
    expect(await reasonOf([typed])).toEqual(["what refers to the manifest that it lies in is no Sigstore bundle"]);
    const empty = found({ ...own.manifest, layers: [] });
    expect(await reasonOf([empty])).toEqual(["it has 0 layers; a bundle is one"]);
    // What is said of a certificate that does not count goes before what is no signature.
    const strangers = await signature(blobs, of, { by: "another authority" });
    expect(await reasonOf([typed, strangers])).toEqual([expect.stringContaining("does not hold")]);
  });

  test("is nobody's below a bundle that can't be had; that the registry can't be asked is an error", async () => {
    const blobs = new Blobs();
    const of = found(attestation(blobs, "{}"));
    const own = await signature(blobs, of);
    const [bundle] = own.manifest.layers;
    blobs.kept.delete(bundle?.digest as Digest);
    expect(await verify(blobs, of, [own])).toMatchObject([{ signers: [], reason: "it is gone" }]);
    const failing = (error: Error) => ({
      kept: blobs.kept,
      read: async (blob: Descriptor) => {
        if (blob.digest === bundle?.digest) throw error;
        return blobs.read(blob);
      },
    });
    const broken = new InfrastructureError("it is not what its digest says", { code: "digest-mismatch" });
    expect(await verify(failing(broken) as never, of, [own])).toMatchObject([
      { signers: [], reason: "the signature of the manifest that it lies in can't be read" },
    ]);
    const away = new InfrastructureError("away", { code: "registry-unreachable" });
    await expect(verify(failing(away) as never, of, [own])).rejects.toBe(away);
  });

  test("has statements alone, none of them larger than is read", async () => {
    const blobs = new Blobs();
    const manifest = attestation(blobs, "{}");
    const [layer] = manifest.layers;
    const with_ = (...layers: object[]) => verify(blobs, found({ ...manifest, layers }), []);
    expect(await with_({ ...layer, mediaType: "text/plain" })).toEqual({
      reason: "it has other layers than in-toto statements",
    });
    expect(await with_({ ...layer }, { ...layer, size: maxBundleBytes + 1 })).toEqual({
      reason: `its statement has ${maxBundleBytes + 1} bytes, and ${maxBundleBytes} are read at most`,
    });
    expect(blobs.asked).toEqual([]);
    expect(await with_({ ...layer, size: maxBundleBytes })).toHaveLength(1);
  });
});

describe("a signer of such manifests", () => {
  const signerOf = (change: object = {}) => ({
    kind: "keyless-manifest" as const,
    ...{ issuer: builderRun.issuer, workflow: builderWorkflow, at: [builderCommit], ownerId: "4321" },
    ...{ repositories: ["https://github.com/acme/*"], ...change },
  });
  const kindsRefused = (signer: object) =>
    keylessManifest.signerSchema.safeParse(signer).error?.issues.filter(({ path }) => path[0] === "kind").length ?? 0;

  test("is called by its kind", () => {
    expect(kindsRefused(signerOf())).toBe(0);
    expect(kindsRefused(signerOf({ kind: "keyless" }))).toBe(1);
  });

  test("is checked by hand by the digests of the manifest and of the statement, and by cosign", async () => {
    const blobs = new Blobs();
    const of = found(attestation(blobs, '{"a":1}'));
    const holder = await signature(blobs, of);
    const [bytes, manifest] = [encode({ a: 1 }), encode(of.manifest)];
    const bundle = blobs.kept.get(holder.manifest.layers[0]?.digest as Digest) as Uint8Array;
    const piece = {
      ...{ signer: "builder", file: "evidence/1.json.x.json", bytes, subject: child.digest, image: "image.json" },
      predicateType: "https://slsa.dev/provenance/v1",
      parts: [child, of.descriptor].map(({ mediaType }) => ({ mediaType, bytes: manifest })),
      below: [{ manifest: encode(holder.manifest), blobs: [bundle] }],
    };
    const instance = { trustedRoot: sigstore.trustedRoot, proof: "log" } as SigstoreInstance;
    const check = (more: object) =>
      keylessManifest.checkByHand({ ...signerOf(), instance } as never, { ...piece, ...more } as never);
    const { first, argv, files } = check({});
    expect(first).toEqual(["sha256sum", "--check", "--strict", "evidence/1.json.x.sha256"]);
    expect(argv).toEqual(expect.arrayContaining(["cosign", "evidence/1.json.x.sigstore", cosignSignature]));
    expect(files).toEqual({
      "trust/builder.trusted-root.json": sigstore.trustedRoot,
      "evidence/1.json.x.manifest": manifest,
      "evidence/1.json.x.sigstore": bundle,
      "evidence/1.json.x.sha256": `${digestHex(digestOf(manifest))}  evidence/1.json.x.manifest\n${digestHex(digestOf(bytes))}  evidence/1.json.x.json`,
    });
    for (const lacking of [{ parts: undefined }, { parts: [] }, { below: undefined }, { below: [] }])
      expect(() => check(lacking)).toThrow("evidence that nobody has verified");
  });
});
