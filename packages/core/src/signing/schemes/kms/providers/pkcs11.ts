import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { type ProcessResult, runProcess } from "@goldenpath/foundation/exec/run";
import type { KmsContext, KmsProvider } from "../provider.ts";
import { type Pkcs11Uri, parsePkcs11Uri, pkcs11Example } from "./pkcs11-uri.ts";

/** Of OpenSC: Debian's and Ubuntu's package `opensc`. */
const program = "pkcs11-tool";

/** A module in the cloud may be woken up first. Milliseconds. */
const timeoutMs = 60_000;

/**
 * By which the modules in use find their settings and their own logins: SoftHSM, YubiHSM, Google's and AWS's, Thales',
 * Entrust's, p11-kit's. Nothing else of the job's environment is the module's to see.
 */
const moduleVariables = [
  "SOFTHSM2_CONF",
  "YUBIHSM_PKCS11_CONF",
  "KMS_PKCS11_CONFIG",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "CLOUDHSM_PKCS11_CONFIG",
  "ChrystokiConfigurationPath",
  "NFAST_HOME",
  "P11_KIT_CONFIG_DIR",
] as const;

/** The name of the variable that holds the PIN, in the program's own environment: arguments are seen by everybody. */
const pinVariable = "GOLDENPATH_PKCS11_PIN";

/**
 * Hardware modules and whatever else has a PKCS#11 module, through OpenSC's `pkcs11-tool`: a key by its RFC 7512 URI,
 * with the PIN in `key-passphrase`, or in COSIGN_PKCS11_PIN as with cosign.
 */
export const pkcs11: KmsProvider = {
  uriScheme: "pkcs11",
  example: pkcs11Example,
  async open(text, { pin: given }, context) {
    const uri = parsePkcs11Uri(text, context.env["COSIGN_PKCS11_MODULE_PATH"]);
    const pin = given ?? context.env["COSIGN_PKCS11_PIN"];
    if (pin === undefined || pin === "") {
      throw new UserError("the key of input 'key' is behind a PIN, and none was given", {
        code: "key-passphrase",
        wayOut: "Give input 'key-passphrase' the user PIN of the token, or set COSIGN_PKCS11_PIN.",
      });
    }
    context.ports.mask(pin);
    const file = await findInPath(program, context.env);
    if (file === undefined) {
      throw new InfrastructureError(`${program}, by which a PKCS#11 module is asked, is not in PATH`, {
        code: "tool-missing",
        wayOut: "Install OpenSC on the machine that signs: apt-get install opensc.",
      });
    }
    const token: Token = { file, uri, pin, context };
    const publicKey = await readPublicKey(token);
    return { publicKey, signDigest: (digest) => signDigest(token, digest) };
  },
};

interface Token {
  file: string;
  uri: Pkcs11Uri;
  pin: string;
  context: KmsContext;
}

async function readPublicKey(token: Token): Promise<KeyObject> {
  const { object } = token.uri;
  const label = object === undefined ? [] : ["--label", object];
  const der = await ask(token, ["--read-object", "--type", "pubkey", ...label], "public-key");
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    throw new InfrastructureError(`${describe(token)} has no public key that can be read`, {
      code: "kms-failed",
      safeToRetry: false,
    });
  }
}

/** Any module signs a digest: the ones that hash by themselves differ in how much they take. */
function signDigest(token: Token, digest: Uint8Array): Promise<Uint8Array> {
  return ask(token, ["--sign", "--mechanism", "ECDSA", "--signature-format", "openssl"], "signature", digest);
}

let asked = 0;

/** One run of the program: what it was asked for, as it writes it to a file. */
async function ask(token: Token, args: readonly string[], what: string, input?: Uint8Array): Promise<Uint8Array> {
  const { file, uri, pin, context } = token;
  const directory = context.temporaryDirectory;
  const name = join(directory, `pkcs11-${++asked}`);
  const output = `${name}.${what}`;
  const inputs = input === undefined ? [] : ["--input-file", `${name}.digest`];
  try {
    if (input !== undefined) await writeFile(`${name}.digest`, input, { mode: 0o600 });
    const key = ["--module", uri.modulePath, "--token-label", uri.token, "--id", uri.id];
    const own = Object.fromEntries(moduleVariables.map((variable) => [variable, context.env[variable]]));
    const result = await runProcess(
      file,
      [...key, "--login", "--pin", `env:${pinVariable}`, ...args, ...inputs, "--output-file", output],
      {
        env: { ...own, HOME: directory, LC_ALL: "C", [pinVariable]: pin },
        cwd: directory,
        timeoutMs,
        signal: context.signal,
        maxOutputBytes: 64 * 1024,
      },
    );
    const bytes = await readFile(output).catch(() => undefined);
    if (result.exitCode === 0 && bytes !== undefined && bytes.byteLength > 0) return bytes;
    throw explain(token, result);
  } finally {
    await Promise.all([`${name}.digest`, output].map((each) => rm(each, { force: true })));
  }
}

function describe({ uri }: Token): string {
  return `the key with id ${uri.id} of token '${uri.token}'`;
}

/** A wrong PIN is never tried again: modules lock themselves after some. */
function explain(token: Token, { stderr }: ProcessResult): UserError | InfrastructureError {
  const { uri } = token;
  const code = /\bCKR_[A-Z_]+/.exec(stderr)?.[0];
  if (code?.startsWith("CKR_PIN_") === true) {
    return new UserError(`token '${uri.token}' does not take the PIN (${code})`, {
      code: "key-passphrase",
      wayOut: "Give input 'key-passphrase' the token's user PIN. A module locks itself after some wrong ones.",
    });
  }
  if (/No slot with token named/.test(stderr)) {
    return new UserError(`module ${uri.modulePath} has no token '${uri.token}'`, {
      code: "kms-key-not-found",
      wayOut: `Look which there are: ${program} --module ${uri.modulePath} --list-token-slots`,
    });
  }
  if (/not found/i.test(stderr)) {
    return new UserError(`${describe(token)} is not there`, {
      code: "kms-key-not-found",
      wayOut: `Look which there are: ${program} --module ${uri.modulePath} --token-label '${uri.token}' --login --list-objects`,
    });
  }
  if (/Failed to load pkcs11 module/.test(stderr)) {
    return new UserError(`module ${uri.modulePath} can't be loaded`, {
      code: "kms-uri-invalid",
      wayOut: "Give the URI's module-path the path of the PKCS#11 module (a shared library) on the machine that signs.",
    });
  }
  return new InfrastructureError(`${describe(token)} can't be used: ${code ?? lastLine(stderr)}`, {
    code: "kms-failed",
    wayOut: "Try again; see whether the module answers: pkcs11-tool --list-token-slots.",
  });
}

function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && line !== "Aborting.");
  return lines.at(-1) ?? "it says nothing";
}
