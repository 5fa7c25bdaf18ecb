import type { Policy } from "./schema.ts";

export interface Inconsistency {
  path: readonly PropertyKey[];
  message: string;
}

/** A name that nobody has, and those that there are. */
export function unknown(path: PropertyKey[], value: string, what: string, known: readonly string[]): Inconsistency {
  return { path, message: `'${value}' is no ${what} of this policy (there is: ${known.join(", ") || "none"})` };
}

/** A signer that the policy has, and that speaks for no stage: whoever judges would otherwise count by their own word. */
export function checkOutsider(
  signer: string,
  path: PropertyKey[],
  { signers, environments }: Pick<Policy, "signers" | "environments">,
): Inconsistency[] {
  if (!Object.hasOwn(signers, signer)) return [unknown(path, signer, "signer", Object.keys(signers))];
  const speaks = Object.values(environments).some(
    ({ promoter, requires }) => promoter === signer || requires.some((each) => each.signers.includes(signer)),
  );
  return speaks ? [{ path, message: `'${signer}' speaks for a stage as well` }] : [];
}
