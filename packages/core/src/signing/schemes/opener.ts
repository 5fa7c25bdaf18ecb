import type { Context } from "@goldenpath/foundation/ports";
import type { Policy } from "../../policy/schema.ts";
import type { Signer } from "../types.ts";

/** What a policy says of those who sign. */
export type SigningPolicy = Pick<Policy, "signers">;

/** What a verb that signs was given to sign with, by the inputs' names. */
export interface SigningInputs {
  key?: string | undefined;
  "key-passphrase"?: string | undefined;
  /** Whether cosign's older form is wanted besides. */
  legacy?: boolean | undefined;
}

/** The other half of a {@link SigningScheme}: what signs. It is where private keys are. */
export interface SchemeOpener {
  /** The inputs that it can't do without. */
  readonly needs: readonly (keyof SigningInputs)[];
  /** Whether it can sign in cosign's older form besides, where the input `legacy` asks for that. */
  readonly hasLegacy?: boolean;
  /**
   * Before anything is asked of a registry: what is wrong with the inputs is found out at once, and secrets are masked
   * from here on.
   * @throws UserError what is wrong with them
   */
  open(inputs: SigningInputs, context: Context, policy: SigningPolicy): Promise<Signer>;
}
