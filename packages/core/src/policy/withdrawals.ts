import { UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { z } from "zod";
import type { PolicyPointer, Withdrawal, WithdrawnThing } from "./pointer-facts.ts";
import type { LoadedPolicy, Policy } from "./schema.ts";

/** Lifted ones are left out first; beyond it nothing more is withdrawn one by one. */
export const maxWithdrawals = 100;
/**
 * The same of all of them, as JSON. A pointer with every predecessor has to stay below what is read of one
 * (`maxPointerBytes`): what is too large to be written could withdraw nothing any more. Bytes.
 */
export const maxWithdrawalBytes = 128 * 1024;

const time = z.iso.datetime().transform((text) => new Date(text));
const digest = z.custom<Digest>(isDigest, "expected a digest");
const words = (most: number) => z.string().min(1).max(most);
const said = { reason: words(500), owner: words(200), at: time };

/** As the pointer has them. */
export const withdrawalsSchema = z
  .array(
    z.strictObject({
      thing: z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("image"), digest }),
        z.strictObject({ kind: z.literal("base"), digest }),
        z.strictObject({ kind: z.literal("signer"), name: words(200), from: time }),
      ]),
      ...said,
      lifted: z.strictObject(said).optional(),
    }),
  )
  .max(maxWithdrawals);

/** As JSON. */
export function encodeWithdrawals(withdrawals: readonly Withdrawal[]): Record<string, unknown>[] {
  return withdrawals.map(({ thing, at, lifted, ...each }) => ({
    ...each,
    thing: thing.kind === "signer" ? { ...thing, from: thing.from.toISOString() } : { ...thing },
    at: at.toISOString(),
    ...(lifted === undefined ? {} : { lifted: { ...lifted, at: lifted.at.toISOString() } }),
  }));
}

export function describeWithdrawn(thing: WithdrawnThing): string {
  return thing.kind === "signer"
    ? `signer '${thing.name}' from ${thing.from.toISOString()} on`
    : `${thing.kind} ${thing.digest}`;
}

/** Where no pointer says which policy is in force, nothing is withdrawn. */
export function listWithdrawn({ withdrawals = [] }: Pick<PolicyPointer, "withdrawals"> = {}): Withdrawal[] {
  return withdrawals.filter(({ lifted }) => lifted === undefined);
}

/** What withdraws an image or a base of this digest, as which of the two it was ever meant. */
export function findWithdrawn({ inForce }: Pick<LoadedPolicy, "inForce">, digest: Digest): Withdrawal | undefined {
  return listWithdrawn(inForce).find(({ thing }) => thing.kind !== "signer" && thing.digest === digest);
}

export interface WithdrawalRequest {
  thing: WithdrawnThing;
  /** Of an index that is withdrawn: what runs of it, which is withdrawn with it, and given back with it. */
  children?: readonly Digest[];
  reason: string;
  owner: string;
  isUndo: boolean;
  now: Date;
}

/**
 * What is withdrawn after a request; undefined where it is so already. Nothing is forgotten: what was lifted says so.
 * @throws UserError `withdrawal-unknown`, `withdrawals-full`, `arguments-invalid`
 */
export function planWithdrawal(
  before: readonly Withdrawal[],
  { thing, children = [], reason, owner, isUndo, now }: WithdrawalRequest,
): Withdrawal[] | undefined {
  for (const [name, text, most] of [
    ["--reason", reason, 500],
    ["--owner", owner, 200],
  ] as const) {
    if (text.trim() === "" || text.length > most)
      throw new UserError(`${name} says nothing, or is longer than ${most} characters`, { code: "arguments-invalid" });
  }
  const made = { reason, owner, at: now };
  const isActive = (each: Withdrawal): boolean => each.lifted === undefined && isSameThing(each.thing, thing);
  const active = before.filter(isActive);
  if (isUndo) {
    // A child that was withdrawn for itself, at another time, stays so.
    const isWithIt = ({ thing: own, lifted, at }: Withdrawal): boolean =>
      lifted === undefined &&
      own.kind === "image" &&
      children.includes(own.digest) &&
      active.some((root) => root.at.getTime() === at.getTime());
    if (active.length > 0)
      return makeRoom(
        before.map((each) => (isActive(each) || isWithIt(each) ? { ...each, lifted: made } : each)),
        before.length,
      );
    const known = before.filter(({ lifted }) => lifted === undefined).map((each) => describeWithdrawn(each.thing));
    throw new UserError(`${describeWithdrawn(thing)} is not withdrawn (there is: ${known.join(", ") || "nothing"})`, {
      code: "withdrawal-unknown",
      wayOut: "Name what was withdrawn, a signer with the same --from.",
    });
  }
  const asked = [thing, ...children.map((digest) => ({ kind: "image", digest }) as const)];
  const things = asked.filter(
    (each) => !before.some((known) => known.lifted === undefined && isSameThing(known.thing, each)),
  );
  if (things.length === 0) return undefined;
  return makeRoom([...before, ...things.map((each) => ({ thing: each, ...made }))], before.length);
}

/** @throws UserError `withdrawals-full` */
function makeRoom(wanted: readonly Withdrawal[], before: number): Withdrawal[] {
  const kept = [...wanted];
  while (kept.length > maxWithdrawals || sizeOf(kept) > maxWithdrawalBytes) {
    const oldest = kept.findIndex(({ lifted }) => lifted !== undefined);
    if (oldest === -1) {
      const isMany = kept.length > maxWithdrawals;
      const holds = isMany ? `${maxWithdrawals}` : `${maxWithdrawalBytes} bytes of what is said of them`;
      throw new UserError(`${before} things are withdrawn, and the pointer holds ${holds}`, {
        code: "withdrawals-full",
        wayOut: `${isMany ? "" : "Give a shorter reason. "}Take signers and bases out of the policy, and activate it; then lift what that covers.`,
      });
    }
    kept.splice(oldest, 1);
  }
  return kept;
}

function sizeOf(withdrawals: readonly Withdrawal[]): number {
  return Buffer.byteLength(JSON.stringify(encodeWithdrawals(withdrawals)));
}

function isSameThing(a: WithdrawnThing, b: WithdrawnThing): boolean {
  if (a.kind === "signer") return b.kind === "signer" && a.name === b.name && a.from.getTime() === b.from.getTime();
  return b.kind !== "signer" && a.kind === b.kind && a.digest === b.digest;
}

/**
 * A policy as the pointer puts it in force: its signers count until they were withdrawn, where that is earlier than
 * their own end.
 */
export function putInForce(loaded: LoadedPolicy, pointer: PolicyPointer): LoadedPolicy {
  return { ...loaded, policy: limitSigners(loaded.policy, pointer), inForce: pointer };
}

function limitSigners(policy: Policy, pointer: PolicyPointer): Policy {
  const ends = new Map<string, Date>();
  for (const { thing } of listWithdrawn(pointer)) {
    if (thing.kind !== "signer") continue;
    const known = ends.get(thing.name);
    if (known === undefined || thing.from < known) ends.set(thing.name, thing.from);
  }
  if (ends.size === 0) return policy;
  const signers = Object.entries(policy.signers).map(([name, signer]) => {
    const end = ends.get(name);
    const isEarlier = end !== undefined && (signer.until === undefined || end < signer.until);
    return [name, isEarlier ? { ...signer, until: end } : signer] as const;
  });
  return { ...policy, signers: Object.fromEntries(signers) };
}
