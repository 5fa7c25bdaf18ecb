import { scrypt } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import nacl from "tweetnacl";
import { z } from "zod";

/** Poly1305 does not hold: another passphrase, or other bytes. */
export class WrongPassphrase extends Error {}

const base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, "base64")));

/**
 * The JSON inside cosign's key files, as go-securesystemslib's `encrypted` package writes it: scrypt, then a NaCl
 * secret box.
 */
const encryptedKeySchema = z.object({
  kdf: z.object({
    name: z.literal("scrypt"),
    params: z.object({ N: z.number().int().min(2), r: z.number().int().min(1), p: z.number().int().min(1).max(16) }),
    salt: base64,
  }),
  cipher: z.object({
    name: z.literal("nacl/secretbox"),
    nonce: base64.refine((nonce) => nonce.length === nacl.secretbox.nonceLength),
  }),
  ciphertext: base64,
});

/** cosign writes N = 2^16 and r = 8: 64 MiB. A file that asks for much more would only stop the machine. */
const maxScryptBytes = 512 * 1024 * 1024;

/**
 * The body of a cosign key file (base64 of JSON) → the private key, PKCS#8 DER.
 * @throws UserError `key-invalid`; WrongPassphrase
 */
export async function decryptCosignKey(body: string, passphrase: string): Promise<Buffer> {
  const { kdf, cipher, ciphertext } = parseEncryptedKey(body);
  const { N, r, p } = kdf.params;
  const bytes = 128 * N * r;
  if (bytes > maxScryptBytes || (N & (N - 1)) !== 0) {
    throw new UserError(
      `the key file asks for scrypt with N=${N} and r=${r}; N is a power of two, and both together at most 512 MiB of memory`,
      {
        code: "key-invalid",
      },
    );
  }
  const derived = await new Promise<Buffer>((resolve, reject) => {
    const done = (error: Error | null, key: Buffer): void => (error === null ? resolve(key) : reject(error));
    scrypt(passphrase, kdf.salt, nacl.secretbox.keyLength, { N, r, p, maxmem: 2 * bytes + 1024 * 1024 }, done);
  });
  const plain = nacl.secretbox.open(ciphertext, cipher.nonce, new Uint8Array(derived));
  if (plain === null) throw new WrongPassphrase();
  return Buffer.from(plain);
}

function parseEncryptedKey(body: string): z.infer<typeof encryptedKeySchema> {
  const invalid = (): UserError =>
    new UserError(
      "the key file says it is cosign's, and its content is not: scrypt and nacl/secretbox parameters are wanted",
      {
        code: "key-invalid",
        wayOut: "Copy the file again as `cosign generate-key-pair` wrote it.",
      },
    );
  let json: unknown;
  try {
    json = parseJson(Buffer.from(body, "base64").toString("utf8"));
  } catch {
    throw invalid();
  }
  const parsed = encryptedKeySchema.safeParse(json);
  if (!parsed.success) throw invalid();
  return parsed.data;
}
