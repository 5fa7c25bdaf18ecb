import { decideGate as decide } from "@goldenpath/core/gate/decide";
import type { GateDecision, GateFacts } from "@goldenpath/core/gate/facts";
import { formatGateFacts, parseGateFacts } from "@goldenpath/core/gate/facts-json";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { expect } from "vitest";

/** The gate's decision, which has to be the same on these facts once they have been JSON. */
export function decideGate(facts: GateFacts): GateDecision {
  const decision = decide(facts);
  const { policy } = facts.policy;
  const environments = { ...policy.environments, [facts.environmentName]: facts.environment };
  const read: LoadedPolicy = { ...facts.policy, policy: { ...policy, environments } };
  const again = parseGateFacts(Buffer.from(formatGateFacts(facts)), read);
  expect(decide({ ...again, policy: facts.policy })).toEqual(decision);
  return decision;
}
