import { InfrastructureError, UserError } from "../errors.ts";
import { findEnvironment, type GateOutcome, runGate } from "../gate/verify.ts";
import type { Descriptor } from "../oci/manifest.ts";
import { formatRepository, isWithin, type Reference, type Repository } from "../oci/reference.ts";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";
import type { Context } from "../ports.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { Violation } from "../result.ts";
import { type Attachment, attachStatement } from "../signing/attach.ts";
import { parsePublicKey } from "../signing/keys.ts";
import { predicateTypes, stageVerifierId } from "../signing/predicates.ts";
import { digestSet } from "../signing/statement.ts";
import type { Signer, VerifiedStatement } from "../signing/types.ts";
import { buildVerificationSummary, readVerificationSummary, summaryVerifierId } from "../signing/verification-summary.ts";
import { type ExecutionCounts, executeCopy, executeTags } from "./execute.ts";
import { gatherPromotion } from "./gather.ts";
import { type PromotionPlan, planPromotion } from "./plan.ts";

export interface PromotionRequest {
  image: Reference;
  to: Repository;
  tags: readonly string[];
  environmentName: string;
  policy: LoadedPolicy;
  /** Of the environment's promoter; absent for a dry run. */
  signer?: Signer;
}

export interface PromotionPreparation {
  gate: GateOutcome;
  violations: Violation[];
  /** Only where nothing is against it. */
  prepared?: { plan: PromotionPlan; execute(signer: Signer): Promise<PromotionOutcome> };
}

export interface PromotionOutcome {
  counts: ExecutionCounts;
  /** The gate's answer at the destination. Where it refuses, a stage has spoken there since: nothing was signed, and no tag was set. */
  gate: GateOutcome;
  /** Of a promotion that the gate passed at the destination as well. */
  statement?: Attachment | { existed: true };
}

/**
 * Gates an image and plans its promotion. What is returned to execute belongs to the digest that was gated, and to nothing else; without a passed gate there is
 * nothing to execute.
 */
export async function preparePromotion(client: RegistryClient, request: PromotionRequest, context: Context): Promise<PromotionPreparation> {
  const { policy, environmentName, to, tags } = request;
  const environment = findEnvironment(policy, environmentName);
  const gate = await runGate(client, request.image, environmentName, policy, context.now());
  const violations = [...judgeDestination(environment, environmentName, to), ...gate.violations];
  if (violations.length > 0) return { gate, violations };
  const from: Repository = { registry: gate.image.reference.registry, name: gate.image.reference.name };
  if (formatRepository(from) === formatRepository(to)) {
    throw new UserError(`input 'to' is '${formatRepository(to)}': that is where the image is already`, { code: "input-invalid" });
  }
  const { facts, manifests } = await gatherPromotion(client, gate.image, gate.evidence, to, tags);
  const plan = planPromotion(facts);
  const image = manifests.get(facts.digest);
  if (image === undefined) throw new TypeError("the image's own manifest was not gathered");
  return {
    gate,
    violations,
    prepared: {
      plan,
      async execute(signer) {
        assertPromoter(signer, environment, policy);
        const counts = await executeCopy(client, plan, manifests, context.ports);
        const there = await gateDestination(client, request, gate, context);
        if (there.verdict !== "pass") return { counts, gate: there };
        const statement = await stateGate(client, there, environment, request, signer, context.now());
        await executeTags(client, plan, image);
        return { counts, gate: there, statement };
      },
    },
  };
}

function judgeDestination(environment: PolicyEnvironment, environmentName: string, to: Repository): Violation[] {
  if (environment.to.some((prefix) => isWithin(to, prefix))) return [];
  return [
    {
      rule: "promote.destination",
      thing: formatRepository(to),
      problem: `environment '${environmentName}' puts images in ${environment.to.join(", ")}, and nowhere else`,
      wayOut: `Promote to a repository under ${environment.to.join(" or ")}.`,
    },
  ];
}

/**
 * The promotion's statement counts for nothing when another key signs it, so nothing is copied for such a key.
 * @throws UserError `key-not-promoter`
 */
