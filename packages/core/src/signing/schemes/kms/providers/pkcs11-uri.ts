import { isAbsolute } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";

export const pkcs11Example = "pkcs11:token=acme;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so";

/** A key of a token, as `pkcs11-tool` is asked for it. */
export interface Pkcs11Uri {
  /** The token's label. */
  token: string;
  /** The key pair's id, in hexadecimal digits. */
  id: string;
  /** The label that its public key has to have as well. */
  object?: string;
  /** The module: an absolute path of a shared library. */
  modulePath: string;
}

/**
 * A PKCS#11 URI by RFC 7512, of the attributes that name one key pair and its module. What is not understood is
 * refused, so that nobody signs with another key than the one that is meant.
 * @throws UserError `kms-uri-invalid`
 */
export function parsePkcs11Uri(text: string, defaultModule: string | undefined): Pkcs11Uri {
  const [path = "", query = "", ...more] = text.slice("pkcs11:".length).split("?");
  if (more.length > 0) throw invalid("it has more than one '?'");
  const names = readAttributes(path, ";", ["token", "id", "object", "type"]);
  const settings = readAttributes(query, "&", ["module-path"]);
  const token = readText(names, "token");
  if (token === undefined) throw invalid("it names no token");
  const id = names.get("id");
  // By a label alone the program takes whichever private key comes first.
  if (id === undefined || id.length === 0) throw invalid("it has no id: a label alone names no key pair for sure");
  const type = readText(names, "type");
  if (type !== undefined && type !== "private") throw invalid(`its type is '${type}', and a private key is wanted`);
  const modulePath = readText(settings, "module-path") ?? defaultModule;
  if (modulePath === undefined) throw invalid("it has no module-path");
  if (!isAbsolute(modulePath)) throw invalid("its module-path is no absolute path");
  const object = readText(names, "object");
  return { token, id: id.toString("hex"), modulePath, ...(object === undefined ? {} : { object }) };
}

/** Name → bytes, by percent-encoding. */
function readAttributes(text: string, separator: string, known: readonly string[]): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const part of text.split(separator).filter((each) => each !== "")) {
    const at = part.indexOf("=");
    const name = at === -1 ? part : part.slice(0, at);
    if (name === "pin-value" || name === "pin-source") {
      throw new UserError(`input 'key' has the PIN in its URI (${name}), and URIs are logged`, {
        code: "kms-uri-invalid",
        wayOut: "Take it out, and give input 'key-passphrase' the PIN, from a secret.",
      });
    }
    if (at === -1 || !known.includes(name)) throw invalid(`'${name}' is not among ${known.join(", ")}`);
    if (found.has(name)) throw invalid(`it has '${name}' twice`);
    found.set(name, decodePercent(part.slice(at + 1), name));
  }
  return found;
}

/** An id is bytes, and need not be text. */
function decodePercent(text: string, name: string): Buffer {
  const escaped = text.replaceAll(/%([0-9A-Fa-f]{2})/g, "");
  if (!/^[A-Za-z0-9\-._~:[\]@!$'()*+,=/|]*$/.test(escaped)) throw invalid(`'${name}' is not percent-encoded`);
  const bytes = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1");
}

function readText(attributes: ReadonlyMap<string, Buffer>, name: string): string | undefined {
  const bytes = attributes.get(name);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const text = bytes.toString("utf8");
  // A name that begins like an option would be one.
  if (!Buffer.from(text, "utf8").equals(bytes) || /^-|\p{Cc}/u.test(text)) throw invalid(`'${name}' is no name`);
  return text;
}

function invalid(why: string): UserError {
  return new UserError(`input 'key' is no PKCS#11 URI that names one key: ${why}`, {
    code: "kms-uri-invalid",
    wayOut: `Give a URI such as ${pkcs11Example} (RFC 7512).`,
  });
}
