import { createPublicKey, generateKeyPairSync, randomBytes, scryptSync, verify } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import { type Ports, silentPorts } from "@goldenpath/foundation/ports";
import nacl from "tweetnacl";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { generateKeyPair, loadSigner } from "./keys.ts";
import { parsePublicKey } from "./public-keys.ts";

const directory = mkdtempSync(join(tmpdir(), "goldenpath-keys-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const masked = new Set<string>();
const warnings: string[] = [];
beforeEach(() => {
  masked.clear();
  warnings.length = 0;
});
const ports: Ports = {
  ...silentPorts(),
  mask: (secret) => void masked.add(secret),
  log: { ...silentPorts().log, warning: (message) => void warnings.push(message) },
};
const contextWith = (env: Record<string, string> = {}) => ({ ports, env, workingDirectory: directory });

const passphrase = "correct horse battery";
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicPem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
const pkcs8 = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const sec1 = pair.privateKey.export({ type: "sec1", format: "pem" }).toString();
const encrypted = pair.privateKey
  .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase })
  .toString();
const der = pair.privateKey.export({ type: "pkcs8", format: "der" });

/** As cosign writes it, but for cheap scrypt parameters; `change` is what the file then says otherwise. */
function cosignKey(label: string, change: { N?: number; cipher?: string } = {}, content = der): string {
  const [salt, nonce] = [randomBytes(32), randomBytes(24)];
  const derived = scryptSync(passphrase, salt, 32, { N: 1024, r: 8, p: 1 });
  const json = {
    kdf: { name: "scrypt", params: { N: change.N ?? 1024, r: 8, p: 1 }, salt: salt.toString("base64") },
    cipher: { name: change.cipher ?? "nacl/secretbox", nonce: nonce.toString("base64") },
    ciphertext: Buffer.from(nacl.secretbox(content, nonce, derived)).toString("base64"),
  };
  const body = Buffer.from(JSON.stringify(json))
    .toString("base64")
    .replace(/(.{64})/g, "$1\n");
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

async function failureOf(
  key: string,
  given: { passphrase?: string; env?: Record<string, string> } = {},
): Promise<UserError> {
  const error = await loadSigner({ key, passphrase: given.passphrase }, contextWith(given.env)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  const failure = error as UserError;
  // Whatever goes wrong, nothing of what was given is told: no line of a key, no passphrase, and no library's error
  // behind it.
  const told = `${failure.message} ${failure.wayOut ?? ""}`;
  for (const line of key.split("\n").filter((each) => each.length > 40 && !each.startsWith("-----")))
    expect(told).not.toContain(line);
  expect(told).not.toContain(given.passphrase ?? passphrase);
  expect(failure.cause).toBeUndefined();
  return failure;
}

describe("a key that is refused", () => {
  const pem = (type: "rsa" | "ed25519", options = {}): string => {
    const keys =
      type === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048, ...options }) : generateKeyPairSync("ed25519");
    return keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  };
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;

  test.each<[string, () => string, string, string]>([
    ["RSA", () => pem("rsa"), "key-unsupported", "an RSA key of 2048 bits"],
    ["Ed25519", () => pem("ed25519"), "key-unsupported", "a key of type ed25519"],
    [
      "P-384",
      () => p384.export({ type: "pkcs8", format: "pem" }).toString(),
      "key-unsupported",
      "an ECDSA key on secp384r1",
    ],
    ["a public key", () => publicPem, "key-unsupported", "a public key"],
    [
      "PKCS#1",
      () =>
        generateKeyPairSync("rsa", { modulusLength: 2048 })
          .privateKey.export({ type: "pkcs1", format: "pem" })
          .toString(),
      "key-unsupported",
      "'RSA PRIVATE KEY'",
    ],
    [
      "OpenSSH",
      () => "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----",
      "key-unsupported",
      "'OPENSSH PRIVATE KEY'",
    ],
    [
      "SEC1 in OpenSSL's old encryption",
      () => pair.privateKey.export({ type: "sec1", format: "pem", cipher: "aes-128-cbc", passphrase }).toString(),
      "key-unsupported",
      "old encryption",
    ],
    ["a key that was cut off", () => pkcs8.replace(/\n.{20}/, "\n"), "key-invalid", "cut off"],
    ["armour that does not end", () => pkcs8.replace(/-----END.*/s, ""), "key-invalid", "neither a path"],
    ["two keys", () => pkcs8 + sec1, "key-invalid", "2 PEM blocks (PRIVATE KEY, EC PRIVATE KEY)"],
    ["nothing", () => "  ", "key-missing", "was not given"],
    [
      "base64 without armour, in lines",
      () => pkcs8.split("\n").slice(1, -2).join("\n"),
      "key-invalid",
      "neither a path",
    ],
    ["base64 without armour, in one line", () => der.toString("base64"), "key-unreadable", "not shown"],
    [
      "a file that is not there",
      () => "keys/none.pem",
      "key-unreadable",
      "'keys/none.pem' cannot be read: it does not exist",
    ],
    ["a directory", () => ".", "key-unreadable", "not a file"],
    ["a variable that is not set", () => "env://SCAN_KEY", "key-missing", "SCAN_KEY is not set"],
    ["a variable without a name", () => "env://", "key-missing", "no name"],
  ])("%s", async (_name, key, code, told) => {
    const failure = await failureOf(key());
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(told);
  });

  test("an encrypted one without, or with the wrong passphrase", async () => {
    for (const key of [encrypted, cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY")]) {
      expect(await failureOf(key)).toMatchObject({
        code: "key-passphrase",
        message: expect.stringContaining("no passphrase was given"),
      });
      expect(await failureOf(key, { passphrase: "Tr0ub4dor" })).toMatchObject({
        code: "key-passphrase",
        message: expect.stringContaining("wrong"),
      });
      expect(await failureOf(key, { env: { COSIGN_PASSWORD: "Tr0ub4dor" } })).toMatchObject({ code: "key-passphrase" });
    }
  });

  test.each<[string, string]>([
    ["more memory than a key file may ask for", cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY", { N: 2 ** 30 })],
    ["N that is no power of two", cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY", { N: 1000 })],
    ["another cipher", cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY", { cipher: "none" })],
    ["no JSON", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"],
  ])("cosign's file with %s", async (_name, key) =>
    expect((await failureOf(key, { passphrase })).code).toBe("key-invalid"),
  );

  test("cosign's file with an Ed25519 key in it", async () => {
    const content = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "der" });
    const failure = await failureOf(cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY", undefined, content), { passphrase });
    expect(failure).toMatchObject({ code: "key-unsupported", message: expect.stringContaining("ed25519") });
  });

  test("a file larger than keys are", async () => {
    writeFileSync(join(directory, "large.pem"), `${" ".repeat(70_000)}${pkcs8}`, { mode: 0o600 });
    expect(await failureOf("large.pem")).toMatchObject({ code: "key-unreadable" });
  });
});

describe("a key that is taken", () => {
  const data = Buffer.from("what is signed");
  const bag = "Bag Attributes\n    friendlyName: scan\n";
  beforeAll(() => {
    writeFileSync(join(directory, "private.pem"), pkcs8, { mode: 0o600 });
    writeFileSync(join(directory, "shared.pem"), pkcs8);
    chmodSync(join(directory, "shared.pem"), 0o644);
  });

  test.each<[string, string, { passphrase?: string; env?: Record<string, string> }]>([
    ["PKCS#8", pkcs8, {}],
    ["SEC1", sec1, {}],
    ["CRLF and text around it", `${bag}${pkcs8.replaceAll("\n", "\r\n")}\r\n`, {}],
    ["encrypted PKCS#8", encrypted, { passphrase }],
    ["encrypted PKCS#8, by COSIGN_PASSWORD", encrypted, { env: { COSIGN_PASSWORD: passphrase } }],
    ["cosign's", cosignKey("ENCRYPTED SIGSTORE PRIVATE KEY"), { passphrase }],
    [
      "cosign's, by COSIGN_PASSWORD",
      cosignKey("ENCRYPTED COSIGN PRIVATE KEY"),
      { env: { COSIGN_PASSWORD: passphrase } },
    ],
    ["a passphrase before COSIGN_PASSWORD", encrypted, { passphrase, env: { COSIGN_PASSWORD: "another" } }],
    ["a path", "private.pem", {}],
    ["an absolute path", join(directory, "private.pem"), {}],
    ["a variable", "env://SCAN_KEY", { env: { SCAN_KEY: pkcs8 } }],
  ])("%s", async (_name, key, { passphrase: given, env }) => {
    const signer = await loadSigner({ key, passphrase: given }, contextWith(env));
    expect(signer.publicKeyPem).toBe(publicPem);
    expect(verify("sha256", data, createPublicKey(signer.publicKeyPem), await signer.sign(data))).toBe(true);
    expect(warnings).toEqual([]);
  });

  test("with the curve's parameters before it, as openssl ecparam writes it", async () => {
    const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    expect((await loadSigner({ key: parameters + sec1 }, contextWith())).publicKeyPem).toBe(publicPem);
  });

  test("and warned about, when every user can read its file", async () => {
    await loadSigner({ key: "shared.pem" }, contextWith());
    expect(warnings).toEqual([expect.stringContaining("chmod 600")]);
  });

  test("is masked as a whole and by its lines, and so is the passphrase", async () => {
    await loadSigner({ key: encrypted, passphrase }, contextWith());
    for (const line of encrypted.trim().split("\n").slice(1, -1)) expect(masked).toContain(line);
    expect(masked).toContain(passphrase);
    expect([...masked].some((secret) => secret.includes(encrypted.trim()))).toBe(true);
    expect(masked).not.toContain("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    masked.clear();
    await loadSigner({ key: "env://K" }, contextWith({ K: encrypted, COSIGN_PASSWORD: passphrase }));
    expect(masked).toContain(passphrase);
  });
});

describe("key pairs and public keys", () => {
  test("a generated pair signs and verifies", async () => {
    const { privateKeyPem, publicKeyPem } = generateKeyPair();
    expect(privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    const signer = await loadSigner({ key: privateKeyPem }, contextWith());
    expect(signer.publicKeyPem).toBe(publicKeyPem);
    expect(generateKeyPair().publicKeyPem).not.toBe(publicKeyPem);
  });

  test("a policy's key of another kind, or none, is refused by the name of its signer", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .publicKey.export({ type: "spki", format: "pem" })
      .toString();
    expect(() => parsePublicKey(rsa, "the public key of signer 'scan'")).toThrow(
      "the public key of signer 'scan' is an RSA key of 2048 bits",
    );
    expect(() =>
      parsePublicKey("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "the public key"),
    ).toThrow("not a public key");
    expect(() => parsePublicKey(pkcs8, "the public key")).toThrow("not a public key");
  });
});
