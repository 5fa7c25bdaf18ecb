import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { predicateTypes } from "../signing/predicates.ts";
import { buildStatement, digestSet, isDigestIn } from "../signing/statement.ts";
import type { Statement } from "../signing/types.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import type { LoadedPolicy } from "./schema.ts";
import { encodeWithdrawals, withdrawalsSchema } from "./withdrawals.ts";

/** Last component of the repository in vetted that says which policy is in force, and the tag in it that does. */
export const pointerName = "goldenpath-policy";
export const pointerTag = "in-force";

/** The oldest are left out. */
export const maxPredecessors = 200;

/**
 * How many components of a repository's name belong to its owner, in registries that keep no repository above that:
 * Artifact Registry has HOST/PROJECT/REPOSITORY/IMAGE, and GitLab HOST/GROUP/PROJECT/IMAGE.
 */
const ownedDepths: readonly (readonly [host: RegExp, depth: number])[] = [
  [/\.pkg\.dev$/, 2],
  [/^registry\.gitlab\.com$/, 2],
];

/**
 * Where the policy in force is said for a destination. From the destination alone, and from its first component: what
 * the caller or a policy of theirs says can't move it, nor can whoever owns a repository further down.
 */
export function findPointerRepository(to: Repository): Repository {
  const components = to.name.split("/");
  const depth = ownedDepths.find(([host]) => host.test(to.registry))?.[1] ?? 1;
  return {
    registry: to.registry,
    name: [...components.slice(0, Math.min(depth, components.length - 1)), pointerName].join("/"),
  };
}

/** True for the pointer's repository, and for what lies under it: no image belongs there. */
export function isPointerRepository({ name }: Repository): boolean {
  return name.split("/").includes(pointerName);
}

const digest = z.custom<Digest>(isDigest, "expected a digest");
const serial = z.number().int().positive();
const time = z.iso.datetime().transform((text) => new Date(text));

const pointerSchema = z.strictObject({
  repositories: z.array(z.string()).min(1),
  name: z.string(),
  serial,
  source: z.string(),
  artifact: digest,
  digest,
  activatedAt: time,
  predecessors: z
    .array(
      z.strictObject({ serial, digest, activatedAt: time, supersededAt: time, revoked: z.literal(true).optional() }),
    )
    .max(maxPredecessors),
  withdrawals: withdrawalsSchema.optional(),
});

export function buildPointerStatement(pointer: PolicyPointer): Statement {
  const { activatedAt, predecessors, repositories, withdrawals = [], ...rest } = pointer;
  return buildStatement([{ name: pointer.source, digest: digestSet(pointer.digest) }], predicateTypes.policyInForce, {
    repositories: [...repositories],
    ...rest,
    activatedAt: activatedAt.toISOString(),
    predecessors: predecessors.map(({ revoked, ...each }) => ({
      ...each,
      activatedAt: each.activatedAt.toISOString(),
      supersededAt: each.supersededAt.toISOString(),
      ...(revoked === true ? { revoked } : {}),
    })),
    // Readers of before there were any take a pointer without the field alone.
    ...(withdrawals.length === 0 ? {} : { withdrawals: encodeWithdrawals(withdrawals) }),
  });
}

/** A verified statement → the pointer, or what is wrong with it. `repository`: where it was found. */
export function readPointerStatement(
  statement: Statement,
  repository: Repository,
): PolicyPointer | { problem: string } {
  if (statement.predicateType !== predicateTypes.policyInForce)
    return { problem: `it is a statement of type ${statement.predicateType}, not of which policy is in force` };
  const parsed = pointerSchema.safeParse(statement.predicate);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error).replaceAll("\n", " ") };
  const pointer = parsed.data;
  const here = formatRepository(repository);
  // The same signer may speak for several registries, of which one tries out what another must not have.
  if (!pointer.repositories.includes(here)) return { problem: `it was made for ${pointer.repositories.join(", ")}` };
  if (!statement.subject.some((subject) => isDigestIn(subject.digest, pointer.digest)))
    return { problem: "its subject is another policy than it names" };
  const serials = [...pointer.predecessors.map((each) => each.serial), pointer.serial];
  if (serials.some((each, index) => each <= (serials[index - 1] ?? 0))) return { problem: "its serials do not rise" };
  return pointer;
}

