import { gatherRecord } from "@goldenpath/core/evidence/gather-record";
import { listRecord, type RecordPeriod } from "@goldenpath/core/evidence/record-facts";
import { renderRecordCsv, renderRecordTable } from "@goldenpath/core/evidence/render-record";
import { findEnvironment } from "@goldenpath/core/gate/find-environment";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface ListOptions {
  policy: string;
  "policy-signer"?: string | undefined;
  environment?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  json?: boolean | undefined;
  csv?: boolean | undefined;
}

const invalid = (message: string): UserError =>
  new UserError(`goldenpath evidence list: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath evidence --help.",
  });

/**
 * `goldenpath evidence list HOST/NAME… --policy POLICY --environment NAME [--from DAY] [--to DAY] [--json | --csv]`: what
 * was let into an environment, by what exceptions, what was taken back, and what is there without having been let in.
 */
export async function listEvidence(names: readonly string[], given: ListOptions, output: Output): Promise<number> {
  const { environment: name, json = false, csv = false } = given;
  if (names.length === 0 || name === undefined || (json && csv))
    throw invalid("expected HOST/NAME… --policy POLICY --environment NAME [--from DAY] [--to DAY] [--json or --csv]");
  const period = readPeriod(given, new Date());
  const repositories = names.map((text) => parseRepository(text, "HOST/NAME"));
  const context = openContext();
  const policy = await loadPolicy(given.policy, context, given["policy-signer"]);
  const { to } = findEnvironment(policy, name);
  const astray = repositories.findIndex((repository) => !to.some((prefix) => isWithin(repository, prefix)));
  if (astray !== -1)
    throw invalid(`'${names[astray]}' is none of environment '${name}', which puts images in ${to.join(", ")}`);
  const images = await withClient(context, policy, (client) => gatherRecord(client, repositories, policy, new Date()));
  const entries = listRecord(images, name, policy, period);
  const unaccounted = entries.filter(({ event }) => event === "unaccounted").length;
  if (unaccounted > 0)
    context.ports.log.warning(
      `${unaccounted} ${unaccounted === 1 ? "image is" : "images are"} there that no promotion to '${name}' accounts for: see the lines 'unaccounted'`,
    );
  if (policy.inForce === undefined)
    context.ports.log.notice(
      "withdrawals are not listed, nor is it known which policies were in force: this policy does not come from where one is",
    );
  if (json) output.out(`${stringifyJson({ environment: name, entries }, 2)}\n`);
  else output.out(csv ? renderRecordCsv(entries) : renderRecordTable(entries));
  return exitCodes.pass;
}

/** Days are UTC, and count from their start to their end. */
function readPeriod({ from, to }: Pick<ListOptions, "from" | "to">, now: Date): RecordPeriod {
  const day = (text: string, option: string): number => {
    const start = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
    if (Number.isNaN(start)) throw invalid(`${option} is '${text}': expected a day (UTC), such as 2026-11-03`);
    return start;
  };
  const start = from === undefined ? 0 : day(from, "--from");
  const end = to === undefined ? now.getTime() : day(to, "--to") + 86_400_000 - 1;
  if (end < start) throw invalid(`--to ${to} is before --from ${from}`);
  return { from: new Date(start), to: new Date(end) };
}
