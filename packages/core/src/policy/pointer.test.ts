import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { fakeDigest, sampleLoadedPolicy } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { digestSet } from "../signing/statement.ts";
import {
  type ActivationFacts,
  assertInForce,
  buildPointerStatement,
  explainNotInForce,
  listAcceptedVersions,
  maxPredecessors,
  planActivation,
  readPointerStatement,
  wasInForce,
} from "./pointer.ts";
import type { PolicyPointer } from "./pointer-facts.ts";
import type { LoadedPolicy, Policy } from "./schema.ts";

const hour = 3_600_000;
const day = 24 * hour;
const now = new Date("2026-11-20T12:00:00Z");
const ago = (time: number): Date => new Date(now.getTime() - time);

const repository: Repository = { registry: "registry.test", name: "vetted/goldenpath-policy" };
const where = "registry.test/vetted/goldenpath-policy";
const predecessors = [
  { serial: 2, digest: fakeDigest("2"), activatedAt: ago(9 * day), supersededAt: ago(5 * day) },
  { serial: 4, digest: fakeDigest("4"), activatedAt: ago(5 * day), supersededAt: ago(2 * day) },
];
const pointer: PolicyPointer = {
  ...{ repositories: [where], name: "acme", serial: 7, digest: fakeDigest("7"), source: "policy.yaml" },
  ...{ artifact: fakeDigest("a"), activatedAt: ago(2 * day), predecessors },
};
const policyOf = (change: Partial<Policy>, digest = fakeDigest("8"), inForce?: PolicyPointer): LoadedPolicy => ({
  ...sampleLoadedPolicy({ name: "acme", ...change }),
  ...{ digest, uri: "policy.yaml" },
  ...(inForce === undefined ? {} : { inForce }),
});

describe("a pointer that was signed", () => {
  const statement = buildPointerStatement(pointer);
  const withPredicate = (change: object) => ({ ...statement, predicate: { ...statement.predicate, ...change } });

  test("is read as it was made", () => {
    expect(readPointerStatement(statement, repository)).toEqual(pointer);
    expect(statement.predicate).not.toHaveProperty("withdrawals");
    expect(statement.subject).toEqual([{ name: "policy.yaml", digest: digestSet(pointer.digest) }]);
  });

  test("keeps what was revoked, and tells of nothing else that it was not", () => {
    const [first, second] = predecessors;
    if (first === undefined || second === undefined) throw new Error("there are two");
    const revoked: PolicyPointer = { ...pointer, predecessors: [{ ...first, revoked: true }, second] };
    const made = buildPointerStatement(revoked);
    expect(readPointerStatement(made, repository)).toEqual(revoked);
    const [, told = {}] = (made.predicate as unknown as PolicyPointer).predecessors;
    expect(Object.keys(told)).not.toContain("revoked");
  });

  test.each<[what: string, problem: string | RegExp, given: typeof statement, at?: Repository]>([
    [
      "of another type",
      "it is a statement of type a, not of which policy is in force",
      { ...statement, predicateType: "a" },
    ],
    ["with a field that there is not", /more/, withPredicate({ more: 1 })],
    ["of no repository", /repositories/, withPredicate({ repositories: [] })],
    [
      "of two lines' problems, in one line",
      /^[^\n]*serial ✖ [^\n]*source[^\n]*$/,
      withPredicate({ serial: 0, source: 1 }),
    ],
    ["with a digest that is none", /expected a digest/, withPredicate({ digest: "sha256:1" })],
    [
      "made for another repository",
      `it was made for ${where}`,
      statement,
      { ...repository, name: "other/goldenpath-policy" },
    ],
    [
      "made for two others",
      "it was made for a.test/goldenpath-policy, b.test/goldenpath-policy",
      withPredicate({ repositories: ["a.test/goldenpath-policy", "b.test/goldenpath-policy"] }),
    ],
    [
      "about another policy",
      "its subject is another policy than it names",
      { ...statement, subject: [{ name: "policy.yaml", digest: digestSet(fakeDigest("6")) }] },
    ],
    ["of which the serial is its predecessor's", "its serials do not rise", withPredicate({ serial: 4 })],
    [
      "whose predecessors do not rise",
      "its serials do not rise",
      buildPointerStatement({ ...pointer, predecessors: predecessors.toReversed() }),
    ],
  ])("%s is refused", (_what, problem, given, at = repository) => {
    expect(readPointerStatement(given, at)).toEqual({
      problem: typeof problem === "string" ? problem : expect.stringMatching(problem),
    });
  });

  test("of several repositories or subjects is that of each", () => {
    const both = buildPointerStatement({ ...pointer, repositories: ["other.test/vetted/goldenpath-policy", where] });
    expect(readPointerStatement(both, repository)).toHaveProperty("serial", 7);
    const subject = [{ name: "other", digest: digestSet(fakeDigest("6")) }, ...statement.subject];
    expect(readPointerStatement({ ...statement, subject }, repository)).toHaveProperty("serial", 7);
  });
});

