import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import type { ScoreDemands } from "../base/score/demands.ts";
import { checkNames } from "../base/score/score.ts";
import { suggestWord } from "../policy/suggest.ts";
import { lines } from "./verb.ts";

/** What both doors take of a base's score: points, and names of checks, one a line. */
export const demandInputs = {
  minimum: z
    .string()
    .default("0")
    .transform((text) => text.trim() || "0")
    .pipe(z.string().regex(/^(?:\d{1,2}|100)$/, "expected points, 0 to 100"))
    .transform(Number),
  require: lines().transform((names, context) => {
    for (const name of names.filter((each) => !(checkNames as readonly string[]).includes(each))) {
      const near = suggestWord(name, checkNames);
      const hint = near === undefined ? "" : `did you mean '${near}'? `;
      context.addIssue({ code: "custom", message: `'${name}' is no check: ${hint}there are ${checkNames.join(", ")}` });
    }
    return names;
  }),
};

/** Options of a command line → demands; or what is wrong with them, by their names. */
export function readDemands(given: {
  minimum?: string | undefined;
  require?: readonly string[] | undefined;
}): ScoreDemands | { problem: string } {
  const parsed = z
    .object(demandInputs)
    .safeParse({ minimum: given.minimum, require: (given.require ?? []).join("\n") }, { reportInput: true });
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  return { minimum: parsed.data.minimum, required: parsed.data.require };
}
