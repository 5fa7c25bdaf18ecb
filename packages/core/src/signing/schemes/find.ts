import { fieldOfEach } from "@goldenpath/foundation/tables";
import { isSameMaterial, type SignerMaterial } from "../material.ts";
import { key } from "./key.ts";
import type { EvidencePiece, HandCheck, PolicySections, SignerFields, SigningScheme } from "./scheme.ts";
import { schemes } from "./schemes.ts";

type Scheme = (typeof schemes)[number];
export type SchemeKind = Scheme["kind"];

/** Of each scheme, in the table's order. */
export const signerSchemas = fieldOfEach(schemes, "signerSchema");

/** For code that takes any: schemes are alike by their interface alone. */
export const allSchemes: readonly SigningScheme[] = schemes;

/** The scheme that a signer of a policy signs with. */
export function kindOf(signer: SignerFields): string {
  return signer.kind ?? key.kind;
}

export function schemeOf(signer: SignerFields): SigningScheme {
  const kind = kindOf(signer);
  const scheme = allSchemes.find((each) => each.kind === kind);
  if (scheme === undefined) throw new TypeError(`${kind} is no scheme`);
  return scheme;
}

/**
 * What a signer of a policy is known by; `what` is how messages call it.
 * @throws UserError `key-invalid`, `key-unsupported`, and the schemes' own
 */
export function materialOf(signer: SignerFields, what: string): SignerMaterial {
  return schemeOf(signer).materialOf(signer, what);
}

/**
 * Whether whoever signs is the signer of a policy that has this name.
 * @throws as {@link materialOf}
 */
export function isSignerNamed(
  signers: Readonly<Record<string, SignerFields>>,
  name: string,
  material: SignerMaterial,
): boolean {
  const known = Object.hasOwn(signers, name) ? signers[name] : undefined;
  return known !== undefined && isSameMaterial(materialOf(known, `the key of signer '${name}'`), material);
}

/** The signers of a policy, each with what it names of the policy's sections. */
export function completeSigners<Signer extends SignerFields>(
  signers: Readonly<Record<string, Signer>>,
  sections: PolicySections,
): Record<string, Signer> {
  return Object.fromEntries(
    Object.entries(signers).map(([name, signer]) => {
      const { complete } = schemeOf(signer);
      return [name, complete === undefined ? signer : (complete(signer, sections) as Signer)];
    }),
  );
}

/** How a piece of evidence by a signer of a policy is checked by others' tools; undefined where none reads it. */
export function checkByHand(
  signers: Readonly<Record<string, SignerFields>>,
  piece: EvidencePiece,
): HandCheck | undefined {
  const signer = Object.hasOwn(signers, piece.signer) ? signers[piece.signer] : undefined;
  return signer === undefined ? undefined : schemeOf(signer).checkByHand?.(signer, piece);
}
