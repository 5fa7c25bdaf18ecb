import { parseArgs } from "node:util";
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

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  minimum: { type: "string" },
  require: { type: "string", multiple: true },
  fix: { type: "boolean" },
  json: { type: "boolean" },
  markdown: { type: "boolean" },
  "end-of-life": { type: "string" },
  role: { type: "string" },
  notes: { type: "string" },
  signer: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  database: { type: "string" },
  "dry-run": { type: "boolean" },
  tag: { type: "boolean" },
  to: { type: "string" },
  onto: { type: "string" },
  images: { type: "string", multiple: true },
  "registry-identities": { type: "string" },
} as const;

const invalid = (message: string, wayOut = "See goldenpath base --help."): UserError =>
  new UserError(`goldenpath base: ${message}`, { code: "arguments-invalid", wayOut });

/**
 * `goldenpath base of IMAGE…`, `goldenpath base check DIR …`, `goldenpath base approve IMAGE …`, `goldenpath base tag NAME …`, `goldenpath base rebase IMAGE …`, and `goldenpath base score IMAGE [--policy POLICY]
 * [--minimum POINTS] [--require CHECK]… [--json | --markdown]`: exits 1 where a platform has fewer points, or where what
 * is required is not good.
 */
export async function runBaseCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [action, text, ...others] = positionals;
  const { json = false, markdown = false } = values;
  if (action === "of") {
    if (text === undefined || values.policy === undefined)
      throw invalid("expected of IMAGE|HOST/NAME… --policy POLICY [--json]");
    return (await import("./base-of.ts")).listBases([text, ...others], { ...values, policy: values.policy }, output);
  }
  if (action === "check") {
    if (text === undefined || others.length > 0 || values.policy === undefined)
      throw invalid("expected check DIR --policy POLICY [--fix] [--json]");
    return (await import("./base-check.ts")).checkContext(text, { ...values, policy: values.policy }, output);
  }
  if (action === "approve") {
    const { policy, role, "end-of-life": endOfLife } = values;
    if (
      text === undefined ||
      others.length > 0 ||
      policy === undefined ||
      role === undefined ||
      endOfLife === undefined
    )
      throw invalid("expected approve IMAGE --policy POLICY --end-of-life DAY --role ROLE --key KEY");
    const { approveBase } = await import("./base-approve.ts");
    return approveBase(text, values, output);
  }
  if (action === "tag") {
    if (text === undefined || others.length > 0 || values.policy === undefined)
      throw invalid("expected tag NAME --policy POLICY [--dry-run] [--json]");
    return (await import("./base-tag.ts")).tagBase(text, { ...values, policy: values.policy }, output);
  }
  if (action === "rebase") {
    const { policy, to } = values;
    if (text === undefined || others.length > 0 || policy === undefined || to === undefined)
      throw invalid("expected rebase IMAGE --to HOST/NAME:TAG --policy POLICY [--onto DIGEST] [--dry-run] [--json]");
    return (await import("./base-rebase.ts")).rebase(text, { ...values, policy, to }, output);
  }
  if (action !== "score" || text === undefined || others.length > 0 || (json && markdown))
    throw invalid(
      "expected score IMAGE [--policy POLICY] [--minimum POINTS] [--require CHECK]… [--json or --markdown]",
    );
  const demands = readDemands(values);
  if ("problem" in demands) throw invalid(demands.problem);
  const reference = parseReference(text, "IMAGE");
  const context = openContext();
  const { signal } = context;
  const now = new Date();
  const loaded =
    values.policy === undefined ? undefined : await loadPolicy(values.policy, context, values["policy-signer"]);
  const scored =
    loaded === undefined
      ? await withRegistryClient(context, (client) => gatherScores(reference, { client, now, signal }))
      : await withClient(context, loaded, (client) =>
          gatherScores(reference, { client, policy: loaded.policy, now, signal }),
        );
  const refused = scored.flatMap((each) =>
    judgeDemands(each, demands, loaded?.policy.bases ?? [], formatRepository(reference)),
  );
  if (json) output.out(`${stringifyJson({ images: scored, refused }, 2)}\n`);
  else {
    for (const each of scored) output.out(markdown ? renderCardMarkdown(each) : renderCard(each));
    for (const each of refused) output.out(`refused: ${each}\n`);
  }
  return refused.length === 0 ? exitCodes.pass : exitCodes.fail;
}
