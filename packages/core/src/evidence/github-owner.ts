import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { z } from "zod";
import { askGithub, githubUrl, readGithubAnswer } from "./ask-github.ts";

const maxAnswer = 256 * 1024;
const answerSchema = z.object({ login: z.string(), id: z.int().positive() });

/**
 * The number of an account or organisation, which it keeps when its name goes to somebody else, by GitHub's REST API.
 * https://docs.github.com/rest/users/users#get-a-user
 * @throws UserError `owner-unknown`, `github-unauthorized`, `github-url-invalid`; InfrastructureError
 *   `github-unreachable`, `github-error`
 */
export async function readOwnerId(login: string, context: Pick<Context, "ports" | "env" | "signal">): Promise<string> {
  const question = {
    what: `facts of ${login}`,
    permission: "metadata: read",
    readUpTo: maxAnswer,
    mayBeAbsent: true,
  };
  const answer = await askGithub(githubUrl(context.env, ["users", login]), question, context);
  const found = answer.status === 404 ? undefined : readGithubAnswer(answer, answerSchema, question);
  if (found?.login.toLowerCase() === login.toLowerCase()) return String(found.id);
  throw new UserError(
    found === undefined ? `GitHub knows no ${login}` : `GitHub answers for ${login} with ${found.login}`,
    {
      code: "owner-unknown",
      wayOut: "Give the name as it is now, and see whether the account is still whose you think.",
    },
  );
}
