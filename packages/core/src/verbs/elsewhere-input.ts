import { z } from "zod";
import { type GithubRepository, parseGithubRepository } from "../evidence/github-attestations.ts";
import { lines, optionalText } from "./verb.ts";

/** The inputs of the verbs that look for evidence beside the registry as well. */
export const elsewhereInputs = {
  bundle: lines(),
  "from-api": optionalText().transform((given, context): GithubRepository | undefined => {
    if (given === undefined) return undefined;
    const parsed = parseGithubRepository(given);
    if (!("problem" in parsed)) return parsed;
    context.addIssue({ code: "custom", message: parsed.problem });
    return z.NEVER;
  }),
};