export function assertPromoter(signer: Signer, environment: PolicyEnvironment, policy: LoadedPolicy): void {
  const wanted = policy.policy.signers[environment.promoter];
  const given = parsePublicKey(signer.publicKeyPem, "the public half of input 'key'");
  if (wanted !== undefined && parsePublicKey(wanted.publicKey, `the key of signer '${environment.promoter}'`).equals(given)) return;
  throw new UserError(`input 'key' is not the key of '${environment.promoter}', who signs promotions in policy '${policy.policy.name}'`, {
    code: "key-not-promoter",
    wayOut: `Give the private key whose public half the policy has as signers.${environment.promoter}.publicKey.`,
  });
}

/**
 * What was copied has to stand on its own: the same gate, on what the destination serves. It may know more than the source (an image that was promoted before is
 * scanned again where it runs), and then its no is the policy's.
 * @throws InfrastructureError `destination-differs` where it serves less than what was copied
 */
async function gateDestination(
  client: RegistryClient,
  request: PromotionRequest,
  source: GateOutcome,
  context: Context,
): Promise<GateOutcome> {
  const reference: Reference = { ...request.to, digest: source.image.reference.digest };
  const gate = await runGate(client, reference, request.environmentName, request.policy, context.now(), "to");
  const isThere = ({ subject, bundle }: VerifiedStatement): boolean =>
    gate.evidence.get(subject)?.statements.some((statement) => statement.bundle.digest === bundle.digest) === true;
  if (gate.verdict === "pass" || source.accepted.every(isThere)) return gate;
  const why = gate.violations.map((violation) => `${violation.thing}: ${violation.problem}`).join("; ");
  throw new InfrastructureError(
    `${formatRepository(request.to)} does not serve the evidence that was copied to it (${why}); no tag was set`,
    {
      code: "destination-differs",
      wayOut: "Run the promotion again; if it stays so, see how this registry keeps referrers.",
    },
  );
}

/** Signs the gate's answer, once: running again with the same evidence under the same policy finds its earlier statement. */
async function stateGate(
  client: RegistryClient,
  gate: GateOutcome,
  environment: PolicyEnvironment,
  request: PromotionRequest,
  signer: Signer,
  now: Date,
): Promise<Attachment | { existed: true }> {
  const inputs = gate.accepted.map((statement) => ({
    digest: statement.bundle.digest,
    uri: `${formatRepository(request.to)}@${statement.referrer.digest}`,
  }));
  const { digest } = gate.image.reference;
  const subjects = new Set([digest, ...gate.image.children.map((child) => child.digest)]);
  const isStated = [...subjects].every((subject) =>
    gate.evidence.get(subject)?.statements.some((statement) => isSameAnswer(statement, environment, request.policy, inputs)),
  );
  if (isStated) return { existed: true };
  const children = gate.image.children.filter((child) => child.digest !== digest);
  const statement = buildVerificationSummary({
    stage: "promote",
    image: { repository: request.to, digest, children: children.map((child) => child.digest) },
    policy: { uri: request.policy.uri, digest: request.policy.digest, serial: request.policy.policy.serial },
    passed: true,
    violations: 0,
    excepted: 0,
    timeVerified: now,
    inputs,
    tools: [],
  });
  const image: Descriptor = { mediaType: gate.image.mediaType, digest, size: gate.image.size };
  return attachStatement(
    client,
    { repository: request.to, image, children: children.map((child) => child.descriptor) },
    statement,
    signer,
    now,
  );
}

function isSameAnswer(
  found: VerifiedStatement,
  environment: PolicyEnvironment,
  policy: LoadedPolicy,
  inputs: readonly { digest: Descriptor["digest"] }[],
): boolean {
  if (
    found.statement.predicateType !== predicateTypes.verificationSummary ||
    summaryVerifierId(found.statement) !== stageVerifierId("promote")
  )
    return false;
  if (!found.signers.includes(environment.promoter)) return false;
  const summary = readVerificationSummary(found.statement);
  if ("problem" in summary || summary.result !== "PASSED" || summary.policySerial !== policy.policy.serial) return false;
  const key = (set: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(set).sort());
  const stated = new Set(summary.inputs.map(key));
  return (
    key(summary.policyDigest) === key(digestSet(policy.digest)) &&
    stated.size === new Set(inputs.map((input) => input.digest)).size &&
    inputs.every((input) => stated.has(key(digestSet(input.digest))))
  );
}