describe("an activation", () => {
  const next = policyOf({ serial: 8 });
  const plan = (change: Partial<ActivationFacts> = {}) =>
    planActivation({
      ...{
        repository,
        aliases: [],
        current: pointer,
        next,
        artifact: fakeDigest("b"),
        revoke: [],
        isFirst: false,
        now,
      },
      ...change,
    });
  const refusal = (change: Partial<ActivationFacts>) => {
    try {
      return plan(change);
    } catch (error) {
      const { code, message, wayOut } = error as { code: string; message: string; wayOut: string };
      return [code, message, wayOut];
    }
  };

  test("makes what was in force a predecessor", () => {
    const superseded = { serial: 7, digest: pointer.digest, activatedAt: pointer.activatedAt, supersededAt: now };
    expect(plan()).toEqual({
      ...{ repositories: [where], name: "acme", serial: 8, digest: next.digest, source: "policy.yaml" },
      ...{ artifact: fakeDigest("b"), activatedAt: now, predecessors: [...predecessors, superseded] },
    });
  });

  test("keeps what was withdrawn", () => {
    const withdrawals = [
      { thing: { kind: "image", digest: fakeDigest("1") } as const, reason: "r", owner: "o", at: ago(day) },
    ];
    expect(plan({ current: { ...pointer, withdrawals } })?.withdrawals).toEqual(withdrawals);
  });

  test("of the first has no predecessors, and is said to be that", () => {
    const made = { ...{ name: "acme", serial: 8, digest: next.digest, source: "policy.yaml" } };
    expect(plan({ current: undefined, isFirst: true })).toEqual({
      ...made,
      ...{ repositories: [where], artifact: fakeDigest("b"), activatedAt: now, predecessors: [] },
    });
    expect(refusal({ current: undefined })).toEqual([
      "policy-first",
      `no policy is in force in ${where}`,
      "Say --first where none ever was. Else find out who took the pointer away, and put it back: its serial and what was revoked must not be forgotten.",
    ]);
    expect(refusal({ isFirst: true })).toEqual([
      "policy-first",
      `a policy is in force in ${where} already: serial 7, ${pointer.digest}`,
      "Leave --first out.",
    ]);
    expect(refusal({ current: undefined, isFirst: true, revoke: [7] })).toEqual([
      "policy-revoke",
      "serial 7 can't be revoked: it is no predecessor (there is: none)",
      "Activate another policy first; then name a serial that was in force before it.",
    ]);
  });

  test("of what is in force already is none, also where it is said to be the first", () => {
    const same = policyOf({ serial: 7 }, pointer.digest);
    expect(plan({ next: same })).toBeUndefined();
    expect(plan({ next: same, isFirst: true })).toBeUndefined();
  });

  test("names what is reached by several names once", () => {
    const alias: Repository = { registry: "mirror.test", name: "vetted/goldenpath-policy" };
    const aliases = [alias, repository];
    const both = [where, "mirror.test/vetted/goldenpath-policy"];
    expect(plan({ aliases })?.repositories).toEqual(both);
    expect(plan({ current: undefined, isFirst: true, aliases: [alias] })?.repositories).toEqual(both);
    const same = policyOf({ serial: 7 }, pointer.digest);
    expect(plan({ next: same, aliases })).toEqual({ ...pointer, repositories: both });
    expect(plan({ next: same, aliases, current: { ...pointer, repositories: both } })).toBeUndefined();
  });

  test.each<[what: string, change: Partial<ActivationFacts>, ...refused: string[]]>([
    [
      "of another name",
      { next: policyOf({ name: "other", serial: 8 }) },
      "policy-name",
      `policy policy.yaml is 'other', and in force in ${where} is 'acme'`,
      "Keep the name as it is; a policy of another name starts in a repository of its own.",
    ],
    [
      "of another content under the serial",
      { next: policyOf({ serial: 7 }) },
      "policy-serial",
      `policy policy.yaml has another content under the same serial, and in force in ${where} is serial 7, ${pointer.digest}`,
      "Set serial to 8 or more: to take a change back, activate the older content under a new serial.",
    ],
    [
      "of an older serial, with the content in force",
      { next: policyOf({ serial: 6 }, pointer.digest) },
      "policy-serial",
      `policy policy.yaml has serial 6, and in force in ${where} is serial 7, ${pointer.digest}`,
      "Set serial to 8 or more: to take a change back, activate the older content under a new serial.",
    ],
    [
      "that revokes what never was",
      { revoke: [4, 3] },
      "policy-revoke",
      "serial 3 can't be revoked: it is no predecessor (there is: 2, 4, 7)",
      "Activate another policy first; then name a serial that was in force before it.",
    ],
  ])("%s is refused", (_what, change, ...refused) => expect(refusal(change)).toEqual(refused));

  test("revokes what it is told to, also without another policy, and once", () => {
    const revoked = ({ predecessors: all = [] }: Partial<PolicyPointer> = {}) =>
      all.map((each) => [each.serial, each.revoked]);
    expect(revoked(plan({ revoke: [4] }))).toEqual([
      [2, undefined],
      [4, true],
      [7, undefined],
    ]);
    expect(revoked(plan({ revoke: [7] }))).toContainEqual([7, true]);
    const same = policyOf({ serial: 7 }, pointer.digest);
    const after = plan({ next: same, revoke: [4] });
    expect(after).toMatchObject({ serial: 7, artifact: pointer.artifact, activatedAt: pointer.activatedAt });
    expect(revoked(after)).toEqual([
      [2, undefined],
      [4, true],
    ]);
    expect(plan({ next: same, current: after, revoke: [4] })).toBeUndefined();
    expect(revoked(plan({ next: same, current: after, revoke: [2] }))).toEqual([
      [2, true],
      [4, true],
    ]);
  });

  test("forgets the oldest of too many", () => {
    const many = Array.from({ length: maxPredecessors }, (_, index) => ({
      ...{ serial: index + 1, digest: fakeDigest("1"), activatedAt: ago(9 * day), supersededAt: ago(8 * day) },
    }));
    const current = { ...pointer, serial: maxPredecessors + 1, predecessors: many };
    const after = plan({ current, next: policyOf({ serial: maxPredecessors + 2 }) });
    expect(after?.predecessors).toHaveLength(maxPredecessors);
    expect(after?.predecessors[0]?.serial).toBe(2);
    expect(after?.predecessors.at(-1)?.serial).toBe(maxPredecessors + 1);
  });
});

