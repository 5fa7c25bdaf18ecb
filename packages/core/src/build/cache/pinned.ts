import type { Policy, PolicyBuilder } from "../../policy/schema.ts";
import { findStrategy, type StrategyName } from "../strategies/find.ts";
import { digestBuilder } from "./key.ts";

/** Of a builder, what this version of the policy pins of it. SHA-256 in hex. */
export function digestPinned(builder: PolicyBuilder, strategy: StrategyName, policy: Policy): string {
  return digestBuilder({ name: builder.name, strategy, pinned: findStrategy(strategy).plan(builder, policy.bases) });
}
