import { describe, expect, test } from "vitest";
import { honestSubject, purposes, type SignatureFalsehood, usages } from "../support/constructed-notary.ts";
import { encodeDer } from "../support/constructed-sigstore.ts";
import { expectRefused, passed } from "../support/gate-answers.ts";
import { judge, useNotationWorld } from "../support/notation-world.ts";

// Notary Project signatures that are not the policy's signer's: each is refused by the gate, beside its twin that
// differs in nothing else and passes.

useNotationWorld();

/** What is refused, what the gate says of it, and what passes. */
type Pair = [what: string, falsehood: SignatureFalsehood, says: RegExp, twin: SignatureFalsehood];
const honest: SignatureFalsehood = {};

describe("whose signature it is", () => {
  test.each<Pair>([
    [
      "another name",
      { chain: { subject: `${honestSubject}s` } },
      /gate\.signer.*CN=bases, whom the policy does not/,
      honest,
    ],
    [
      "a name with more to it",
      { chain: { subject: `${honestSubject}, OU=other` } },
      /gate\.signer.*OU=other/,
      { chain: { subject: "CN=base, O=acme, ST=Berlin, C=DE" } },
    ],
    ["a name with less", { chain: { subject: "C=DE, ST=Berlin, O=acme" } }, /gate\.signer/, honest],
    ["a look-alike", { chain: { subject: honestSubject.replace("acme", "аcme") } }, /gate\.signer/, honest],
    ["a name twice", { chain: { subject: `${honestSubject}, CN=other` } }, /CN twice/, honest],
    [
      "the same name of another authority of the same name",
      { chain: { by: "another authority" } },
      /gate\.signer.*of no authority of the policy's/,
      honest,
    ],
    ["a certificate of its own", { chain: { by: "itself" } }, /it has 1 certificates/, { chain: { by: "the root" } }],
    [
      "another authority's certificate with the policy's root behind it",
      {
        chain: { by: "another authority" },
        order: (chain, root) => [...chain.slice(0, 2), root],
      },
      /not issued by the next/,
      honest,
    ],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});

describe("a certificate that is for something else", () => {
  const codeAnd = (purpose: string): SignatureFalsehood => ({ chain: { purposes: [purposes.codeSigning, purpose] } });
  const ownPurpose: SignatureFalsehood = { chain: { purposes: [purposes.codeSigning, "1.3.6.1.4.1.99999.1"] } };
  test.each<Pair>([
    ["servers", { chain: { purposes: [purposes.serverAuth] } }, /is for 1\.3\.6\.1\.5\.5\.7\.3\.1/, honest],
    ["servers as well", codeAnd(purposes.serverAuth), /is for/, ownPurpose],
    ["clients as well", codeAnd(purposes.clientAuth), /is for/, ownPurpose],
    ["mail as well", codeAnd(purposes.emailProtection), /is for/, ownPurpose],
    ["timestamps as well", codeAnd(purposes.timeStamping), /is for/, ownPurpose],
    ["anything", codeAnd("2.5.29.37.0"), /is for/, ownPurpose],
    [
      "something of its own alone",
      { chain: { purposes: ["1.3.6.1.4.1.99999.1"] } },
      /is for/,
      { chain: { purposes: [] } },
    ],
    [
      "keys as well",
      { chain: { usages: usages.digitalSignature | usages.keyEncipherment } },
      /for signatures alone/,
      { chain: { usages: usages.digitalSignature | usages.nonRepudiation } },
    ],
    [
      "certificates as well",
      { chain: { usages: usages.digitalSignature | usages.keyCertSign } },
      /signatures alone/,
      honest,
    ],
    ["nothing that it says critically", { chain: { isUsageCritical: false } }, /signatures alone/, honest],
    ["an authority", { chain: { isAuthority: true } }, /is an authority's/, honest],
    [
      "a short key",
      { chain: { keys: "RSA of 1024 bits" } },
      /signs with none/,
      { chain: { keys: "RSA of 2048 bits" } },
    ],
    ["an old hash", { chain: { hash: "SHA-1" } }, /is not SHA-2/, honest],
    [
      "something critical that nobody knows",
      { chain: { extensions: [["1.3.6.1.4.1.99999.2", encodeDer(0x0c, Buffer.from("x")), true]] } },
      /critical extension 1\.3\.6\.1\.4\.1\.99999\.2/,
      { chain: { extensions: [["1.3.6.1.4.1.99999.2", encodeDer(0x0c, Buffer.from("x")), false]] } },
    ],
    [
      "names that are constrained",
      { chain: { extensions: [["2.5.29.30", Buffer.from("3000", "hex"), false]] } },
      /constrains names/,
      honest,
    ],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});

/** A certificate in base64, from the thirteenth month on. */
function moveMonth(certificate: string): string {
  const bytes = Buffer.from(certificate, "base64");
  // Of the first time in UTC, whose tag and length these are, what follows the year.
  return bytes.fill("13", bytes.indexOf("170d", "hex") + 4, bytes.indexOf("170d", "hex") + 6).toString("base64");
}

describe("a certificate that a stranger has made malformed: it is one more that counts for nothing, and no error", () => {
  const strange = { by: "another authority" } as const;
  const names = (purpose: Buffer): SignatureFalsehood["chain"] => ({
    purposes: [],
    extensions: [["2.5.29.37", encodeDer(0x30, purpose), false]],
  });
  const codeSigning = Buffer.from("06082b06010505070303", "hex");
  test.each<Pair>([
    [
      "a purpose that is none",
      { chain: { ...strange, ...names(encodeDer(0x0c, Buffer.from("code"))) } },
      /its certificates are malformed/,
      { chain: { ...names(codeSigning) } },
    ],
    [
      "a time that is none",
      {
        order: ([leaf = "", ...rest]) => [moveMonth(leaf), ...rest],
      },
      /when it holds can't be read/,
      honest,
    ],
    ["a key that is none", { chain: { ...strange, keys: "off its curve" } }, /its certificates are malformed/, honest],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});

describe("a chain that leads nowhere", () => {
  test.each<Pair>([
    ["below no authority", { chain: { between: "no authority" } }, /is no authority's/, honest],
    [
      "below a key that is not for certificates",
      { chain: { between: "not for certificates" } },
      /is no authority's/,
      honest,
    ],
    ["below an authority for servers", { chain: { between: "for servers" } }, /certificate 2 of it is for/, honest],
    ["below one that may have none below it", { chain: { between: "too far below" } }, /allows 0 authorities/, honest],
    [
      "below one that was over",
      { chain: { between: "over" } },
      /gate\.signer.*did not hold when it was signed/,
      honest,
    ],
    ["in another order", { order: ([a = "", b = "", c = ""]) => [a, c, b] }, /is its own issuer|not issued by/, honest],
    ["turned round", { order: (chain) => chain.toReversed() }, /is an authority's/, honest],
    ["without its root", { order: (chain) => chain.slice(0, -1) }, /last certificate is not a root/, honest],
    ["with its root twice", { order: (chain) => [...chain, chain.at(-1) ?? ""] }, /is its own issuer/, honest],
    ["without what is between", { order: ([a = "", , c = ""]) => [a, c] }, /not issued by the next/, honest],
    [
      "of more than anybody has",
      { order: ([leaf = "", ...rest]) => [leaf, ...Array.from({ length: 8 }, () => rest[0] ?? ""), ...rest] },
      /the envelope is malformed:.* at header\.x5c/,
      honest,
    ],
    ["of nothing", { order: () => [] }, /the envelope is malformed/, honest],
    [
      "with bytes behind a certificate",
      {
        order: ([a = "", ...rest]) => [
          Buffer.concat([Buffer.from(a, "base64"), Buffer.from([0])]).toString("base64"),
          ...rest,
        ],
      },
      /malformed/,
      honest,
    ],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});
