import { createHash, createPublicKey } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { beforeAll, describe, expect, test } from "vitest";
import { generateKeyPair, loadSigner } from "./keys.ts";
import { parsePublicKey } from "./public-keys.ts";
import { type KeySigner, signStatement } from "./schemes/key/sign.ts";
import { listHolding, openBundle, publicKeyHint, verifyBundle } from "./sigstore.ts";
import { buildStatement, buildSubjects, encodeStatement } from "./statement.ts";

interface BundleJson {
  mediaType: string;
  verificationMaterial: Record<string, unknown>;
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid?: string }[] };
}

const subjects = buildSubjects({ registry: "registry.example", name: "shop" }, [digestOf("image")]);
const statement = buildStatement(subjects, "https://example.com/p/v1", { found: "nothing" });
const newSigner = (): Promise<KeySigner> =>
  loadSigner({ key: generateKeyPair().privateKeyPem }, { ports: silentPorts(), env: {}, workingDirectory: "/" });
let signer: KeySigner;
let bytes: Uint8Array;
beforeAll(async () => {
  signer = await newSigner();
  bytes = await signStatement(statement, signer);
});

const keyOf = (of: KeySigner) => parsePublicKey(of.publicKeyPem, "the key");
const encode = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
const base64 = (content: Uint8Array | string): string => Buffer.from(content).toString("base64");
function changed(change: (bundle: BundleJson) => void): Uint8Array {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as BundleJson;
  change(json);
  return encode(json);
}

test("what is signed verifies with its key, and is the statement's bytes", async () => {
  const opened = openBundle(bytes);
  expect(await verifyBundle(opened, keyOf(signer))).toBe(true);
  expect(Buffer.from(opened.payload)).toEqual(Buffer.from(encodeStatement(statement)));
});

test("the bundle is v0.3, with cosign's hint for the key", () => {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as BundleJson;
  const der = createPublicKey(signer.publicKeyPem).export({ type: "spki", format: "der" });
  expect(json.mediaType).toBe("application/vnd.dev.sigstore.bundle.v0.3+json");
  expect(json.verificationMaterial["publicKey"]).toEqual({ hint: createHash("sha256").update(der).digest("base64") });
  expect(publicKeyHint(signer.publicKeyPem)).toBe(createHash("sha256").update(der).digest("base64"));
  expect(json.dsseEnvelope.payloadType).toBe("application/vnd.in-toto+json");
  expect(json.dsseEnvelope.signatures).toEqual([{ sig: expect.any(String) }]);
});

describe("a signature that does not hold", () => {
  test("with another key, whatever the hint says", async () => {
    const other = await newSigner();
    expect(await verifyBundle(openBundle(bytes), keyOf(other))).toBe(false);
    const hinted = changed((json) =>
      Object.assign(json.verificationMaterial, { publicKey: { hint: publicKeyHint(other.publicKeyPem) } }),
    );
    expect(await verifyBundle(openBundle(hinted), keyOf(other))).toBe(false);
    expect(await verifyBundle(openBundle(hinted), keyOf(signer))).toBe(true);
    const [mine, theirs] = [{ key: keyOf(signer) }, { key: keyOf(other) }];
    expect(await listHolding(openBundle(hinted), [theirs, mine])).toEqual([mine]);
    expect(await listHolding(openBundle(hinted), [theirs])).toEqual([]);
  });

  test.each<[string, (json: BundleJson) => void]>([
    [
      "over another payload",
      (json) =>
        Object.assign(json.dsseEnvelope, {
          payload: base64(encodeStatement({ ...statement, predicate: { found: "all" } })),
        }),
    ],
    [
      "over the payload with one more space",
      (json) => Object.assign(json.dsseEnvelope, { payload: base64(`${JSON.stringify(statement)} `) }),
    ],
    [
      "cut off",
      (json) =>
        Object.assign(json.dsseEnvelope, {
          signatures: [{ sig: json.dsseEnvelope.signatures[0]?.sig.slice(0, 40) ?? "" }],
        }),
    ],
    [
      "of zeros",
      (json) =>
        Object.assign(json.dsseEnvelope, { signatures: [{ sig: base64(Buffer.from("3006020100020100", "hex")) }] }),
    ],
  ])("%s", async (_name, change) => expect(await verifyBundle(openBundle(changed(change)), keyOf(signer))).toBe(false));

  test("made over the bare payload, without the envelope's encoding", async () => {
    const sig = base64(await signer.sign(encodeStatement(statement)));
    expect(
      await verifyBundle(
        openBundle(changed((json) => Object.assign(json.dsseEnvelope, { signatures: [{ sig }] }))),
        keyOf(signer),
      ),
    ).toBe(false);
  });
});

