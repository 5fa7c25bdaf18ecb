import type { ResultStage } from "../result.ts";

/** Which stage a verb's result belongs to, by the verb's name. */
export const verbStages: Readonly<Record<string, ResultStage>> = {
  "detect-and-build": "build",
  "enforce-golden-base": "base",
  scan: "scan",
  sign: "sign",
  verify: "verify",
  promote: "promote",
  report: "report",
};
