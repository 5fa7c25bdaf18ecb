import { z } from "zod";
import { type Identity, parseIdentities } from "../identities/identity.ts";
import { optionalText } from "./verb.ts";

/** The input of the verbs that prove to a registry who the job is. A build has none: it runs strangers' code. */
export const identityInput = {
  "registry-identities": optionalText().transform((given, context): Identity[] => {
    if (given === undefined) return [];
    const parsed = parseIdentities(given);
    if ("identities" in parsed) return parsed.identities;
    context.addIssue({ code: "custom", message: parsed.problem });
    return z.NEVER;
  }),
};