export interface ActivationFacts {
  /** Whether the caller says that none was in force before. */
  isFirst: boolean;
  repository: Repository;
  /** Other names of the same repository, for registries that are reached by several. */
  aliases: readonly Repository[];
  /** What the pointer says now; undefined where there is none. */
  current: PolicyPointer | undefined;
  next: LoadedPolicy;
  /** The manifest that carries its bytes in the repository. */
  artifact: Digest;
  /** Serials of predecessors, or of the current policy, whose evidence is to count no more. */
  revoke: readonly number[];
  now: Date;
}

/**
 * The pointer that puts a policy in force; undefined where it says so already. A serial never goes back and never gets
 * another content: evidence names it.
 * @throws UserError `policy-serial`, `policy-name`, `policy-revoke`
 */
export function planActivation({
  repository,
  aliases,
  current,
  next,
  artifact,
  revoke,
  isFirst,
  now,
}: ActivationFacts): PolicyPointer | undefined {
  const { policy, uri } = next;
  const where = formatRepository(repository);
  const repositories = [...new Set([...(current?.repositories ?? [where]), ...aliases.map(formatRepository)])];
  const made = { repositories, name: policy.name, serial: policy.serial, digest: next.digest, source: uri, artifact };
  // A pointer that somebody took away would let an older policy in, and forget what was revoked.
  if (current === undefined && !isFirst) {
    throw new UserError(`no policy is in force in ${where}`, {
      code: "policy-first",
      wayOut:
        "Say --first where none ever was. Else find out who took the pointer away, and put it back: its serial and what was revoked must not be forgotten.",
    });
  }
  if (current === undefined) {
    refuseUnknownSerials(revoke, []);
    return { ...made, activatedAt: now, predecessors: [] };
  }
  const isSame = current.serial === policy.serial && current.digest === next.digest;
  if (isFirst && !isSame) {
    throw new UserError(`a policy is in force in ${where} already: serial ${current.serial}, ${current.digest}`, {
      code: "policy-first",
      wayOut: "Leave --first out.",
    });
  }
  if (current.name !== policy.name) {
    throw new UserError(`policy ${uri} is '${policy.name}', and in force in ${where} is '${current.name}'`, {
      code: "policy-name",
      wayOut: "Keep the name as it is; a policy of another name starts in a repository of its own.",
    });
  }
  if (!isSame && policy.serial <= current.serial) {
    const what =
      policy.serial === current.serial ? "has another content under the same serial" : `has serial ${policy.serial}`;
    throw new UserError(
      `policy ${uri} ${what}, and in force in ${where} is serial ${current.serial}, ${current.digest}`,
      {
        code: "policy-serial",
        wayOut: `Set serial to ${current.serial + 1} or more: to take a change back, activate the older content under a new serial.`,
      },
    );
  }
  const before = isSame
    ? current.predecessors
    : [
        ...current.predecessors,
        { serial: current.serial, digest: current.digest, activatedAt: current.activatedAt, supersededAt: now },
      ].slice(-maxPredecessors);
  refuseUnknownSerials(
    revoke,
    before.map((each) => each.serial),
  );
  const isNewlyRevoked = before.some((each) => each.revoked !== true && revoke.includes(each.serial));
  if (isSame && !isNewlyRevoked && repositories.length === current.repositories.length) return undefined;
  const predecessors = before.map((each) =>
    revoke.includes(each.serial) ? { ...each, revoked: true as const } : each,
  );
  return isSame
    ? { ...current, repositories, predecessors }
    : { ...made, activatedAt: now, predecessors, withdrawals: current.withdrawals };
}

function refuseUnknownSerials(revoke: readonly number[], known: readonly number[]): void {
  const unknown = revoke.find((each) => !known.includes(each));
  if (unknown === undefined) return;
  throw new UserError(
    `serial ${unknown} can't be revoked: it is no predecessor (there is: ${known.join(", ") || "none"})`,
    {
      code: "policy-revoke",
      wayOut: "Activate another policy first; then name a serial that was in force before it.",
    },
  );
}

/**
 * The policy that a promotion was given, held to the one that is in force at its destination.
 * @throws PolicyViolation `policy.not-in-force`
 */
