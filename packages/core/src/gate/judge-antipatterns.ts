import { cleanLine } from "@goldenpath/foundation/text/clean";
import { z } from "zod";
import { findException } from "../policy/exceptions.ts";
import { type Antipattern, antipatternRules } from "../policy/images-section.ts";
import { listRepositories } from "../policy/judge-again/facts.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Problem, StageScope } from "./facts.ts";
import { wayToRunAgain } from "./problems.ts";

/** What is told one by one; a reader needs no more to see that an image is not for here. */
const maxTold = 20;
const maxShown = 1000;

const findingSchema = z.looseObject({
  children: z.array(
    z.looseObject({
      digest: z.string(),
      antipatterns: z
        .looseObject({
          looked: z.array(z.string()),
          found: z.array(z.looseObject({ kind: z.string(), problem: z.string(), file: z.string().optional() })),
        })
        .optional(),
    }),
  ),
});

/**
 * What an environment's `images.refuse` names of what the base stage has found and signed, whatever that stage's own verdict
 * asks. The policy's own exceptions of the base stage's rules hold, as of now, for the repository that the image was judged
 * in. What the stage did not look for, as of before the environment asked for it, refuses. Of an index each image's is
 * judged with the image.
 * @param findings what the stage's verdict rests on
 */
export function judgeSignedAntipatterns(scope: StageScope, findings: readonly VerifiedStatement[]): Problem[] {
  const { environment, image } = scope.facts;
  const refuse = [...new Set(environment.images?.refuse ?? [])];
  if (refuse.length === 0 || !image.children.includes(scope.digest)) return [];
  const problems = findings.flatMap(({ statement }) => judgeOne(statement, refuse, scope));
  if (problems.length <= maxTold) return problems;
  const problem = `and ${problems.length - maxTold} more that environment '${scope.facts.environmentName}' refuses, which the result of ${scope.stage} lists`;
  return [...problems.slice(0, maxTold), { rule: "gate.finding", problem, wayOut: wayOfFound(scope) }];
}

function judgeOne(
  statement: VerifiedStatement["statement"],
  refuse: readonly Antipattern[],
  scope: StageScope,
): Problem[] {
  const parsed = findingSchema.safeParse(statement.predicate);
  const told = parsed.success ? parsed.data.children.filter(({ digest }) => digest === scope.digest) : [];
  const where = `environment '${scope.facts.environmentName}' refuses images with`;
  const untold = refuse.filter(
    (kind) => told.length === 0 || !told.every(({ antipatterns }) => antipatterns?.looked.includes(kind) === true),
  );
  const lacking = untold.map((kind): Problem => {
    const problem = `${where} ${kind}, and what ${scope.stage} found does not tell whether it has some`;
    return { rule: "gate.finding", problem, wayOut: wayToRunAgain(scope), isFirm: true };
  });
  const found = told.flatMap(({ antipatterns }) => antipatterns?.found ?? []);
  const refused = refuse.flatMap((kind) =>
    found
      .filter((each) => each.kind === kind && !isExcepted(kind, each.file, statement, scope))
      .map(({ problem }): Problem => {
        const said = `${where} ${kind}: ${cleanLine(problem, maxShown)}`;
        return { rule: "gate.finding", problem: said, wayOut: wayOfFound(scope) };
      }),
  );
  return [...lacking, ...refused];
}

function isExcepted(
  kind: Antipattern,
  file: string | undefined,
  statement: VerifiedStatement["statement"],
  { facts }: StageScope,
): boolean {
  const query = { rule: antipatternRules[kind], things: listRepositories(statement), file };
  return findException(facts.policy.policy.exceptions, query, facts.now).applied !== undefined;
}

const wayOfFound = ({ stage }: StageScope): string =>
  `Put right what ${stage} found, build again, and take the new image along the path; or have the policy's owners grant an exception in its \`exceptions\`.`;
