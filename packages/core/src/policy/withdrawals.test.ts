import type { UserError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { policy as sample } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { buildPointerStatement, maxPredecessors, planActivation, readPointerStatement } from "./pointer.ts";
import { maxPointerBytes } from "./pointer-artifact.ts";
import type { PolicyPointer, Withdrawal } from "./pointer-facts.ts";
import {
  describeWithdrawn,
  encodeWithdrawals,
  findWithdrawn,
  maxWithdrawalBytes,
  maxWithdrawals,
  planWithdrawal,
  putInForce,
  withdrawalsSchema,
} from "./withdrawals.ts";

const now = new Date("2026-11-09T12:00:00Z");
const at = new Date("2026-11-08T12:00:00Z");
const image = { kind: "image", digest: digestOf("image") } as const;
const base = { kind: "base", digest: digestOf("image") } as const;
const signer = { kind: "signer", name: "scan", from: new Date("2026-11-03T00:00:00Z") } as const;
const ask = { reason: "it leaks", owner: "security@acme.example", isUndo: false, now };
const of = (thing: Withdrawal["thing"], more: Partial<Withdrawal> = {}): Withdrawal => ({
  thing,
  reason: "r",
  owner: "o",
  at,
  ...more,
});
const undo = { ...ask, isUndo: true };

describe("refused", () => {
  test.each<[what: string, code: string, run: () => unknown]>([
    ["without a reason", "arguments-invalid", () => planWithdrawal([], { ...ask, thing: image, reason: " " })],
    ["without an owner", "arguments-invalid", () => planWithdrawal([], { ...ask, thing: image, owner: "" })],
    [
      "with a reason of a book",
      "arguments-invalid",
      () => planWithdrawal([], { ...ask, thing: image, reason: "x".repeat(501) }),
    ],
    [
      "to lift what is not withdrawn",
      "withdrawal-unknown",
      () => planWithdrawal([of(base)], { ...undo, thing: image }),
    ],
    [
      "to lift what was lifted",
      "withdrawal-unknown",
      () => planWithdrawal([of(image, { lifted: { reason: "r", owner: "o", at } })], { ...undo, thing: image }),
    ],
    [
      "to lift a signer from another time",
      "withdrawal-unknown",
      () => planWithdrawal([of(signer)], { ...undo, thing: { ...signer, from: now } }),
    ],
    [
      "to lift another signer",
      "withdrawal-unknown",
      () => planWithdrawal([of(signer)], { ...undo, thing: { ...signer, name: "base" } }),
    ],
    [
      "one more than there is room for",
      "withdrawals-full",
      () =>
        planWithdrawal(
          Array.from({ length: maxWithdrawals }, (_, index) => of({ ...image, digest: digestOf(`${index}`) })),
          { ...ask, thing: image },
        ),
    ],
  ])("%s", (_what, code, run) => {
    expect(run).toThrow(expect.objectContaining({ code }));
  });
});

test("a withdrawal stays, is none twice, and says so when it was lifted", () => {
  const once = planWithdrawal([of(base)], { ...ask, thing: image });
  expect(once).toEqual([of(base), { thing: image, reason: "it leaks", owner: "security@acme.example", at: now }]);
  expect(planWithdrawal(once ?? [], { ...ask, thing: image })).toBeUndefined();
  const lifted = planWithdrawal(once ?? [], { ...undo, thing: image, reason: "a false alarm" });
  expect(lifted?.[1]?.lifted).toEqual({ reason: "a false alarm", owner: "security@acme.example", at: now });
  expect(lifted?.[0]).toEqual(of(base));
  expect(planWithdrawal(lifted ?? [], { ...ask, thing: image })).toHaveLength(3);
  expect(planWithdrawal([of(signer)], { ...ask, thing: { ...signer, from: now } })).toHaveLength(2);
});

test("an index takes its children along, and gives back those that went with it", () => {
  const [child, sibling] = [digestOf("child"), digestOf("sibling")];
  const children = [child, sibling];
  const own = of({ kind: "image", digest: sibling });
  const all = planWithdrawal([own], { ...ask, thing: image, children });
  expect(all?.map(({ thing }) => thing)).toEqual([own.thing, image, { kind: "image", digest: child }]);
  expect(planWithdrawal(all ?? [], { ...ask, thing: image, children })).toBeUndefined();
  const lifted = planWithdrawal(all ?? [], { ...undo, thing: image, children });
  expect(lifted?.map((each) => each.lifted !== undefined)).toEqual([false, true, true]);
  const one = planWithdrawal(all ?? [], { ...undo, thing: { kind: "image", digest: child } });
  expect(one?.map((each) => each.lifted !== undefined)).toEqual([false, false, true]);
  // A child that is missing is added.
  expect(planWithdrawal([of(image)], { ...ask, thing: image, children })).toHaveLength(3);
});

test("where there is no room, what was lifted goes first", () => {
  const lifted = of(base, { lifted: { reason: "r", owner: "o", at } });
  const full = [
    of(signer),
    lifted,
    ...Array.from({ length: maxWithdrawals - 2 }, (_, index) => of({ ...image, digest: digestOf(`${index}`) })),
  ];
  const next = planWithdrawal(full, { ...ask, thing: image });
  expect(next).toHaveLength(maxWithdrawals);
  expect(next?.[0]).toEqual(of(signer));
  expect(next).not.toContainEqual(lifted);
});

describe("the longest of reasons, in letters of three bytes", () => {
  const reason = "\u6f0f".repeat(500);
  const owner = "\u793e".repeat(200);
  const long = (index: number, more: Partial<Withdrawal> = {}) =>
    of({ ...image, digest: digestOf(`${index}`) }, { reason, owner, ...more });
  const all = Array.from({ length: maxWithdrawals - 1 }, (_, index) => long(index));
  const fits = (withdrawals: readonly Withdrawal[] = []): boolean => {
    const predecessors = Array.from({ length: maxPredecessors }, (_, index) => {
      const { digest, activatedAt } = pointer;
      return { serial: index + 1, digest, activatedAt, supersededAt: now, revoked: true as const };
    });
    const full = { ...pointer, serial: maxPredecessors + 1, predecessors, withdrawals };
    // In base64, beside a signature.
    return JSON.stringify(buildPointerStatement(full)).length * (4 / 3) + 2048 < maxPointerBytes;
  };

  test("are refused where the pointer would be larger than what is read, and its twin with fewer is not", () => {
    expect(() => planWithdrawal(all, { ...ask, thing: image })).toThrow(
      expect.objectContaining({ code: "withdrawals-full" }),
    );
    const fewer = planWithdrawal(all.slice(0, 50), { ...ask, thing: image });
    expect(fewer).toHaveLength(51);
    expect(fits(fewer)).toBe(true);
  });

  test("are told with what makes room, also where there are as many as it holds", () => {
    expect(() => planWithdrawal(all, { ...ask, thing: image })).toThrow(
      expect.objectContaining({
        message: `99 things are withdrawn, and the pointer holds ${maxWithdrawalBytes} bytes of what is said of them`,
        wayOut: expect.stringMatching(/^Give a shorter reason\. Take signers and bases out/),
      }),
    );
  });

  test("of what was lifted keep nobody from withdrawing, nor from lifting", () => {
    const lifted = all.map((_each, index) => long(index, { lifted: { reason, owner, at } }));
    const next = planWithdrawal(lifted, { ...ask, thing: image });
    expect(next?.at(-1)?.thing).toEqual(image);
    expect(fits(next)).toBe(true);
    const active = all.slice(0, 50);
    const thing = active.at(-1)?.thing ?? image;
    expect(fits(planWithdrawal(active, { ...undo, thing, reason, owner }))).toBe(true);
  });
});

test("what is said is taken to the last byte that the pointer holds", () => {
  const plan = (length: number) =>
    planWithdrawal([of(base, { reason: "r".repeat(length) })], { ...ask, thing: image }) ?? [];
  const sizeOf = (withdrawals: readonly Withdrawal[]): number => JSON.stringify(encodeWithdrawals(withdrawals)).length;
  const most = maxWithdrawalBytes - sizeOf(plan(0));
  expect(() => plan(most + 1)).toThrow(expect.objectContaining({ code: "withdrawals-full" }));
  expect(sizeOf(plan(most))).toBe(maxWithdrawalBytes);
});

const repository = { registry: "registry.example", name: "vetted/goldenpath-policy" };
const pointer: PolicyPointer = {
  repositories: ["registry.example/vetted/goldenpath-policy"],
  ...{ name: "acme", serial: 5, digest: digestOf("policy"), source: "policy.yaml", artifact: digestOf("artifact") },
  ...{ activatedAt: at, predecessors: [] },
};

test("what is signed is read again, and a pointer without withdrawals is as ever", () => {
  const withdrawals = [of(image), of(signer, { lifted: { reason: "r", owner: "o", at: now } })];
  expect(readPointerStatement(buildPointerStatement({ ...pointer, withdrawals }), repository)).toEqual({
    ...pointer,
    withdrawals,
  });
  expect(buildPointerStatement({ ...pointer, withdrawals: [] })).toEqual(buildPointerStatement(pointer));
  expect(JSON.stringify(buildPointerStatement(pointer))).not.toContain("withdrawals");
  const statement = buildPointerStatement({ ...pointer, withdrawals });
  const broken = { ...statement, predicate: { ...statement.predicate, withdrawals: [{ thing: { kind: "all" } }] } };
  expect(readPointerStatement(broken, repository)).toHaveProperty("problem");
});

test("the next policy forgets none of them", () => {
  const next = { policy: { name: "acme", serial: 6 }, uri: "p", digest: digestOf("next") } as never;
  const facts = { repository, aliases: [], next, artifact: digestOf("a"), revoke: [], isFirst: false, now };
  expect(planActivation({ ...facts, current: { ...pointer, withdrawals: [of(image)] } })).toMatchObject({
    serial: 6,
    withdrawals: [of(image)],
  });
});

describe("a signer that was withdrawn", () => {
  const [third, ninth] = [new Date("2026-11-03T00:00:00Z"), new Date("2026-11-09T00:00:00Z")];
  const from = (time: Date, more: Partial<Withdrawal> = {}) => of({ ...signer, from: time }, more);
  const lifted = { reason: "a false alarm", owner: "o", at: now };
  const until = (withdrawals: Withdrawal[] | undefined, ends?: Date, name = "scan") => {
    const scan = { publicKey: "x", ...(ends === undefined ? {} : { until: ends }) };
    const signers = { ...sample.policy.signers, scan };
    const loaded = putInForce({ ...sample, policy: { ...sample.policy, signers } }, { ...pointer, withdrawals });
    return loaded.policy.signers[name]?.until;
  };

  test("counts until then, by the earliest, and never longer than the policy says", () => {
    expect(until(undefined)).toBeUndefined();
    expect(until([from(third)])).toEqual(third);
    expect(until([from(ninth), from(third)])).toEqual(third);
    expect(until([from(third), from(ninth)])).toEqual(third);
    expect(until([from(third, { lifted }), from(ninth)])).toEqual(ninth);
    expect(until([from(third)], undefined, "base")).toBeUndefined();
    expect(until([from(ninth)], third)).toEqual(third);
    expect(until([from(third)], ninth)).toEqual(third);
  });

  test("is the same policy as ever where no signer was, and the pointer is told either way", () => {
    const told = { ...pointer, withdrawals: [of(image)] };
    const loaded = putInForce(sample, told);
    expect(loaded.policy).toBe(sample.policy);
    expect(loaded.inForce).toBe(told);
    expect(putInForce(sample, { ...pointer, withdrawals: [from(third)] }).policy).not.toBe(sample.policy);
  });
});

test("an image and a base are found by their digest, as which of the two they were ever meant", () => {
  const other = digestOf("another image");
  const lifted = { reason: "r", owner: "o", at: now };
  const find = (digest: Digest, ...withdrawals: Withdrawal[]) =>
    findWithdrawn({ inForce: { ...pointer, withdrawals } }, digest)?.thing;
  expect(find(image.digest, of(signer), of(image))).toEqual(image);
  expect(find(base.digest, of({ ...base, digest: other }), of(base))).toEqual(base);
  expect(find(other, of(image))).toBeUndefined();
  expect(find(image.digest, of(image, { lifted }))).toBeUndefined();
  expect(findWithdrawn({}, image.digest)).toBeUndefined();
  expect(findWithdrawn({ inForce: pointer }, image.digest)).toBeUndefined();
});

test("a withdrawal is told by what it is of", () => {
  expect(describeWithdrawn(image)).toBe(`image ${image.digest}`);
  expect(describeWithdrawn(base)).toBe(`base ${image.digest}`);
  expect(describeWithdrawn(signer)).toBe("signer 'scan' from 2026-11-03T00:00:00.000Z on");
});

describe("the pointer's withdrawals", () => {
  const earlier = "2026-11-03T00:00:00.000Z";
  const [written] = encodeWithdrawals([of(image)]);
  const isRead = (...entries: object[]) => withdrawalsSchema.safeParse(entries).success;
  const changed = (more: object) => isRead({ ...written, ...more });

  test("are read as they are written", () => {
    const all = [of(image), of(base, { lifted: { reason: "l", owner: "p", at: now } }), of(signer)];
    expect(withdrawalsSchema.parse(encodeWithdrawals(all))).toEqual(all);
    expect(encodeWithdrawals([of(image)])[0]).not.toHaveProperty("lifted");
  });

  test.each<[what: string, refused: object, twin: object]>([
    ["of no digest", { thing: { kind: "image", digest: "sha256:1" } }, { thing: image }],
    ["of a base of no digest", { thing: { kind: "base", digest: "latest" } }, { thing: base }],
    ["of what is neither", { thing: { ...image, kind: "tag" } }, { thing: { ...image, kind: "base" } }],
    ["with a key that nobody knows", { thing: { ...image, name: "x" } }, { thing: image }],
    [
      "of a signer of no name",
      { thing: { ...signer, name: "", from: earlier } },
      { thing: { ...signer, from: earlier } },
    ],
    ["of a signer from no time", { thing: { ...signer, from: "soon" } }, { thing: { ...signer, from: earlier } }],
    ["without a reason", { reason: "" }, { reason: "r" }],
    ["with a reason of a book", { reason: "x".repeat(501) }, { reason: "x".repeat(500) }],
    ["without an owner", { owner: "" }, { owner: "o" }],
    ["with an owner of a book", { owner: "x".repeat(201) }, { owner: "x".repeat(200) }],
    ["of no time", { at: "yesterday" }, { at: earlier }],
    ["with a word more", { by: "x" }, {}],
    [
      "lifted by nobody",
      { lifted: { reason: "r", at: earlier } },
      { lifted: { reason: "r", owner: "o", at: earlier } },
    ],
  ])("one %s is refused, and its twin is read", (_what, refused, twin) => {
    expect(changed(refused)).toBe(false);
    expect(changed(twin)).toBe(true);
  });

  test("are told to have no digest where they have none", () => {
    const { error } = withdrawalsSchema.safeParse([{ ...written, thing: { ...image, digest: "" } }]);
    expect(error?.issues.map(({ message }) => message)).toEqual(["expected a digest"]);
  });

  test("are so many at most", () => {
    const many = (count: number) => isRead(...Array.from({ length: count }, () => written as object));
    expect(many(maxWithdrawals)).toBe(true);
    expect(many(maxWithdrawals + 1)).toBe(false);
  });
});
describe("who asks is told what is wrong", () => {
  const tell = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      const { message, wayOut } = error as UserError;
      return [message, wayOut];
    }
  };

  test("with what is said, to the letter", () => {
    const plan = (more: object) => planWithdrawal([], { ...ask, thing: image, ...more });
    const reason = "--reason says nothing, or is longer than 500 characters";
    const owner = "--owner says nothing, or is longer than 200 characters";
    expect(() => plan({ reason: "" })).toThrow(reason);
    expect(() => plan({ reason: "x".repeat(501) })).toThrow(reason);
    expect(plan({ reason: "x".repeat(500) })).toHaveLength(1);
    expect(() => plan({ owner: " " })).toThrow(owner);
    expect(() => plan({ owner: "x".repeat(201) })).toThrow(owner);
    expect(plan({ owner: "x".repeat(200) })).toHaveLength(1);
  });

  test("with what there is to lift", () => {
    const lifted = { reason: "r", owner: "o", at };
    const wayOut = "Name what was withdrawn, a signer with the same --from.";
    expect(tell(() => planWithdrawal([], { ...undo, thing: image }))).toEqual([
      `image ${image.digest} is not withdrawn (there is: nothing)`,
      wayOut,
    ]);
    const some = [of(base), of(image, { lifted }), of(signer)];
    expect(tell(() => planWithdrawal(some, { ...undo, thing: image }))).toEqual([
      `image ${image.digest} is not withdrawn (there is: base ${base.digest}, signer 'scan' from 2026-11-03T00:00:00.000Z on)`,
      wayOut,
    ]);
  });

  test("with what makes room", () => {
    const full = Array.from({ length: maxWithdrawals }, (_, index) => of({ ...image, digest: digestOf(`${index}`) }));
    expect(tell(() => planWithdrawal(full, { ...ask, thing: image }))).toEqual([
      "100 things are withdrawn, and the pointer holds 100",
      "Take signers and bases out of the policy, and activate it; then lift what that covers.",
    ]);
    expect(planWithdrawal(full.slice(1), { ...ask, thing: image })).toHaveLength(maxWithdrawals);
  });
});

