import { judgeDemands } from "@goldenpath/core/base/score/demands";
import { gatherScores } from "@goldenpath/core/base/score/gather";
import { renderCard, renderCardMarkdown } from "@goldenpath/core/base/score/render";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { readDemands } from "@goldenpath/core/verbs/demand-inputs";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface ScoreOptions {
  policy?: string | undefined;
  "policy-signer"?: string | undefined;
  minimum?: string | undefined;
  require?: string[] | undefined;
  json?: boolean | undefined;
  markdown?: boolean | undefined;
}

/**
 * `goldenpath base score IMAGE [--policy POLICY] [--minimum POINTS] [--require CHECK]… [--json | --markdown]`: exits 1
 * where a platform has fewer points, or where what is required is not good.
 */
export async function scoreBase(text: string, given: ScoreOptions, output: Output): Promise<number> {
  const demands = readDemands(given);
  if ("problem" in demands) {
    throw new UserError(`goldenpath base: ${demands.problem}`, {
      code: "arguments-invalid",
      wayOut: "See goldenpath base --help.",
    });
  }
  const reference = parseReference(text, "IMAGE");
  const context = openContext();
  const { signal } = context;
  const now = new Date();
  const loaded =
    given.policy === undefined ? undefined : await loadPolicy(given.policy, context, given["policy-signer"]);
  const scored =
    loaded === undefined
      ? await withRegistryClient(context, (client) => gatherScores(reference, { client, now, signal }))
      : await withClient(context, loaded, (client) =>
          gatherScores(reference, { client, policy: loaded.policy, now, signal }),
        );
  const refused = scored.flatMap((each) =>
    judgeDemands(each, demands, loaded?.policy.bases ?? [], formatRepository(reference)),
  );
  if (given.json === true) output.out(`${stringifyJson({ images: scored, refused }, 2)}\n`);
  else {
    for (const each of scored) output.out(given.markdown === true ? renderCardMarkdown(each) : renderCard(each));
    for (const each of refused) output.out(`refused: ${each}\n`);
  }
  return refused.length === 0 ? exitCodes.pass : exitCodes.fail;
}