export function assertInForce({ policy, digest, uri }: LoadedPolicy, pointer: PolicyPointer): void {
  if (pointer.name === policy.name && pointer.serial === policy.serial && pointer.digest === digest) return;
  const [where = ""] = pointer.repositories;
  const inForce = `'${pointer.name}' serial ${pointer.serial} (${pointer.digest}) is in force in ${where}`;
  const current = `Run again with policy oci://${where}:${pointerTag}, which is always the one in force.`;
  const refuse = (problem: string, wayOut: string): PolicyViolation =>
    new PolicyViolation(`policy ${uri} ${problem}; ${inForce}`, {
      rule: "policy.not-in-force",
      code: "policy-not-in-force",
      wayOut,
    });
  if (pointer.name !== policy.name) throw refuse(`is '${policy.name}', another policy`, current);
  if (policy.serial === pointer.serial) throw refuse(`has another content (${digest}) under the same serial`, current);
  if (policy.serial > pointer.serial) {
    throw refuse(
      `has serial ${policy.serial}, which nobody has put in force`,
      "Have the platform's signer run goldenpath policy activate.",
    );
  }
  const superseded = pointer.predecessors.find((each) => each.serial === policy.serial && each.digest === digest);
  const since =
    superseded === undefined
      ? "which was never in force"
      : `which was superseded on ${superseded.supersededAt.toISOString()}`;
  throw refuse(`has serial ${policy.serial}, ${since}`, current);
}

/** A version of the policy whose evidence counts. */
export interface AcceptedVersion {
  serial: number;
  digest: Digest;
  /** What was made under it later counts for nothing. */
  madeUntil?: Date;
}

/** A run that was under way when the policy changed may still end under the old one. Milliseconds. */
const underWay = 3_600_000;

/**
 * The versions of a policy whose evidence counts now: itself, and those that `accepts` names, or, where it is a
 * duration, those that were superseded no longer ago. A revoked one never. Which came before is the pointer's word
 * alone: without it, a duration accepts none.
 */
export function listAcceptedVersions({ policy, digest, inForce }: LoadedPolicy, now: Date): AcceptedVersion[] {
  const own = { serial: policy.serial, digest };
  const before = inForce?.predecessors ?? [];
  const { accepts } = policy;
  if (typeof accepts !== "number") {
    const isRevoked = (version: AcceptedVersion): boolean =>
      before.some((each) => each.revoked === true && each.serial === version.serial && each.digest === version.digest);
    return [own, ...accepts.filter((version) => !isRevoked(version))];
  }
  const counts = before.filter(
    ({ revoked, supersededAt }) => revoked !== true && now.getTime() - supersededAt.getTime() <= accepts,
  );
  return [
    own,
    ...counts.map((each) => ({
      serial: each.serial,
      digest: each.digest,
      madeUntil: new Date(each.supersededAt.getTime() + underWay),
    })),
  ];
}

/** What something says of the policy that it was made under, and when that was. */
interface MadeUnder {
  serial: number;
  digest: Readonly<Record<string, string>>;
  time: Date;
}

const isUnder = ({ serial, digest }: MadeUnder, version: { serial: number; digest: Digest }): boolean =>
  version.serial === serial && isDigestIn(digest, version.digest);

/** What was made at a time may be of a run that had begun before the end. Of an invalid time that is never known. */
const mayHaveBegunBefore = (end: Date, time: Date): boolean => time.getTime() <= end.getTime() + underWay;

/**
 * Whether a policy that something was made under was in force then, and nobody has revoked it since. Where no pointer says
 * what was in force, nothing is promoted either, and any will do.
 */
export function wasInForce({ inForce }: Pick<LoadedPolicy, "inForce">, made: MadeUnder): boolean {
  if (inForce === undefined) return true;
  const known = inForce.predecessors.find((each) => isUnder(made, each));
  return known !== undefined && known.revoked !== true && mayHaveBegunBefore(known.supersededAt, made.time);
}

/**
 * Why a policy that something was made under was not in force then in a repository's place, by the pointer of that place;
 * undefined where it was, where the pointer is another place's, or where that is longer ago than it remembers. Revoked
 * since or not: that is asked of what is to count now.
 */
export function explainNotInForce(pointer: PolicyPointer, repository: Repository, made: MadeUnder): string | undefined {
  const { serial, time } = made;
  if (!pointer.repositories.includes(formatRepository(findPointerRepository(repository)))) return undefined;
  if (isUnder(made, pointer)) return undefined;
  const known = pointer.predecessors.find((each) => isUnder(made, each));
  const [oldest] = pointer.predecessors;
  const isForgotten =
    pointer.predecessors.length >= maxPredecessors &&
    oldest !== undefined &&
    serial < oldest.serial &&
    mayHaveBegunBefore(oldest.activatedAt, time);
  if (known === undefined)
    return isForgotten ? undefined : `under serial ${serial} of a policy that was never in force`;
  return mayHaveBegunBefore(known.supersededAt, time)
    ? undefined
    : `under serial ${serial} of the policy, after that had been superseded`;
}
