import { parseArgs } from "node:util";
import { lookAtOwner } from "@goldenpath/core/adopt/execute";
import type { AdoptReport } from "@goldenpath/core/adopt/facts";
import { countVerdicts, renderAdoption, renderAdoptionMarkdown } from "@goldenpath/core/adopt/render";
import { resolveBases } from "@goldenpath/core/base/approval/gather";
import { rulesOfPolicy } from "@goldenpath/core/base/context/rules";
import { githubFailed } from "@goldenpath/core/evidence/ask-github";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { openAdoption } from "@goldenpath/runner/adopt";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  json: { type: "boolean" },
  markdown: { type: "boolean" },
} as const;

const invalid = (message: string): UserError =>
  new UserError(`goldenpath adopt: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath adopt --help.",
  });

/**
 * `goldenpath adopt OWNER --policy POLICY [--json | --markdown]`: every repository of an owner on GitHub, and what the
 * policy would say of it today. Writes nothing there. Exits 1 where one would be refused, 2 where one is not known.
 */
export async function runAdopt(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [owner, ...more] = positionals;
  if (owner === undefined || more.length > 0) throw invalid("expected one OWNER on GitHub");
  if (!/^[A-Za-z\d](?:[\w-]{0,99})$/.test(owner))
    throw invalid(`'${owner}' is no owner on GitHub: expected such as acme`);
  if (values.policy === undefined) throw invalid("expected --policy POLICY");
  if (values.json === true && values.markdown === true) throw invalid("--json and --markdown are two ways to print it");
  const report = await look(owner, { ...values, policy: values.policy });
  if (values.json === true) output.out(`${stringifyJson({ ...report, counts: countVerdicts(report.rows) }, 2)}\n`);
  else output.out(values.markdown === true ? renderAdoptionMarkdown(report) : renderAdoption(report));
  const { refused, unknown } = countVerdicts(report.rows);
  return unknown > 0 ? exitCodes.error : refused > 0 ? exitCodes.fail : exitCodes.pass;
}

async function look(
  owner: string,
  given: { policy: string; "policy-signer"?: string | undefined },
): Promise<AdoptReport> {
  const context = openContext();
  const token = context.env["GITHUB_TOKEN"] || context.env["GH_TOKEN"];
  if (!token) throw invalid("it needs GITHUB_TOKEN, which may read the owner's repositories (`contents: read`)");
  context.ports.mask(token);
  const now = new Date();
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { policy } = await withClient(context, loaded, (client) => resolveBases(client, loaded, now));
  const rules = { build: policy, images: rulesOfPolicy(policy, now) };
  const { door, shut } = openAdoption(token, context);
  try {
    const rows = await lookAtOwner(owner, rules, door, context);
    return { owner, policy: { name: policy.name, serial: policy.serial }, rows };
  } catch (error) {
    if (isKnownError(error) || context.signal.aborted || !(error instanceof Error)) throw error;
    throw githubFailed(`repositories of ${owner}`, error.message, { cause: error });
  } finally {
    await shut();
  }
}
