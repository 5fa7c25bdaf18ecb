import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { open } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { decryptCosignKey, WrongPassphrase } from "./cosign-key.ts";
import { assertSupportedKey, makeKey, wantedKey } from "./public-keys.ts";
import { createKeySigner, type KeySigner } from "./schemes/key/sign.ts";

export interface KeyInput {
  /** A path, `env://NAME`, or the PEM text itself. */
  key: string;
  /** For an encrypted key; without it `COSIGN_PASSWORD` is used, as cosign does. */
  passphrase?: string | undefined;
}

/** A key file holds one key of some hundred bytes: whatever is larger is something else. */
const maxKeyBytes = 64 * 1024;

/**
 * The private key of a stage → a signer. Takes PKCS#8 (plain or encrypted), SEC1, and cosign's own encrypted files, all
 * in PEM and of ECDSA P-256. The key and the passphrase are masked before anything is done with them, and are in no
 * error message; nor is a crypto library's error, as a cause.
 * @throws UserError `key-missing`, `key-unreadable`, `key-invalid`, `key-unsupported`, `key-passphrase` (needed and not
 *   given, or wrong)
 */
export async function loadSigner(
  input: KeyInput,
  context: Pick<Context, "env" | "ports" | "workingDirectory">,
): Promise<KeySigner> {
  const { text, passphrase } = await loadKeyText(input, context);
  const key = await decodePrivateKey(text, passphrase);
  assertSupportedKey(key, "the private key");
  return createKeySigner(key);
}

/**
 * What is given as a key, in PEM, and what it is encrypted with; both are masked from here on.
 * @throws UserError `key-missing`, `key-unreadable`, `key-invalid`
 */
export async function loadKeyText(
  input: KeyInput,
  context: Pick<Context, "env" | "ports" | "workingDirectory">,
): Promise<{ text: string; passphrase: string | undefined }> {
  if (input.passphrase !== undefined && input.passphrase !== "") context.ports.mask(input.passphrase);
  const text = await readKeyText(input.key, context);
  maskKey(text, context);
  const passphrase = input.passphrase ?? context.env["COSIGN_PASSWORD"];
  if (passphrase !== undefined && passphrase !== "") context.ports.mask(passphrase);
  return { text, passphrase };
}

/** A new ECDSA P-256 key pair: PKCS#8 and SPKI, in PEM. */
export function generateKeyPair(): { privateKeyPem: string; publicKeyPem: string } {
  const pair = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return { privateKeyPem: pair.privateKey, publicKeyPem: pair.publicKey };
}

async function readKeyText(key: string, context: Pick<Context, "env" | "ports" | "workingDirectory">): Promise<string> {
  const given = key.trim();
  if (given === "")
    throw new UserError("input 'key' is required and was not given", { code: "key-missing", wayOut: makeKey });
  if (given.includes("-----BEGIN")) return given;
  const name = /^env:\/\/(.*)$/s.exec(given)?.[1];
  if (name !== undefined) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new UserError("input 'key' starts with env:// and no name of a variable follows", { code: "key-missing" });
    }
    const value = context.env[name]?.trim() ?? "";
    if (value === "") {
      throw new UserError(`input 'key' is 'env://${name}', and the variable ${name} is not set`, {
        code: "key-missing",
        wayOut: `Give the step the key in its environment, from a secret: ${name}: \${{ secrets.… }}.`,
      });
    }
    return value;
  }
  if (/[\r\n]/.test(given) || given.length > 4096) throw notAKey("input 'key'");
  return readKeyFile(given, context);
}

async function readKeyFile(path: string, context: Pick<Context, "ports" | "workingDirectory">): Promise<string> {
  // Somebody who pastes the base64 of a key without its armour gives what reads as a path: that must not be printed.
  const shown = path.includes(".") || path.length < 40 ? `'${path}'` : "(not shown: it may be the key itself)";
  const unreadable = (why: string): UserError =>
    new UserError(`key file ${shown} cannot be read: ${why}`, {
      code: "key-unreadable",
      wayOut: "Give input 'key' a path, env://NAME, or the PEM text of the private key.",
    });
  const file = await open(isAbsolute(path) ? path : resolve(context.workingDirectory, path)).catch(
    (error: NodeJS.ErrnoException) => {
      throw unreadable(error.code === "ENOENT" ? "it does not exist" : (error.code ?? "unknown error"));
    },
  );
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw unreadable("it is not a file");
    if (stat.size > maxKeyBytes) throw unreadable(`${stat.size} bytes are more than a key has`);
    if (process.platform !== "win32" && (stat.mode & 0o004) !== 0) {
      context.ports.log.warning(
        `key file ${shown} can be read by every user of this machine; make it private: chmod 600`,
      );
    }
    return (await file.readFile("utf8")).trim();
  } finally {
    await file.close();
  }
}

