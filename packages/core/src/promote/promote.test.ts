import { createPublicKey } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { sampleLoadedPolicy } from "@goldenpath/testing/policy";
import { expect, test } from "vitest";
import { generateKeyPair } from "../signing/keys.ts";
import type { Signer } from "../signing/types.ts";
import { assertPromoter } from "./promote.ts";

const signerOf = (publicKeyPem: string): Signer => ({
  kind: "key",
  material: { kind: "key", key: createPublicKey(publicKeyPem) },
  seal: () => expect.unreachable(),
});
const own = generateKeyPair().publicKeyPem;
const other = generateKeyPair().publicKeyPem;
const policy = sampleLoadedPolicy({ signers: { build: { publicKey: other }, promote: { publicKey: own } } });
const environment = policy.policy.environments["production"] ?? expect.unreachable();

test.each<[string, string, string]>([
  ["another signer's key", "promote", other],
  ["a key that the policy does not have", "promote", generateKeyPair().publicKeyPem],
  ["any key, where the promoter is not a signer of the policy", "nobody", own],
])("%s is not the promoter's", (_what, promoter, key) => {
  const check = (): void => assertPromoter(signerOf(key), { ...environment, promoter }, policy);
  expect(check).toThrow(UserError);
  expect(check).toThrow(expect.objectContaining({ code: "key-not-promoter" }));
});

test("the promoter's key is, however its lines are broken", () => {
  assertPromoter(signerOf(own), environment, policy);
  assertPromoter(signerOf(`${own.trim()}\n`), environment, policy);
});
