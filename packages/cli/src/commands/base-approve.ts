import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { approveImage, findHabits } from "@goldenpath/core/base/approval/execute-approve";
import { type BaseRole, baseRoles } from "@goldenpath/core/base/approval/predicate";
import { gatherScores } from "@goldenpath/core/base/score/gather";
import { renderCard } from "@goldenpath/core/base/score/render";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { withClient } from "@goldenpath/core/verbs/open";
import { openSignerBy } from "@goldenpath/core/verbs/signer-inputs";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { UserError } from "@goldenpath/foundation/errors";
import { formatReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { gatherRunFacts } from "../facts.ts";
import { exitCodes, type Output } from "../output.ts";
import { judgeScore, type ScoreDemands } from "./base.ts";
import { openContext } from "./context.ts";
import { verbLoaders } from "./verbs.ts";

interface ApproveOptions extends ScoreDemands {
  policy: string;
  "policy-signer"?: string | undefined;
  "end-of-life": string;
  role: string;
  notes?: string | undefined;
  signer?: string | undefined;
  key?: string | undefined;
  "key-passphrase"?: string | undefined;
  database?: string | undefined;
}

/**
 * `goldenpath base approve IMAGE --policy POLICY --end-of-life DAY --role ROLE …`: scans and scores the image, looks for
 * what the policy's `images` refuses, and signs the approval. Exits 1, and signs nothing, where one of them refuses.
 */
export async function approveBase(text: string, given: ApproveOptions, output: Output): Promise<number> {
  const role = baseRoles.find((each) => each === given.role);
  if (role === undefined) {
    throw new UserError(`goldenpath base approve: --role is '${given.role}': expected ${baseRoles.join(", ")}`, {
      code: "arguments-invalid",
    });
  }
  const context = openContext();
  const policy = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { signer: kind, key, "key-passphrase": passphrase } = given;
  const signer = await openSignerBy(
    { signer: kind, key, "key-passphrase": passphrase },
    {
      ...context,
      run: await gatherRunFacts(context.workingDirectory, context.env),
      temporaryDirectory: tmpdir(),
      now: () => new Date(),
    },
    policy,
  );
  return withClient(context, policy, async (client) => {
    const now = new Date();
    const image = await fetchImageFacts(client, parseReference(text, "IMAGE"));
    const pinned = formatReference({ ...image.reference, tag: undefined });
    const scores = await gatherScores(
      { ...image.reference, tag: undefined },
      { client, policy: policy.policy, now, signal: context.signal },
    );
    for (const each of scores) output.out(renderCard(each));
    const habits = await findHabits(client, image, policy.policy, context.signal);
    const scan = await scanImage(pinned, given, context);
    output.out(`scan: ${scan.verdict}\n`);
    const refused = [...scores.flatMap((each) => judgeScore(each, given)), ...habits, ...scan.refused];
    for (const each of refused) output.out(`refused: ${each}\n`);
    if (refused.length > 0) return scan.verdict === "error" ? exitCodes.error : exitCodes.fail;
    const examined = {
      scan: { verdict: scan.verdict, counts: scan.counts },
      score: scores.map(({ platform, score }) => ({ platform, points: score.points })),
      images: "pass",
    };
    const request = { endOfLife: given["end-of-life"], role: role satisfies BaseRole, notes: given.notes, examined };
    const isNew = await approveImage(client, image, request, { policy, signer, now });
    output.out(`${pinned}: ${isNew ? "approved" : "was approved before"}, ${role}, until ${given["end-of-life"]}\n`);
    return exitCodes.pass;
  });
}

/** The scan stage's own judgement, by the policy's `scan`. */
async function scanImage(
  image: string,
  given: Pick<ApproveOptions, "policy" | "policy-signer" | "database">,
  context: ReturnType<typeof openContext>,
): Promise<{ verdict: "pass" | "fail" | "error"; refused: string[]; counts: string }> {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-approve-"));
  try {
    const verb = (await verbLoaders["scan"]?.()) as Verb;
    const { outcome } = await executeVerb(
      verb,
      { image, policy: given.policy, "policy-signer": given["policy-signer"], database: given.database },
      {
        ...context,
        run: await gatherRunFacts(context.workingDirectory, context.env),
        temporaryRoot: directory,
        defaultResultDirectory: directory,
      },
    );
    const { verdict, result, outputs } = outcome;
    const open = result.violations.filter(({ exception }) => exception === undefined);
    const refused = open.map(({ rule, thing, problem }) => `${rule}: ${thing}: ${problem}`);
    if (result.error !== undefined) refused.push(`the scan failed: ${result.error.message}`);
    return {
      verdict,
      refused: verdict === "pass" ? [] : refused.length > 0 ? refused : ["the scan says so"],
      counts: outputs["counts"] ?? "",
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
