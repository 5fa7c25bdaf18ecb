import type { LoadedPolicy, Policy } from "@goldenpath/core/policy/schema";
import { generateKeyPair, loadSigner } from "@goldenpath/core/signing/keys";
import type { KeySigner } from "@goldenpath/core/signing/schemes/key/sign";
import { silentPorts } from "@goldenpath/foundation/ports";
import { policy as pathPolicy } from "./gate-evidence.ts";

export const stageNames = ["build", "base", "scan", "promote"] as const;
export type StageName = (typeof stageNames)[number];

export interface StageKey {
  privateKeyPem: string;
  publicKeyPem: string;
  signer: KeySigner;
}

/** A key that is nobody's of a policy. */
export async function makeKey(): Promise<StageKey> {
  const pair = generateKeyPair();
  return {
    ...pair,
    signer: await loadSigner({ key: pair.privateKeyPem }, { ports: silentPorts(), env: {}, workingDirectory: "/" }),
  };
}

/** A key per stage, made now. */
export async function makeStageKeys(): Promise<Record<StageName, StageKey>> {
  const keys = await Promise.all(stageNames.map(async (name) => [name, await makeKey()] as const));
  return Object.fromEntries(keys) as Record<StageName, StageKey>;
}

/** Signers as a policy has them, in YAML: a line for each, two blanks in. */
export function renderSigners(keys: Readonly<Record<string, string>>): string {
  return Object.entries(keys)
    .map(([name, publicKey]) => `  ${name}:\n    publicKey: |\n${publicKey.trim().replaceAll(/^/gm, "      ")}\n`)
    .join("");
}

/** {@link renderSigners} of a key per stage. */
export function renderStageSigners(keys: Record<StageName, StageKey>): string {
  return renderSigners(Object.fromEntries(stageNames.map((name) => [name, keys[name].publicKeyPem])));
}

/** The policy of the gate's tests with these keys, and an environment `production` for images of `host`. */
export function policyWith(
  keys: Record<StageName, StageKey>,
  host: string,
  change: Partial<Policy> = {},
): LoadedPolicy {
  const signers = Object.fromEntries(stageNames.map((name) => [name, { publicKey: keys[name].publicKeyPem }]));
  const requires = (["base", "scan"] as const).map((stage) => ({ stage, signers: [stage], maxAge: 3_600_000 }));
  const production = {
    from: [`${host}/quarantine`],
    to: [`${host}/vetted`],
    requires,
    promoter: "promote",
    referrers: "all" as const,
  };
  return { ...pathPolicy, policy: { ...pathPolicy.policy, signers, environments: { production }, ...change } };
}
