import type { Context } from "@goldenpath/foundation/ports";
import type { Policy } from "../../policy/schema.ts";
import type { Signer } from "../types.ts";

/** What a policy says of those who sign. */
export type SigningPolicy = Pick<Policy, "signers">;

/** What a verb that signs was given to sign with, by the inputs' names. */
export interface SigningInputs {
  key?: string | undefined;
  "key-passphrase"?: string | undefined;
}

/** The other half of a {@link SigningScheme}: what signs. It is where private keys are. */
export interface SchemeOpener {
  /** The inputs that it can't do without. */
  readonly needs: readonly (keyof SigningInputs)[];
  /**
   * Before anything is asked of a registry: what is wrong with the inputs is found out at once, and secrets are masked
   * from here on.
   * @throws UserError what is wrong with them
   */
  open(inputs: SigningInputs, context: Context, policy: SigningPolicy): Promise<Signer>;
}
