import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import { ago, edited, factsOf, minute, now, policy, whole, without } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { putInForce } from "../policy/withdrawals.ts";
import type { SignerTimes } from "../signing/signer-times.ts";

const hour = 60 * minute;
const digest = digestOf("base");
const approvers = (times: Record<string, SignerTimes>): LoadedPolicy => ({
  ...policy,
  policy: {
    ...policy.policy,
    signers: {
      ...policy.policy.signers,
      ...Object.fromEntries(Object.entries(times).map(([name, each]) => [name, { publicKey: name, ...each }])),
    },
  },
});
const withdrawn = (loaded: LoadedPolicy, name: string, from: Date): LoadedPolicy =>
  putInForce(loaded, {
    withdrawals: [{ thing: { kind: "signer", name, from }, reason: "r", owner: "o", at: ago(minute) }],
  } as unknown as PolicyPointer);

/** What the gate says of an image on a base that these have approved. */
function ask(loaded: LoadedPolicy, signers: string[], signedAt?: Date): string[] {
  const all = whole();
  const dated = signedAt === undefined ? {} : { signedAt: signedAt.toISOString() };
  const approval = {
    approvedAt: ago(2 * hour).toISOString(),
    endOfLife: "2026-12-31",
    role: "both",
    signers,
    ...dated,
  };
  const base = edited(all.base, ["children", 0, "base"], { name: "golden", digest, approval });
  const { violations } = decideGate(factsOf([...without(all, "base"), base], { policy: loaded }));
  return violations.map(({ rule, problem }) => `${rule}: ${problem}`);
}

test.each<[what: string, loaded: LoadedPolicy, signers: string[], signedAt: Date | undefined, says: RegExp]>([
  [
    "was withdrawn, and nobody dates it",
    withdrawn(approvers({ a: {} }), "a", ago(hour)),
    ["a"],
    undefined,
    /nobody else/,
  ],
  [
    "was withdrawn before it was signed",
    withdrawn(approvers({ a: {} }), "a", ago(2 * hour)),
    ["a"],
    ago(hour),
    /signed at/,
  ],
  ["has ended", approvers({ a: { until: now } }), ["a"], undefined, /whose word counts until/],
  ["began later", approvers({ a: { from: ago(hour) } }), ["a"], ago(2 * hour), /whose word counts from/],
  ["the policy has no more", approvers({}), ["a"], ago(hour), /'a', whom the policy does not name$/],
  [
    "has ended, each of several",
    approvers({ a: { until: now }, b: { until: now } }),
    ["a", "b"],
    undefined,
    /'a'.*; .*'b'/,
  ],
  ["nobody has", approvers({}), [], undefined, /nobody has signed it$/],
])("a base by the approval of one whose word %s is refused", (_what, loaded, signers, signedAt, says) => {
  const [problem, ...more] = ask(loaded, signers, signedAt);
  expect(problem).toContain(`gate.withdrawn: the approval of the base ${digest} counts no more: `);
  expect(problem).toMatch(says);
  expect(more).toEqual([]);
});

test("an approval that can't be read in the finding is refused", () => {
  const all = whole();
  for (const approval of [{}, { signers: "a" }, { signers: ["a"], signedAt: "soon" }, "a"]) {
    const base = edited(all.base, ["children", 0, "base"], { name: "golden", digest, approval });
    const { violations } = decideGate(factsOf([...without(all, "base"), base], { policy: approvers({ a: {} }) }));
    expect(violations).toMatchObject([{ rule: "gate.withdrawn", problem: expect.stringContaining("can't be read") }]);
  }
});

test.each<[what: string, loaded: LoadedPolicy, signers: string[], signedAt?: Date]>([
  ["counts", approvers({ a: {} }), ["a"]],
  ["was withdrawn from after it was signed", withdrawn(approvers({ a: {} }), "a", ago(hour)), ["a"], ago(2 * hour)],
  ["has not ended", approvers({ a: { until: ago(-hour) } }), ["a"]],
  ["has ended, beside one whose word counts", approvers({ a: { until: now }, b: {} }), ["a", "b"]],
  ["counts, where another's was withdrawn", withdrawn(approvers({ a: {}, b: {} }), "b", ago(hour)), ["a"]],
])("and by the approval of one whose word %s it is not", (_what, loaded, signers, signedAt) => {
  expect(ask(loaded, signers, signedAt)).toEqual([]);
});