/** The PEM text as a whole, and every line that carries key material: a log prints lines, and a runner masks lines. */
function maskKey(text: string, context: Pick<Context, "ports">): void {
  context.ports.mask(text);
  for (const line of text.split(/\r?\n/).map((each) => each.trim())) {
    if (line.length >= 8 && !line.startsWith("-----")) context.ports.mask(line);
  }
}

interface PemBlock {
  label: string;
  /** The block with its armour. */
  text: string;
  /** Between the armour, without white space: base64 where the block has no headers. */
  body: string;
}

function readPemBlocks(text: string): PemBlock[] {
  const pattern = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;
  return [...text.replaceAll("\r\n", "\n").matchAll(pattern)].map((match) => ({
    label: match[1] ?? "",
    text: `${match[0]}\n`,
    body: (match[2] ?? "").replace(/\s+/g, ""),
  }));
}

/**
 * One private key in PEM, of whatever kind.
 * @throws UserError `key-invalid`, `key-unsupported`, `key-passphrase`
 */
export async function decodePrivateKey(text: string, passphrase: string | undefined): Promise<KeyObject> {
  // `openssl ecparam -genkey` puts the curve before the key.
  const blocks = readPemBlocks(text).filter((block) => block.label !== "EC PARAMETERS");
  const [block, ...more] = blocks;
  if (block === undefined) throw notAKey("the key");
  if (more.length > 0) {
    throw new UserError(
      `the key has ${blocks.length} PEM blocks (${blocks.map((each) => each.label).join(", ")}); one private key is wanted`,
      {
        code: "key-invalid",
      },
    );
  }
  switch (block.label) {
    case "PRIVATE KEY":
      return createKey({ key: block.text, format: "pem", type: "pkcs8" }, block.label);
    case "EC PRIVATE KEY":
      if (block.body.startsWith("Proc-Type:"))
        throw unsupported("a SEC1 key in OpenSSL's old encryption", "Convert it: `openssl pkcs8 -topk8`.");
      return createKey({ key: block.text, format: "pem", type: "sec1" }, block.label);
    case "ENCRYPTED PRIVATE KEY":
      if (passphrase === undefined) throw passphraseMissing();
      try {
        return createPrivateKey({ key: block.text, format: "pem", type: "pkcs8", passphrase });
      } catch {
        throw passphraseWrong();
      }
    case "ENCRYPTED SIGSTORE PRIVATE KEY":
    case "ENCRYPTED COSIGN PRIVATE KEY": {
      if (passphrase === undefined) throw passphraseMissing();
      try {
        return createKey(
          { key: await decryptCosignKey(block.body, passphrase), format: "der", type: "pkcs8" },
          block.label,
        );
      } catch (error) {
        throw error instanceof WrongPassphrase ? passphraseWrong() : error;
      }
    }
    case "PUBLIC KEY":
    case "CERTIFICATE":
      throw unsupported(`a ${block.label.toLowerCase()}`, "Give the private key that belongs to it.");
    default:
      throw unsupported(`PEM of type '${block.label}'`, makeKey);
  }
}

function createKey(input: Parameters<typeof createPrivateKey>[0], label: string): KeyObject {
  try {
    return createPrivateKey(input);
  } catch {
    throw new UserError(`the key is PEM of type '${label}', and what is in it is not a private key (was it cut off?)`, {
      code: "key-invalid",
    });
  }
}

function unsupported(found: string, wayOut: string): UserError {
  return new UserError(`the key is ${found}; ${wantedKey}`, { code: "key-unsupported", wayOut });
}

function notAKey(what: string): UserError {
  return new UserError(`${what} is neither a path, nor env://NAME, nor a private key in PEM (-----BEGIN …)`, {
    code: "key-invalid",
    wayOut: makeKey,
  });
}

function passphraseMissing(): UserError {
  return new UserError("the key is encrypted, and no passphrase was given", {
    code: "key-passphrase",
    wayOut: "Give input 'key-passphrase', or set COSIGN_PASSWORD.",
  });
}

function passphraseWrong(): UserError {
  return new UserError("the key cannot be decrypted: the passphrase is wrong, or the file is damaged", {
    code: "key-passphrase",
    wayOut: "Give input 'key-passphrase' (or COSIGN_PASSWORD) the passphrase that the key was made with.",
  });
}
