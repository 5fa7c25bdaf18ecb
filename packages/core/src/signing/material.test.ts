import { createPublicKey } from "node:crypto";
import { expect, test } from "vitest";
import { generateKeyPair } from "./keys.ts";
import { isSameMaterial, type SignerMaterial } from "./material.ts";

const pem = generateKeyPair().publicKeyPem;
const key: SignerMaterial = { kind: "key", key: createPublicKey(pem) };
const certificate: SignerMaterial = {
  kind: "certificate",
  issuer: "https://issuer.example",
  identity: "https://a.example/b",
};

test.each<[string, SignerMaterial, SignerMaterial]>([
  ["another key", key, { kind: "key", key: createPublicKey(generateKeyPair().publicKeyPem) }],
  ["a key and a certificate", key, certificate],
  ["a certificate and a key", certificate, key],
  ["another issuer", certificate, { ...certificate, issuer: "https://other.example" }],
  ["another identity", certificate, { ...certificate, identity: "https://a.example/c" }],
])("%s is another signer", (_what, a, b) => {
  expect(isSameMaterial(a, b)).toBe(false);
  expect(isSameMaterial(b, a)).toBe(false);
});

test("the same key is, and the same identity, whichever roots are taken", () => {
  expect(isSameMaterial(key, { kind: "key", key: createPublicKey(pem) })).toBe(true);
  expect(isSameMaterial(certificate, { ...certificate, store: { certificates: "a root" } })).toBe(true);
});
