import { checkConsistency } from "@goldenpath/core/policy/consistency";
import type { Inconsistency } from "@goldenpath/core/policy/inconsistency";
import type { Policy } from "@goldenpath/core/policy/schema";
import { expect } from "vitest";

/** What a policy says otherwise than the small one below. */
export type Change = Readonly<Record<string, unknown>>;
/** What, the policy that is refused, by which problems, and what is nearest to it and right. */
export type Row = [what: string, refused: Change, problems: Inconsistency[], ...twins: Change[]];

export const signers = { build: { publicKey: "1" }, promote: { publicKey: "2" }, other: { publicKey: "3" } };
/** As messages name them. */
export const known = "(there is: build, promote, other)";
export const asksBuild = { stage: "build", signers: ["build"] };
export const asksScan = { stage: "scan", signers: ["other"] };
export const production = { from: ["r.test/new"], to: ["r.test/vetted"], requires: [asksBuild], promoter: "promote" };
export const staging = { ...production, to: ["r.test/staged"], requires: [{ ...asksScan, stage: "build" }] };
export const java = { name: "java", image: "r.test/java", digests: ["one", "two"] };
export const node = { name: "node", image: "r.test/node", digests: ["three"] };

export const asking = (...requires: object[]): Change => ({
  environments: { production: { ...production, requires } },
});

export const problem = (message: string, ...path: PropertyKey[]): Inconsistency => ({ path, message });

/** Holds a policy to exactly these problems, and its twins to none. */
export function expectRefused(...[, refused, problems, ...twins]: Row): void {
  expect(checkConsistency(smallPolicy(refused))).toEqual(problems);
  for (const twin of twins) expect(checkConsistency(smallPolicy(twin))).toEqual([]);
}

// No text is parsed: what the schema asks of each field by itself is not asked here, and a mutant is tried in no time.
function smallPolicy(change: Change): Policy {
  const policy = {
    ...{ serial: 7, accepts: [], activators: [], exceptions: [], forbiddenBases: [], rules: [], signers },
    ...{ bases: [java, node], build: { strategies: [], builders: [] }, environments: { production } },
    ...{ scan: { scanners: [] }, sigstore: { public: {} }, trustStores: { acme: {} } },
    ...change,
  };
  return policy as unknown as Policy;
}
