import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readCertificate } from "@goldenpath/core/signing/notary/certificates";
import { assertSignature, openEnvelope } from "@goldenpath/core/signing/notary/envelope";
import { verifyTimestamp } from "@goldenpath/core/signing/notary/timestamp-token";
import { openSigned } from "@goldenpath/core/signing/notary/verify-envelope";
import { describe, expect, test } from "vitest";

// Envelopes of the Notary Project's own libraries: vectors/README.md says whose they are. Most are made to try what
// goldenpath has no use for (plug-ins, signing authorities, certificates that certify themselves): those are refused for
// exactly that, and what remains is read to the same end as there.

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, "vectors/notation.json"), "utf8")) as {
  envelopes: Readonly<Record<string, string>>;
  timestampRoot: string;
  conformance: object;
};
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
const envelopes = new Map(
  Object.entries(vectors.envelopes).map(([path, text]) => [nameOf(path), Buffer.from(text, "base64")]),
);
const bytesOf = (name: string): Buffer => envelopes.get(name) ?? expect.unreachable(name);

/** By name: why it is none that is read. */
const refused: readonly (readonly [string, RegExp])[] = [
  ["ca_compatible_pluginver_sig_env_1.0.0.json", /Unrecognized keys: "io\.cncf\.notary\.verificationPlugin"/],
  // Of a version before the specification's first: the header's names were others.
  ["ca_valid_sig_env.json", /Unrecognized key: "io\.cncf\.notary\.SigningAgent"/],
  ["ca_expired_sig_env.json", /Unrecognized key: "io\.cncf\.notary\.SigningAgent"/],
  ["ca_plugin_sig_env.json", /Unrecognized key: "io\.cncf\.notary\.SigningAgent"/],
  ["ca_invalid_sig_env.json", /expected base64url without padding at payload/],
  ["sa_valid_sig_env.json", /malformed/],
  ["sa_expired_sig_env.json", /malformed/],
  ["sa_plugin_sig_env.json", /malformed/],
  ["sa_invalid_sig_env.json", /expected base64url without padding at payload/],
  ["cose_signature.sig", /it is not JSON/],
  ["coseWithTimestamp.sig", /it is not JSON/],
  ["coseExpiredWithTimestamp.sig", /it is not JSON/],
  ["timestampAfterNotAfter.sig", /it is not JSON/],
];
const read = [
  "sig_env_with_metadata.json",
  "jws_signature.sig",
  "jwsWithTimestamp.sig",
  "jwsExpiredWithTimestamp.sig",
  "timestampBeforeNotBefore.sig",
  "withoutTimestamp.sig",
];

test("each envelope is expected to be something", () => {
  expect([...envelopes.keys()].toSorted()).toEqual([...refused.map(([name]) => name), ...read].toSorted());
});

test.each(refused)("%s is refused", (name, why) => {
  expect(() => openEnvelope(bytesOf(name))).toThrow(why);
});

test("the conformance suite's message has what is critical and nobody knows, and is refused", () => {
  const { payload, header, ...more } = vectors.conformance as { payload: string; header: object };
  const [certificate] = openEnvelope(bytesOf("withoutTimestamp.sig")).certificates;
  const whole = { payload, ...more, header: { ...header, x5c: [certificate?.toString("base64")] } };
  expect(() => openEnvelope(Buffer.from(JSON.stringify(whole)))).toThrow(/Unrecognized keys: .*"signedCritKey1"/);
});

describe.each(read)("%s", (name) => {
  const keyOf = (certificate: Buffer | undefined) => new X509Certificate(certificate ?? Buffer.of()).publicKey;
  const opened = openEnvelope(bytesOf(name));

  test("does not hold once a letter of it is changed, and does as it is", () => {
    const json = JSON.parse(bytesOf(name).toString());
    const payload = Buffer.from(json.payload, "base64url").toString().replace('"size":', '"size":1');
    const changed = openEnvelope(
      Buffer.from(JSON.stringify({ ...json, payload: Buffer.from(payload).toString("base64url") })),
    );
    const key = keyOf(opened.certificates[0]);
    expect(() => assertSignature(changed, key)).toThrow(/signature does not hold/);
    expect(() => assertSignature(opened, key)).not.toThrow();
  });

  test("is nobody's evidence: its certificate certifies itself", () => {
    expect(() => openSigned(bytesOf(name))).toThrow(
      "it has 1 certificates; the signer's and its authorities' are wanted",
    );
  });
});

describe("timestamps in them", () => {
  const roots = [readCertificate(Buffer.from(vectors.timestampRoot, "base64"))];
  const others = [readCertificate(openEnvelope(bytesOf("jws_signature.sig")).certificates[0] ?? Buffer.of())];
  const other = openEnvelope(bytesOf("withoutTimestamp.sig")).signature;

  test.each([
    ["jwsWithTimestamp.sig", "2024-06-18"],
    ["jwsExpiredWithTimestamp.sig", "2024-06-18"],
    ["timestampBeforeNotBefore.sig", "2024-06-19"],
  ])("that of %s holds by its authority's root, and not by another's or for another signature", (name, day) => {
    const { timestamp = Buffer.of(), signature } = openEnvelope(bytesOf(name));
    expect(() => verifyTimestamp(timestamp, signature, others)).toThrow();
    expect(() => verifyTimestamp(timestamp, other, roots)).toThrow("it is of something else than this signature");
    expect(verifyTimestamp(timestamp, signature, roots).toISOString().slice(0, 10)).toBe(day);
  });
});
