import { runGate } from "@goldenpath/core/gate/verify";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { expect } from "vitest";

/** A policy's text → the policy, as if from a file of that name. */
export function loadText(text: string): LoadedPolicy {
  return { policy: parsePolicy(Buffer.from(text), "policy.yaml"), uri: "policy.yaml", digest: digestOf(text) };
}

export interface GateAnswer {
  verdict: string;
  /** `RULE: PROBLEM`. */
  violations: string[];
}

/** What the gate of production says of an image. */
export async function askGate(
  client: RegistryClient,
  image: string,
  policy: LoadedPolicy,
  now = new Date(),
): Promise<GateAnswer> {
  const { verdict, violations } = await runGate(client, parseReference(image), "production", policy, now);
  return { verdict, violations: violations.map(({ rule, problem }) => `${rule}: ${problem}`) };
}

export const passed: GateAnswer = { verdict: "pass", violations: [] };

/** Refused for one reason, and for no other. */
export async function expectRefused(given: Promise<GateAnswer>, says: RegExp): Promise<void> {
  const { verdict, violations } = await given;
  expect(violations).toEqual([expect.stringMatching(says)]);
  expect(verdict).toBe("fail");
}
