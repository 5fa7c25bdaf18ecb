import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { buildPointerStatement, planActivation, readPointerStatement } from "./pointer.ts";
import type { PolicyPointer, Withdrawal } from "./pointer-facts.ts";
import { maxWithdrawals, planWithdrawal } from "./withdrawals.ts";

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
