import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { z } from "zod";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { SchemeOpener, SigningInputs } from "../signing/schemes/opener.ts";
import { openers } from "../signing/schemes/openers.ts";
import type { Signer } from "../signing/types.ts";
import { choice, flag, parseInputs, secretText } from "./verb.ts";

export type SchemeName = keyof typeof openers;
const kinds = Object.keys(openers) as [SchemeName, ...SchemeName[]];

/** How a verb that signs is told what to sign with. */
export const signerInputs = {
  signer: choice(kinds, "key"),
  key: secretText(),
  "key-passphrase": secretText(),
  legacy: flag(false),
};

export interface SignerInputs extends SigningInputs {
  /** Absent where what was given is none of the kinds. */
  signer?: SchemeName;
}

const signerSchema = z.object(signerInputs);

/**
 * Whoever signs, from raw inputs, where no verb's schema has them.
 * @throws as {@link openSigner}
 */
export function openSignerBy(
  raw: Readonly<Partial<Record<keyof typeof signerInputs, string | undefined>>>,
  context: Context,
  policy: Pick<LoadedPolicy, "policy">,
): Promise<Signer> {
  return openSignerOf(parseInputs(signerSchema, raw), context, policy);
}

/**
 * The same from inputs that were read, and may lack what their kind needs.
 * @throws as {@link openSigner}
 */
export function openSignerOf(
  given: SignerInputs & { signer: SchemeName },
  context: Context,
  policy: Pick<LoadedPolicy, "policy">,
): Promise<Signer> {
  const missing = listMissingInputs(given);
  if (missing.length === 0) return openSigner(given, context, policy);
  throw new UserError(
    `input 'signer' is '${given.signer}', which needs ${missing.map((name) => `'${name}'`).join(" and ")}`,
    {
      code: "input-invalid",
    },
  );
}

/** The inputs that the scheme can't do without, and that were not given. */
export function listMissingInputs(given: SignerInputs): (keyof SigningInputs)[] {
  if (given.signer === undefined) return [];
  const opener: SchemeOpener | undefined = openers[given.signer];
  return (opener?.needs ?? []).filter((name) => given[name] === undefined);
}

/** @throws UserError `input-invalid`, and as the scheme's opener */
export async function openSigner(
  given: SignerInputs & { signer: SchemeName },
  context: Context,
  { policy }: Pick<LoadedPolicy, "policy">,
): Promise<Signer> {
  const opener: SchemeOpener = openers[given.signer];
  const { key, "key-passphrase": passphrase, legacy } = given;
  if (legacy === true && opener.hasLegacy !== true) {
    throw new UserError(
      `input 'legacy' is 'true', and cosign's older form has no place for what ${given.signer} signs`,
      {
        code: "input-invalid",
        wayOut: "Sign with a key or a KMS where admission reads no bundles, or leave `legacy` out.",
      },
    );
  }
  return opener.open({ key, "key-passphrase": passphrase, legacy }, context, policy);
}
