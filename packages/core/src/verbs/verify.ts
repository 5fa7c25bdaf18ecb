import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { formatRepository, isWithin, parseReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import type { GateDecision } from "../gate/facts.ts";
import { findEnvironment, runGate } from "../gate/verify.ts";
import { describeWeaknesses } from "../policy/weaknesses.ts";
import { renderResultMarkdown } from "../report/markdown.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { commonInputs, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({ ...commonInputs, ...identityInput, image: requiredText(), environment: requiredText() });

/**
 * The gate: is all the evidence there that the policy requires for an environment? There is no input that lets an image
 * through.
 */
export const verifyVerb: Verb<typeof inputs> = {
  name: "verify",
  command: "verify",
  inputs,
  positional: "image",
  outputs: ["missing"],
  run: runVerify,
};

async function runVerify(given: z.infer<typeof inputs>, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  const policy = await openPolicy(given, context, "verify");
  const reference = parseReference(given.image, "input 'image'");
  return withClient(context, policy, async (client) => {
    // Before a promotion the image is where the environment takes images from; before a deployment, where it puts them.
    // Either way all evidence is asked for.
    const isPromoted = findEnvironment(policy, given.environment).to.some((prefix) => isWithin(reference, prefix));
    const gate = await runGate(client, reference, given.environment, policy, context.now(), isPromoted ? "to" : "from");
    const { image, missing } = gate;
    context.ports.log.info(
      `verifying ${formatRepository(image.reference)}@${image.reference.digest} for environment ${given.environment}`,
    );
    const refused = new Set<string>(missing.map((each) => each.digest));
    // What is wrong with the image as a whole (its origin, its index) is wrong with each child.
    const whole = gate.verdict === "fail" && (refused.size === 0 || refused.has(image.reference.digest));
    const result = buildResult(context, {
      stage: "verify",
      startedAt,
      subject: resultSubject(image, (digest) => (whole || refused.has(digest) ? "fail" : "pass")),
      violations: gate.violations,
      policy,
      notes: [
        ...gate.accepted.map(
          (each) => `${each.statement.predicateType} on ${each.subject} by ${each.signers.join(", ")}`,
        ),
        ...describeWeaknesses(policy, given.environment).map((weakness) => `the policy: ${weakness}`),
      ],
    });
    return {
      verdict: result.verdict,
      result,
      outputs: { missing: renderMissing(gate) },
      summary: renderResultMarkdown(result, `verify for ${given.environment}`),
    };
  });
}

function renderMissing(gate: GateDecision): string {
  return stringifyJson(gate.missing.map(({ problem, ...each }) => ({ ...each, reason: problem })));
}
