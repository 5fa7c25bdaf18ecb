import { parseText, refusalOf, sampleWith } from "@goldenpath/testing/policy-refusal";
import { describe, expect, test } from "vitest";

const signer = "  build:\n";
const parseWith = (from: string, to: string) => parseText(sampleWith(from, to));

describe("a signer that is refused, with the place and the reason", () => {
  test.each([
    [
      "of a kind that there is not",
      signer,
      `${signer}    kind: keys\n`,
      /^p\.yaml:9:11: signers\.build\.kind: expected .*key.*, found 'keys'; did you mean `key`\?$/m,
    ],
    [
      "of no kind",
      signer,
      `${signer}    kind:\n`,
      /^p\.yaml:9:\d+: signers\.build\.kind: expected .*, found nothing$/m,
    ],
    [
      "that is no map",
      signer,
      `  other: a key\n${signer}`,
      /^p\.yaml:8:10: signers\.other: expected a map, found 'a key'$/m,
    ],
    [
      "with a typo in a key",
      "    publicKey:",
      "    public-key:",
      /^p\.yaml:9:5: signers\.build\.public-key: unknown key; did you mean `publicKey`\?$/m,
    ],
    [
      "with a key that none of its kind has",
      signer,
      `${signer}    issuer: https://a.example\n`,
      /^p\.yaml:9:5: signers\.build\.issuer: unknown key \(known here: kind, publicKey, from, until\)$/m,
    ],
  ])("%s", (_what, from, to, message) => {
    expect(refusalOf(sampleWith(from, to)).message).toMatch(message);
  });
});

test("a signer says its kind, or leaves it out as policies before there were kinds do", () => {
  const { build: given } = parseWith(signer, signer).signers;
  expect(given).not.toHaveProperty("kind");
  expect(parseWith(signer, `${signer}    kind: key\n`).signers["build"]).toEqual({ ...given, kind: "key" });
});