describe("a promotion's policy", () => {
  const refusal = (loaded: LoadedPolicy) => {
    try {
      assertInForce(loaded, pointer);
      return "in force";
    } catch (error) {
      return error;
    }
  };
  const inForce = `; 'acme' serial 7 (${pointer.digest}) is in force in ${where}`;
  const again = `Run again with policy oci://${where}:in-force, which is always the one in force.`;

  test("in force is taken", () => expect(refusal(policyOf({ serial: 7 }, pointer.digest))).toBe("in force"));

  test.each<[what: string, given: LoadedPolicy, problem: string, wayOut: string]>([
    ["of another name", policyOf({ name: "other", serial: 7 }, pointer.digest), "is 'other', another policy", again],
    [
      "of another content",
      policyOf({ serial: 7 }),
      `has another content (${fakeDigest("8")}) under the same serial`,
      again,
    ],
    [
      "of a newer serial, with the content in force",
      policyOf({ serial: 8 }, pointer.digest),
      "has serial 8, which nobody has put in force",
      "Have the platform's signer run goldenpath policy activate.",
    ],
    [
      "that was superseded",
      policyOf({ serial: 4 }, fakeDigest("4")),
      `has serial 4, which was superseded on ${ago(2 * day).toISOString()}`,
      again,
    ],
    [
      "of a predecessor's serial",
      policyOf({ serial: 4 }, fakeDigest("2")),
      "has serial 4, which was never in force",
      again,
    ],
    [
      "of a predecessor's content",
      policyOf({ serial: 3 }, fakeDigest("4")),
      "has serial 3, which was never in force",
      again,
    ],
  ])("%s is refused", (_what, given, problem, wayOut) => {
    expect(refusal(given)).toMatchObject({
      ...{ rule: "policy.not-in-force", code: "policy-not-in-force" },
      ...{ message: `policy policy.yaml ${problem}${inForce}`, wayOut },
    });
  });
});

