import { digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  ago,
  factsOf,
  minute,
  other,
  policy,
  rulesOf,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { LoadedPolicy } from "../policy/schema.ts";
import { putInForce } from "../policy/withdrawals.ts";

// A verdict under a policy that was superseded counts if it was made before that: by whoever says when it was signed,
// and only where nobody does by its own word.

const hour = 60 * minute;
const before = { serial: 6, digest: digestOf("the policy of serial 6") };
const inForce: LoadedPolicy = putInForce(
  { ...policy, policy: { ...policy.policy, accepts: 999 * hour } },
  {
    repositories: ["registry.example/vetted/goldenpath-policy"],
    ...{ name: "acme", serial: 7, digest: policy.digest, source: "policy.yaml", artifact: other },
    ...{ activatedAt: ago(10 * hour), withdrawals: [] },
    predecessors: [{ ...before, activatedAt: ago(99 * hour), supersededAt: ago(10 * hour) }],
  },
);

// What was under way when the policy changed has an hour to end.
test.each<[what: string, rules: string[], verified: number, signed: number | undefined]>([
  ["made before, by its own word alone", [], 20, undefined],
  ["made after, by its own word alone", ["gate.policy-serial"], 2, undefined],
  ["made and signed before", [], 20, 19],
  ["made before by its own word, and signed after", ["gate.policy-serial"], 20, 2],
])("under a policy that was superseded, a verdict %s", (_what, rules, verified, signed) => {
  const all = whole();
  const made = summary("base", "base", [all.base], {
    policy: { uri: "policy.yaml", ...before },
    timeVerified: ago(verified * hour),
  });
  const verdict = signed === undefined ? made : { ...made, time: ago(signed * hour) };
  expect(rulesOf(factsOf([...without(all, "baseVerdict"), verdict], { policy: inForce }))).toEqual(rules);
});