test("a base of the image's digest is no child that went with it, nor is what was withdrawn at another time", () => {
  const child = digestOf("child");
  const before = [of(image), of({ kind: "base", digest: child }), of({ kind: "image", digest: child }, { at: now })];
  const isLifted = (...given: Withdrawal[]) =>
    planWithdrawal(given, { ...undo, thing: image, children: [child] })?.map((each) => each.lifted !== undefined);
  expect(isLifted(...before)).toEqual([true, false, false]);
  expect(isLifted(...before, of({ kind: "image", digest: child }))).toEqual([true, false, false, true]);
  // What was lifted before says so as it did then.
  const early = { reason: "early", owner: "o", at };
  const again = planWithdrawal([of(image), of({ kind: "image", digest: child }, { lifted: early })], {
    ...undo,
    ...{ thing: image, children: [child] },
  });
  expect(again?.map(({ lifted }) => lifted?.reason)).toEqual([undo.reason, "early"]);
});

test("a signer and an image, a base and an image of one digest are different things", () => {
  expect(planWithdrawal([of(signer)], { ...ask, thing: image })).toHaveLength(2);
  expect(planWithdrawal([of(image)], { ...ask, thing: signer })).toHaveLength(2);
  expect(planWithdrawal([of(base)], { ...ask, thing: image })).toHaveLength(2);
  expect(planWithdrawal([of(signer)], { ...ask, thing: { ...signer, name: "base" } })).toHaveLength(2);
  expect(planWithdrawal([of(signer)], { ...ask, thing: { ...signer } })).toBeUndefined();
});