describe("a bundle that is not acceptable", () => {
  const certificate = { rawBytes: base64("a certificate") };
  test.each<[string, () => Uint8Array, string]>([
    ["nothing", () => new Uint8Array(), "not JSON"],
    ["a list", () => encode([]), "malformed"],
    ["null", () => encode(null), "malformed"],
    ["half of one", () => bytes.subarray(0, bytes.length / 2), "not JSON"],
    [
      "of another version",
      () =>
        changed((json) => Object.assign(json, { mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2" })),
      "media type",
    ],
    ["of no version", () => changed((json) => Object.assign(json, { mediaType: undefined })), "malformed"],
    [
      "without verification material",
      () => changed((json) => Object.assign(json, { verificationMaterial: undefined })),
      "malformed",
    ],
    [
      "with a certificate",
      () => changed((json) => Object.assign(json, { verificationMaterial: { certificate, tlogEntries: [] } })),
      "signed with a certificate",
    ],
    [
      "with a chain of certificates",
      () =>
        changed((json) =>
          Object.assign(json, {
            verificationMaterial: { x509CertificateChain: { certificates: [certificate] }, tlogEntries: [] },
          }),
        ),
      "malformed",
    ],
    [
      "with a certificate beside the key",
      () => changed((json) => Object.assign(json.verificationMaterial, { certificate })),
      "beside its key",
    ],
    [
      "with an empty chain beside the key",
      () => changed((json) => Object.assign(json.verificationMaterial, { x509CertificateChain: { certificates: [] } })),
      "beside its key",
    ],
    [
      "with another payload type",
      () => changed((json) => Object.assign(json.dsseEnvelope, { payloadType: "application/json" })),
      "payload type is application/json",
    ],
    [
      "with a payload type in another case",
      () => changed((json) => Object.assign(json.dsseEnvelope, { payloadType: "application/vnd.In-Toto+json" })),
      "payload type",
    ],
    ["without a signature", () => changed((json) => Object.assign(json.dsseEnvelope, { signatures: [] })), "malformed"],
    [
      "with two signatures",
      () => changed((json) => json.dsseEnvelope.signatures.push({ sig: base64("another") })),
      "malformed",
    ],
    ["without a payload", () => changed((json) => Object.assign(json.dsseEnvelope, { payload: "" })), "malformed"],
    [
      "with a signature over bytes",
      () =>
        changed((json) =>
          Object.assign(json, {
            dsseEnvelope: undefined,
            messageSignature: { messageDigest: { algorithm: "SHA2_256", digest: base64("d") }, signature: base64("s") },
          }),
        ),
      "not a statement",
    ],
    [
      "with two envelopes",
      () =>
        new TextEncoder().encode(
          new TextDecoder().decode(bytes).replace('"dsseEnvelope":', '"dsseEnvelope":{},"dsseEnvelope":'),
        ),
      "twice",
    ],
  ])("%s", (_name, make, why) => {
    const open = () => openBundle(make());
    expect(open).toThrow(UserError);
    expect(open).toThrow(why);
  });

  test("log entries and timestamps play no part, good or bad", async () => {
    const entry = {
      logIndex: "1",
      logId: { keyId: base64("log") },
      kindVersion: { kind: "dsse", version: "0.0.1" },
      integratedTime: "1",
      inclusionProof: { logIndex: "1", rootHash: "", treeSize: "1", hashes: [], checkpoint: { envelope: "x" } },
      canonicalizedBody: base64("{}"),
    };
    const logged = changed((json) =>
      Object.assign(json.verificationMaterial, {
        tlogEntries: [entry],
        timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: base64("none") }] },
      }),
    );
    expect(await verifyBundle(openBundle(logged), keyOf(signer))).toBe(true);
  });
});
