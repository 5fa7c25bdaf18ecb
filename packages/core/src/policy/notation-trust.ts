import { UserError } from "@goldenpath/foundation/errors";
import { renderTrust } from "../signing/notary/render-trust.ts";
import { kindOf, materialOf } from "../signing/schemes/find.ts";
import { notation } from "../signing/schemes/notation.ts";
import type { Policy } from "./schema.ts";

export interface NotationTrustOptions {
  /** Whose signatures count, by the policy's names. Default: every signer of kind notation. */
  signers?: readonly string[];
  /** Repositories that it is for, HOST/NAME. Default: all. */
  scopes?: readonly string[];
}

/**
 * What notation verifies by, as files of its configuration folder: `trustpolicy.json` and the trust store. notation has
 * one trust policy for an image, and one signature of anybody in it is enough: of several signers it says that one of
 * them has signed, and nothing of stages.
 * @returns path → content
 * @throws UserError `signer-unknown`
 */
export function renderNotationTrust(
  { name, signers, trustStores }: Pick<Policy, "name" | "signers" | "trustStores">,
  { signers: wanted, scopes = ["*"] }: NotationTrustOptions = {},
): ReadonlyMap<string, string> {
  const known = Object.keys(signers).filter((each) => kindOf(signers[each] ?? {}) === notation.kind);
  const stranger = wanted?.find((each) => !known.includes(each));
  const wayOut = `Name some of the policy's signers of kind notation: ${known.join(", ") || "there is none"}.`;
  if (stranger !== undefined)
    throw new UserError(`'${stranger}' is no signer of kind notation of this policy`, {
      code: "signer-unknown",
      wayOut,
    });
  const materials = (wanted ?? known).map((each) => materialOf(signers[each] ?? {}, `signer '${each}'`));
  const found = materials.flatMap((material) => (material.kind === "certificate" ? [material] : []));
  const [store, ...others] = new Set(found.map(({ issuer }) => issuer));
  if (store === undefined)
    throw new UserError("this policy has no signer of kind notation", { code: "signer-unknown", wayOut });
  if (others.length > 0) {
    throw new UserError(
      `the signers are of several trust stores (${[store, ...others].join(", ")}), whose certificates notation would take for any of them`,
      { code: "signer-unknown", wayOut },
    );
  }
  const trusted = trustStores[store];
  if (trusted === undefined) throw new TypeError("a signer without a trust store");
  return renderTrust({ name, scopes, store, trusted, identities: found.map(({ identity }) => identity) });
}
