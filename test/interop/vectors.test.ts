import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { openCertified, verifyCertified } from "@goldenpath/core/signing/certified-bundle";
import { readTrust } from "@goldenpath/core/signing/sigstore-instance";
import { parseStatement } from "@goldenpath/core/signing/statement";
import { dsse } from "@sigstore/core";
import { describe, expect, test } from "vitest";

// What the field publishes to try verifiers with: vectors/README.md says whose it is.

interface Vector {
  bundle: string;
  trustedRoot?: string;
}
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, "vectors/sigstore-conformance.json"), "utf8"),
) as Readonly<Record<string, Vector>>;

/** The public instance's, as the field's own TUF client ships it. */
function readPublicRoot(): string {
  const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("@sigstore/tuf/seeds.json"), "utf8"));
  const target = seeds["https://tuf-repo-cdn.sigstore.dev"].targets["trusted_root.json"] as string;
  return Buffer.from(target, "base64").toString("utf8");
}
const publicRoot = readPublicRoot();

/**
 * A bundle of an older version as one of today's, which alone is evidence: the certificate without its chain, and else
 * the same. So that what is refused is not refused for its version.
 */
function renew(text: string): string {
  const bundle = JSON.parse(text);
  if (!bundle.mediaType.endsWith("version=0.2")) return text;
  const { x509CertificateChain: chain, ...material } = bundle.verificationMaterial;
  return JSON.stringify({
    ...bundle,
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { ...material, certificate: chain.certificates[0] },
  });
}

/** As the gate asks it: what a statement's signature proves, or why it proves nothing. */
function judge({ bundle, trustedRoot }: Vector, proof: "log" | "timestamp"): { time: Date } | { reason: string } {
  try {
    const { bundle: opened } = openCertified(Buffer.from(renew(bundle)));
    return verifyCertified(opened, readTrust({ trustedRoot: trustedRoot ?? publicRoot }), { proof });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "bundle-invalid") throw error;
    return { reason: (error as Error).message };
  }
}

const isRefused = (name: string): boolean => name.endsWith("_fail");
const names = Object.keys(vectors);

/** Why, by a part of a vector's name: for what is false in it, and for nothing else. */
const reasons: readonly (readonly [string, RegExp])[] = [
  ["expired-certificate", /certificate is not valid or expired/],
  ["outside-", /certificate is not valid or expired/],
  ["missing-inclusion-proof", /malformed/],
  ["rekor2-", /signature mismatch/],
  ["mismatch", /tlog entry signature mismatch/],
  ["invalid-sig", /tlog entry signature mismatch/],
];

describe("Sigstore's conformance suite", () => {
  test.each(names.filter(isRefused))("refuses %s", (name) => {
    const judged = judge(vectors[name] as Vector, "log");
    const [, why] = reasons.find(([part]) => name.includes(part)) ?? [];
    expect(judged).toEqual({ reason: expect.stringMatching(why ?? /^$/) });
  });

  test.each(names.filter((name) => !isRefused(name)))("takes %s", (name) => {
    expect(judge(vectors[name] as Vector, "log")).toEqual({ time: expect.any(Date) });
  });

  test("nothing that holds by one root holds by another", () => {
    const own = vectors["intoto-with-custom-trust-root"] as Vector;
    const other = vectors["happy-path-intoto-in-dsse-v3"] as Vector;
    expect(judge({ bundle: own.bundle }, "log")).toHaveProperty("reason");
    expect(judge({ bundle: other.bundle, trustedRoot: own.trustedRoot as string }, "log")).toHaveProperty("reason");
  });
});

describe("the statements of in-toto's own tests", () => {
  const statements = JSON.parse(
    readFileSync(join(import.meta.dirname, "vectors/in-toto-statements.json"), "utf8"),
  ) as Readonly<Record<"takes" | "refuses", Readonly<Record<string, string>>>>;

  test.each(Object.entries(statements.refuses))("refused: %s", (_name, text) => {
    expect(() => parseStatement(Buffer.from(text))).toThrow(/the payload is not an in-toto statement/);
  });

  test.each(Object.entries(statements.takes))("taken: %s", (_name, text) => {
    expect(parseStatement(Buffer.from(text))).toEqual(JSON.parse(text));
  });
});

test("DSSE's own vector: what is signed is the pre-authentication encoding", () => {
  const type = "http://example.com/HelloWorld";
  const envelope = {
    payload: "aGVsbG8gd29ybGQ=",
    signature: "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==",
  };
  const toUrl = (decimal: string): string =>
    Buffer.from(BigInt(decimal).toString(16).padStart(64, "0"), "hex").toString("base64url");
  const key = createPublicKey({
    format: "jwk",
    key: {
      kty: "EC",
      crv: "P-256",
      x: toUrl("46950820868899156662930047687818585632848591499744589407958293238635476079160"),
      y: toUrl("5640078356564379163099075877009565129882514886557779369047442380624545832820"),
    },
  });
  const payload = Buffer.from(envelope.payload, "base64");
  const encoded = dsse.preAuthEncoding(type, payload);
  expect(encoded.toString("utf8")).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  const signature = Buffer.from(envelope.signature, "base64");
  const holds = (bytes: Uint8Array): boolean => verify("sha256", bytes, { key, dsaEncoding: "ieee-p1363" }, signature);
  expect(holds(payload)).toBe(false);
  expect(holds(dsse.preAuthEncoding(`${type}!`, payload))).toBe(false);
  expect(holds(encoded)).toBe(true);
});