describe("whose evidence counts", () => {
  const own = { serial: 7, digest: pointer.digest };
  const listed = [
    { serial: 4, digest: fakeDigest("4") },
    { serial: 3, digest: fakeDigest("3") },
  ];
  const accepting = (accepts: Policy["accepts"], inForce?: PolicyPointer) =>
    listAcceptedVersions(policyOf({ serial: 7, accepts }, pointer.digest, inForce), now);
  const revoking = (serial: number): PolicyPointer => ({
    ...pointer,
    predecessors: predecessors.map((each) => (each.serial === serial ? { ...each, revoked: true as const } : each)),
  });

  test("by a list is what it says, but for what was revoked", () => {
    expect(accepting(listed)).toEqual([own, ...listed]);
    expect(accepting(listed, pointer)).toEqual([own, ...listed]);
    expect(accepting(listed, revoking(4))).toEqual([own, listed[1]]);
    expect(accepting(listed, revoking(2))).toEqual([own, ...listed]);
    // Another content under the serial that was revoked, and the content under another.
    const others = [
      { serial: 4, digest: fakeDigest("9") },
      { serial: 3, digest: fakeDigest("4") },
    ];
    expect(accepting(others, revoking(4))).toEqual([own, ...others]);
  });

  test("by a time is what was superseded no longer ago, and made until an hour after", () => {
    const version = (index: number) => {
      const { serial, digest, supersededAt } = predecessors[index] ?? predecessors[0] ?? { ...own, supersededAt: now };
      return { serial, digest, madeUntil: new Date(supersededAt.getTime() + hour) };
    };
    expect(accepting(2 * day, pointer)).toEqual([own, version(1)]);
    expect(accepting(2 * day - 1, pointer)).toEqual([own]);
    expect(accepting(9 * day, pointer)).toEqual([own, version(0), version(1)]);
    expect(accepting(9 * day, revoking(4))).toEqual([own, version(0)]);
    expect(accepting(9 * day)).toEqual([own]);
  });
});

describe("a policy that something was made under", () => {
  const made = (serial: number, character: string, time: Date) => ({
    ...{ serial, digest: digestSet(fakeDigest(character)), time },
  });
  const end = ago(2 * day);
  const late = new Date(end.getTime() + hour);
  const later = new Date(late.getTime() + 1);
  const revoked = { ...pointer, predecessors: predecessors.map((each) => ({ ...each, revoked: true as const })) };

  test("was in force where the pointer says so, and nobody has revoked it", () => {
    const was = (inForce: PolicyPointer | undefined, ...given: Parameters<typeof made>) =>
      wasInForce(inForce === undefined ? {} : { inForce }, made(...given));
    expect(was(undefined, 1, "1", now)).toBe(true);
    expect(was(pointer, 4, "4", late)).toBe(true);
    expect(was(pointer, 4, "4", later)).toBe(false);
    expect(was(pointer, 4, "2", late)).toBe(false);
    expect(was(pointer, 3, "4", late)).toBe(false);
    expect(was(revoked, 4, "4", late)).toBe(false);
    expect(was(pointer, 4, "4", new Date(Number.NaN))).toBe(false);
  });

  test("was not, and why", () => {
    const shop: Repository = { registry: "registry.test", name: "vetted/shop" };
    const why = (at: PolicyPointer, ...given: Parameters<typeof made>) => explainNotInForce(at, shop, made(...given));
    const never = "under serial 3 of a policy that was never in force";
    const over = "under serial 4 of the policy, after that had been superseded";
    expect(explainNotInForce(pointer, { ...shop, name: "other/shop" }, made(3, "3", now))).toBeUndefined();
    expect(why(pointer, 7, "7", now)).toBeUndefined();
    expect(why(pointer, 3, "3", now)).toBe(never);
    expect(why({ ...pointer, predecessors: [] }, 3, "3", now)).toBe(never);
    expect(why(pointer, 4, "4", late)).toBeUndefined();
    expect(why(revoked, 4, "4", late)).toBeUndefined();
    expect(why(pointer, 4, "4", later)).toBe(over);
  });

  test("is not told of what a full pointer has forgotten", () => {
    const shop: Repository = { registry: "registry.test", name: "vetted/shop" };
    const full = (length: number): PolicyPointer => ({
      ...pointer,
      ...{ serial: 500 },
      predecessors: Array.from({ length }, (_, index) => ({
        ...{ serial: 10 + index, digest: fakeDigest("1"), activatedAt: ago(9 * day), supersededAt: ago(8 * day) },
      })),
    });
    const why = (at: PolicyPointer, serial: number, time: Date) => explainNotInForce(at, shop, made(serial, "3", time));
    const before = ago(9 * day - hour);
    expect(why(full(maxPredecessors), 9, before)).toBeUndefined();
    expect(why(full(maxPredecessors), 9, new Date(before.getTime() + 1))).toMatch(/never in force/);
    expect(why(full(maxPredecessors), 10, before)).toMatch(/never in force/);
    expect(why(full(maxPredecessors - 1), 9, before)).toMatch(/never in force/);
  });
});
