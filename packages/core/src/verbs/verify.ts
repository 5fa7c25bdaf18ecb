import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { openElsewhere } from "../evidence/elsewhere.ts";
import { listChecks, renderChecks } from "../evidence/list-checks.ts";
import { explainGate, renderGateExplanation } from "../gate/explain-gate.ts";
import type { GateDecision } from "../gate/facts.ts";
import { findEnvironment } from "../gate/find-environment.ts";
import { type GateOutcome, runGate } from "../gate/verify.ts";
import { readPolicySigner } from "../policy/load.ts";
import { findPointerRepository } from "../policy/pointer.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeWeaknesses } from "../policy/weaknesses.ts";
import { confirmInForce, createPointerReader } from "../promote/in-force.ts";
import { escapeMarkdown, renderResultMarkdown } from "../report/markdown.ts";
import { withBundles } from "../signing/bundles-beside.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { elsewhereInputs } from "./elsewhere-input.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { type Answer, commonInputs, flag, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  ...identityInput,
  image: requiredText(),
  environment: requiredText(),
  explain: flag(false),
  ...elsewhereInputs,
});

/**
 * The gate: is all the evidence there that the policy requires for an environment? There is no input that lets an image
 * through.
 */
export const verifyVerb: Verb<typeof inputs> = {
  name: "verify",
  command: "verify",
  inputs,
  positional: "image",
  outputs: ["missing", "explanation"],
  run: runVerify,
  question: {
    input: "explain",
    inputs: inputs.omit({ "result-dir": true, explain: true }),
    ask: (given, context) => explain(given as Asked, context),
  },
};

type Asked = Omit<z.infer<typeof inputs>, "result-dir" | "explain">;

/** The gate's decision in sentences, with what leaves what is missing: an answer, whatever it is, and no verdict. */
async function explain(given: Asked, context: Context): Promise<Answer> {
  const policy = await openPolicy(given, context, "verify");
  return withClient(context, policy, async (client) => {
    const gate = await askGate(given, client, policy, context);
    const { registry, name } = gate.image.reference;
    const checks = await listChecks(
      { client, repository: { registry, name }, policy },
      withoutElsewhere(gate),
      gate.accepted,
    );
    const explanation = { ...explainGate(gate.facts, gate), checks };
    const lines = [
      ...renderGateExplanation(explanation),
      ...renderChecks(checks, { image: explanation.image, policy: given.policy }),
    ].map((line) => cleanLine(line));
    return {
      outputs: { missing: renderMissing(gate), explanation: stringifyJson(explanation) },
      summary: `### What the image would need\n\n${lines.map((line) => escapeMarkdown(line)).join("\\\n")}\n`,
      lines,
      document: explanation,
    };
  });
}

/** What the registry has: an export knows of nothing else. */
function withoutElsewhere({
  evidence,
  isElsewhere,
}: Awaited<ReturnType<typeof askGate>>): Map<Digest, Pick<CollectedEvidence, "statements">> {
  return new Map(
    [...evidence].map(([subject, { statements }]) => [
      subject,
      { statements: statements.filter((each) => !isElsewhere(each)) },
    ]),
  );
}

/**
 * Before a promotion the image is where the environment takes images from; before a deployment, where it puts them.
 * Either way all evidence is asked for.
 */
async function askGate(
  given: Asked,
  client: RegistryClient,
  own: LoadedPolicy,
  context: Context,
): Promise<GateOutcome & { isElsewhere(statement: VerifiedStatement): boolean }> {
  const reference = parseReference(given.image, "input 'image'");
  const isPromoted = findEnvironment(own, given.environment).to.some((prefix) => isWithin(reference, prefix));
  const policy = isPromoted ? await heedPointer(given, own, reference, client, context) : own;
  const now = context.now();
  const elsewhere = await openElsewhere({ files: given.bundle, repository: given["from-api"] }, context);
  const reader = elsewhere === undefined ? undefined : withBundles(client, elsewhere, now);
  const place = isPromoted ? "to" : "from";
  const gate = await runGate(reader ?? client, reference, given.environment, policy, now, place);
  return { ...gate, isElsewhere: ({ referrer }) => reader?.beside(referrer.digest) !== undefined };
}

/**
 * The policy as it is in force where the image lies, with what was withdrawn since, where the caller says whose word that
 * is. A policy that was loaded by that word at that place has it already; what another place says is not asked there.
 * @throws PolicyViolation `policy.not-in-force`, `policy.pointer-missing`, `policy.pointer-invalid`; UserError as
 *   createPointerReader
 */
async function heedPointer(
  { "policy-signer": given }: Asked,
  policy: LoadedPolicy,
  { registry, name }: Repository,
  client: RegistryClient,
  context: Context,
): Promise<LoadedPolicy> {
  const place = formatRepository(findPointerRepository({ registry, name }));
  if (given === undefined || policy.inForce?.repositories.includes(place) === true) return policy;
  const read = createPointerReader(client, policy, await readPolicySigner(given, context));
  return confirmInForce(policy, { registry, name }, read);
}

async function runVerify(given: z.infer<typeof inputs>, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  const policy = await openPolicy(given, context, "verify");
  return withClient(context, policy, async (client) => {
    const gate = await askGate(given, client, policy, context);
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
          (each) =>
            `${each.statement.predicateType} on ${each.subject} by ${each.signers.join(", ")}${gate.isElsewhere(each) ? ", not in the registry: no promotion takes it along" : ""}`,
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
