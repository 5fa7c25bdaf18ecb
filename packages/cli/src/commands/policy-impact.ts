import { parseArgs } from "node:util";
import { findEnvironment } from "@goldenpath/core/gate/find-environment";
import { gatherImpact } from "@goldenpath/core/policy/gather-impact";
import { loadPolicy } from "@goldenpath/core/policy/load";
import {
  countOutcomes,
  countRules,
  type ImpactReport,
  renderImpact,
  renderImpactMarkdown,
} from "@goldenpath/core/policy/render-impact";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { isWithin, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  environment: { type: "string" },
  images: { type: "string", multiple: true },
  json: { type: "boolean" },
  markdown: { type: "boolean" },
  "refuse-falling": { type: "boolean" },
} as const;

const invalid = (message: string): UserError =>
  new UserError(`goldenpath policy impact: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath policy --help.",
  });

/**
 * `goldenpath policy impact NEW --policy OLD --environment NAME --images HOST/NAME…`: which images of an environment a
 * changed policy would refuse, before it is in force.
 */
export async function runImpact(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [uri, ...more] = positionals;
  const { policy, environment, images = [], json = false, markdown = false } = values;
  if (
    uri === undefined ||
    policy === undefined ||
    environment === undefined ||
    images.length === 0 ||
    (json && markdown)
  )
    throw invalid(
      "expected NEW --policy OLD --environment NAME --images HOST/NAME [HOST/NAME…] [--json or --markdown]",
    );
  const repositories = [...images, ...more].map((text) => parseRepository(text, "HOST/NAME"));
  const context = openContext();
  const before = await loadPolicy(policy, context, values["policy-signer"]);
  const after = await loadPolicy(uri, context);
  const { to } = findEnvironment(before, environment);
  const astray = repositories.findIndex((repository) => !to.some((prefix) => isWithin(repository, prefix)));
  if (astray !== -1)
    throw invalid(
      `'${[...images, ...more][astray]}' is none of environment '${environment}', which puts images in ${to.join(", ")}`,
    );
  const { found, requests } = await withClient(context, before, async (client) => ({
    found: await gatherImpact(client, { before, after, environment, repositories, now: new Date() }),
    requests: client.traffic.requests,
  }));
  const { images: judged, notes } = found;
  const report: ImpactReport = { environment, before: describe(before), after: describe(after), images: judged, notes };
  const counts = countOutcomes(judged);
  if (json) output.out(`${stringifyJson({ ...report, counts, rules: countRules(judged), requests }, 2)}\n`);
  else output.out(markdown ? `${renderImpactMarkdown(report)}\n` : renderImpact(report));
  if (counts.unreadable > 0) {
    output.err(`${counts.unreadable} of ${judged.length} can't be read, and nobody can say what becomes of them\n`);
    return exitCodes.error;
  }
  if (judged.length === 0) {
    output.err("no tag of these repositories points at an image: there is nothing that this says\n");
    return exitCodes.error;
  }
  return values["refuse-falling"] === true && counts.falls + counts.unknown > 0 ? exitCodes.fail : exitCodes.pass;
}

function describe({ policy: { name, serial }, digest }: LoadedPolicy): ImpactReport["before"] {
  return { name, serial, digest };
}
