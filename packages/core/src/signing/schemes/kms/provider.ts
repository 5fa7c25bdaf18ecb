import type { KeyObject } from "node:crypto";
import type { Context } from "@goldenpath/foundation/ports";

/** What a provider gets of its surroundings. */
export type KmsContext = Pick<Context, "env" | "ports" | "signal" | "temporaryDirectory">;

export interface KmsLogin {
  /** The PIN or password that the key is used with, masked already; absent where none was given. */
  pin?: string | undefined;
}

/** A key that stays where it is. */
export interface KmsKey {
  /** As the provider has it: what is signed is held to it. */
  publicKey: KeyObject;
  /** SHA-256 of what is to be signed (32 bytes) → an ECDSA signature in ASN.1 DER. */
  signDigest(digest: Uint8Array): Promise<Uint8Array>;
}

/**
 * Where private keys are kept that nobody can read: a hardware module, a cloud's key service. A file here and a line in
 * `providers.ts`.
 */
export interface KmsProvider {
  /** What the URIs of its keys begin with, without the colon. In the input `key`. */
  readonly uriScheme: string;
  /** A URI of its kind, for messages. */
  readonly example: string;
  /**
   * Finds a key, and asks for its public half: what is wrong with the URI, the login or the key is found out before
   * anything is asked of a registry. It signs nothing yet.
   * @throws UserError `kms-uri-invalid`, `kms-key-not-found`, `key-passphrase`; InfrastructureError `tool-missing`,
   *   `kms-failed`
   */
  open(uri: string, login: KmsLogin, context: KmsContext): Promise<KmsKey>;
}
