import type { Context } from "@goldenpath/foundation/ports";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { SchemeOpener, SigningInputs } from "../signing/schemes/opener.ts";
import { openers } from "../signing/schemes/openers.ts";
import type { Signer } from "../signing/types.ts";
import { choice, secretText } from "./verb.ts";

export type SchemeName = keyof typeof openers;
const kinds = Object.keys(openers) as [SchemeName, ...SchemeName[]];

/** How a verb that signs is told what to sign with. */
export const signerInputs = {
  signer: choice(kinds, "key"),
  key: secretText(),
  "key-passphrase": secretText(),
};

export interface SignerInputs extends SigningInputs {
  /** Absent where what was given is none of the kinds. */
  signer?: SchemeName;
}

/** The inputs that the scheme can't do without, and that were not given. */
export function listMissingInputs(given: SignerInputs): (keyof SigningInputs)[] {
  if (given.signer === undefined) return [];
  const opener: SchemeOpener | undefined = openers[given.signer];
  return (opener?.needs ?? []).filter((name) => given[name] === undefined);
}

/** @throws UserError as the scheme's opener */
export function openSigner(
  given: SignerInputs & { signer: SchemeName },
  context: Context,
  { policy }: Pick<LoadedPolicy, "policy">,
): Promise<Signer> {
  const opener: SchemeOpener = openers[given.signer];
  return opener.open({ key: given.key, "key-passphrase": given["key-passphrase"] }, context, policy);
}
