import { parseArgs } from "node:util";
import { describeGate, gatherEvidence, gatherImageLineage } from "@goldenpath/core/gate/verify";
import { explainEnvironment, listOwnEnvironments, renderExplained } from "@goldenpath/core/policy/explain-image";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withImage } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { isWithin } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  environment: { type: "string", multiple: true },
  json: { type: "boolean" },
} as const;

/**
 * `goldenpath policy explain IMAGE --policy POLICY [--environment NAME…] [--json]`: in sentences what the image would
 * need, of each environment that its repository is of. An answer, whatever it is, and no verdict.
 */
export async function runExplain(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [name, ...others] = positionals;
  if (name === undefined || values.policy === undefined || others.length > 0)
    throw new UserError("goldenpath policy explain: expected IMAGE --policy POLICY [--environment NAME…] [--json]", {
      code: "arguments-invalid",
      wayOut: "See goldenpath policy --help.",
    });
  const context = openContext();
  const policy = await loadPolicy(values.policy, context, values["policy-signer"]);
  return withImage(name, context, policy, async ({ client, image }) => {
    const { registry, name: path } = image.reference;
    const repository = { registry, name: path };
    const asked = values.environment ?? listOwnEnvironments(policy.policy, repository);
    const now = new Date();
    const reader = rememberReads(client);
    const evidence = await gatherEvidence(reader, image, policy, now);
    const lineage = await gatherImageLineage(reader, image, evidence, policy, now);
    const explained = asked.map((environmentName) => {
      const { to = [] } = policy.policy.environments[environmentName] ?? {};
      const place = to.some((prefix) => isWithin(repository, prefix)) ? "to" : "from";
      const facts = describeGate(image, evidence, {
        environmentName,
        policy,
        now,
        place,
        destination: undefined,
        lineage,
      });
      return { facts, told: explainEnvironment(facts, image.children) };
    });
    const [first] = explained;
    if (first === undefined) {
      const known = Object.entries(policy.policy.environments).map(([each, { from }]) => `${each}: ${from.join(", ")}`);
      throw new UserError(`no environment of policy '${policy.policy.name}' takes images from where ${name} is`, {
        code: "environment-unknown",
        wayOut: `Push it to where one does (${known.join("; ") || "the policy has none"}), or name one with --environment.`,
      });
    }
    const told = explained.map((each) => each.told);
    if (values.json === true) output.out(`${stringifyJson({ image: name, environments: told }, 2)}\n`);
    else output.out(renderExplained(first.facts.image, told).join("\n"));
    return exitCodes.pass;
  });
}
