import { createHash, type KeyObject, verify } from "node:crypto";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { assertSupportedKey } from "../../public-keys.ts";
import { createBundleSigner, withLegacy } from "../key/sign.ts";
import { kms } from "../kms.ts";
import type { SchemeOpener } from "../opener.ts";
import type { KmsKey, KmsProvider } from "./provider.ts";
import { providers } from "./providers.ts";

/** Signs with a key that is kept by a provider: input `key` is the key's URI, and `key-passphrase` its PIN. */
export const kmsOpener = {
  needs: ["key"],
  hasLegacy: true,
  async open(inputs, context) {
    const uri = (inputs.key ?? "").trim();
    const pin = inputs["key-passphrase"];
    if (pin !== undefined && pin !== "") context.ports.mask(pin);
    const key = await findProvider(uri).open(uri, { pin: pin === "" ? undefined : pin }, context);
    assertSupportedKey(key.publicKey, "the key of input 'key'");
    const signer = createBundleSigner(kms.kind, key.publicKey, (data) => signAndCheck(key, key.publicKey, data));
    return inputs.legacy === true ? withLegacy(signer) : signer;
  },
} as const satisfies SchemeOpener;

/** @throws UserError `kms-uri-invalid` */
function findProvider(uri: string): KmsProvider {
  const provider = providers.find(({ uriScheme }) => uri.startsWith(`${uriScheme}:`));
  if (provider !== undefined) return provider;
  // What was given instead may be a private key itself, and is not shown.
  throw new UserError(
    `input 'key' is no URI of a key that a provider keeps (there is: ${providers.map(({ uriScheme }) => `${uriScheme}:`).join(", ")})`,
    {
      code: "kms-uri-invalid",
      wayOut: `Give a URI such as ${providers.map(({ example }) => example).join(" or ")}, or a private key with signer: key.`,
    },
  );
}

/** A provider may answer with another key than the one that was asked for: that would be found out at the gate only. */
async function signAndCheck(key: KmsKey, publicKey: KeyObject, data: Uint8Array): Promise<Uint8Array> {
  const signature = await key.signDigest(createHash("sha256").update(data).digest());
  if (verify("sha256", data, { key: publicKey, dsaEncoding: "der" }, signature)) return signature;
  throw new InfrastructureError("what the provider of input 'key' signed is not signed with that key", {
    code: "kms-failed",
    safeToRetry: false,
    wayOut: "See to it that the URI names one key pair: a private and a public key with the same id.",
  });
}
