import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  edited,
  factsOf,
  image,
  imageLayers,
  minute,
  now,
  other,
  policy,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { putInForce } from "../policy/withdrawals.ts";
import type { SignerTimes } from "../signing/signer-times.ts";

const hour = 60 * minute;
const digest = digestOf("an approved base");
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

/** A base that these have approved. */
const approvedBy = (signers: string[], signedAt?: Date) => ({
  ...{ name: "golden", digest },
  approval: {
    ...{ approvedAt: ago(2 * hour).toISOString(), endOfLife: "2026-12-31", role: "both", signers },
    ...(signedAt === undefined ? {} : { signedAt: signedAt.toISOString() }),
  },
});
/** One that the policy lists. */
const listed = { name: "golden", digest: digestOf("base") };

/** What the gate says of the image by the children that the base stage has found. */
function askOf(loaded: LoadedPolicy, children: object[], more: Parameters<typeof factsOf>[1] = {}): string[] {
  const all = whole();
  const base = edited(all.base, ["children"], children);
  const { violations } = decideGate(factsOf([...without(all, "base"), base], { policy: loaded, ...more }));
  return violations.map(({ rule, problem }) => `${rule}: ${problem}`);
}
const own = { digest: image, layers: imageLayers };
const ask = (loaded: LoadedPolicy, signers: string[], signedAt?: Date): string[] =>
  askOf(loaded, [{ ...own, base: approvedBy(signers, signedAt) }]);

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

test("an approval that can't be read in the finding is refused, whatever stands beside it", () => {
  const unread = /^gate\.withdrawn: by whose approval the base counts can't be read/;
  const loaded = approvers({ a: {} });
  for (const approval of [{}, null, { signers: "a" }, { signers: ["a"], signedAt: "soon" }, "a"]) {
    const child = { ...own, base: { ...listed, digest, approval } };
    expect(askOf(loaded, [child])).toEqual([expect.stringMatching(unread)]);
    expect(askOf(loaded, [{ ...own, base: listed }, child])).toEqual([expect.stringMatching(unread)]);
  }
  // Of a finding that has no images nobody knows anything.
  for (const children of ["a", null, [null], [{ digest: 5 }]])
    expect(askOf(loaded, children as object[])).toEqual([expect.stringMatching(/^gate\.layers: /)]);
  expect(
    askOf(loaded, [{ digest: 5 }, null, { ...own, base: { ...listed, digest, approval: {} } }] as object[]),
  ).toEqual(expect.arrayContaining([expect.stringMatching(unread)]));
  for (const more of [{ base: "a" }, { base: { digest: 1 } }, { base: listed, sameLayers: "a" }])
    expect(askOf(loaded, [{ ...own, ...more }])).toEqual([expect.stringMatching(unread)]);
});

test("of several images each is asked for its own base, and one on a listed base lets no other pass", () => {
  const ended = approvers({ a: { until: now } });
  const bad = { base: approvedBy(["a"]) };
  const of = (digest: string, more: object) => ({ digest, layers: imageLayers, ...more });
  const pair = (first: object, second: object) => [of(image, first), of(other, second)];
  const index = { image: { children: [image, other] } };
  const about = (children: object[]) =>
    askOf(ended, children, index).filter((problem) => problem.startsWith("gate.withdrawn")).length;
  expect(about(pair({ base: listed }, { base: listed }))).toBe(0);
  expect(askOf(ended, pair(bad, { base: listed }))).toHaveLength(1);
  expect(askOf(ended, pair({ base: listed }, bad))).toEqual([]);
  expect(
    askOf(ended, [
      { ...own, base: listed },
      { ...own, ...bad },
    ]),
  ).toHaveLength(1);
});

test("an image on a base that the policy lists, or that another version has the layers of, needs no word of the old one", () => {
  const ended = approvers({ a: { until: now }, b: {} });
  const bad = approvedBy(["a"]);
  expect(askOf(ended, [{ ...own, base: bad, sameLayers: [bad] }])).toHaveLength(1);
  expect(askOf(ended, [{ ...own, base: bad, sameLayers: [listed] }])).toEqual([]);
  expect(askOf(ended, [{ ...own, base: bad, sameLayers: [approvedBy(["b"])] }])).toEqual([]);
  expect(askOf(ended, [{ ...own, base: { ...bad, digest: listed.digest } }])).toEqual([]);
  // Of what counted by a list of then, the policy's own lists are asked with the verdict.
  expect(askOf(ended, [{ ...own, base: { name: "golden", digest } }])).toEqual([]);
  const several = { name: "another", image: "r.test/another", digests: [digestOf("x"), listed.digest] };
  const more = { ...ended, policy: { ...ended.policy, bases: [{ ...several, digests: [digestOf("y")] }, several] } };
  expect(askOf(more as unknown as LoadedPolicy, [{ ...own, base: { ...bad, digest: listed.digest } }])).toEqual([]);
  expect(askOf(more as unknown as LoadedPolicy, [{ ...own, base: bad }])).toHaveLength(1);
  // Where an approval is asked for besides the list, it has to hold.
  const [base] = ended.policy.bases;
  const both = { ...base, approval: { signers: ["a"] } } as unknown as LoadedPolicy["policy"]["bases"][number];
  const asking = { ...ended, policy: { ...ended.policy, bases: [both] } };
  expect(askOf(asking, [{ ...own, base: { ...bad, digest: listed.digest } }])).toHaveLength(1);
  // Of an image that stands on none, the base stage has said so.
  expect(askOf(ended, [own])).toEqual([]);
  expect(askOf(ended, [{ ...own, base: null }])).toEqual([]);
});

test("a base is asked for its approval whether or not it is told by its digest", () => {
  const { digest: _, ...undigested } = approvedBy(["a"]);
  expect(askOf(approvers({ a: { until: now } }), [{ ...own, base: undigested }])).toEqual([
    expect.stringMatching(/^gate\.withdrawn: the approval of the base that it names counts no more: /),
  ]);
  expect(askOf(approvers({ a: {} }), [{ ...own, base: undigested }])).toEqual([]);
});

test("what the base stage has signed is shown clean, with the way out", () => {
  const all = whole();
  const base = edited(all.base, ["children"], [{ ...own, base: approvedBy(["a"]) }]);
  const { violations } = decideGate(factsOf([...without(all, "base"), base], { policy: approvers({}) }));
  expect(violations).toMatchObject([{ wayOut: expect.stringMatching(/^Have the base approved again.*\. Run /) }]);
  expect(ask(approvers({}), ["a\u001b[31mb"])).toEqual([expect.stringContaining("by 'ab', whom the policy")]);
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
