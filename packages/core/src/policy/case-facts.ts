import type { Rule } from "@goldenpath/foundation/rules";
import type { Finding } from "../scan/finding.ts";
import type { PolicyCase } from "./cases.ts";
import type { LoadedPolicy } from "./schema.ts";

/** A case, and what it is judged by. */
export interface CaseFacts {
  what: PolicyCase;
  loaded: LoadedPolicy;
  now: Date;
  findings: readonly Finding[];
}

/** A rule that counts against the case's image, and why. */
export interface CaseProblem {
  rule: Rule;
  problem: string;
  /** The day from which on it refuses, where that has not come on the case's. */
  from?: string;
}
