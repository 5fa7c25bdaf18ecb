import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatRepository,
  isSameRepository,
  isWithin,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { type RememberingClient, rememberReads } from "@goldenpath/registry-client/remember";
import type { TransportOptions } from "@goldenpath/registry-client/transport";
import { readBuilds } from "../gate/binding.ts";
import { findEnvironment, type GateOutcome, runGate } from "../gate/verify.ts";
import { isPointerRepository, pointerName } from "../policy/pointer.ts";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import type { Attachment } from "../signing/attach.ts";
import { isSameMaterial } from "../signing/material.ts";
import { materialOf, schemeOf } from "../signing/schemes/find.ts";
import type { Signer, VerifiedStatement } from "../signing/types.ts";
import { type ExecutionCounts, executeCopy, executeTags, noCounts } from "./execute.ts";
import type { LeftBehind, PromotionPlan } from "./facts.ts";
import { addState } from "./failures.ts";
import { type GatheredPromotion, gatherPromotion } from "./gather.ts";
import { confirmInForce, type PointerReader } from "./in-force.ts";
import { planPromotion } from "./plan.ts";
import { removeStagingTags } from "./server-side/clean-up.ts";
import { readWhereMoved } from "./server-side/moved-source.ts";
import { planServerSide } from "./server-side/plan.ts";
import { findProduct } from "./server-side/products/find.ts";
import type { ServerSidePlan } from "./server-side/products/product.ts";
import { runServerSide } from "./server-side/run.ts";
import { stateGate } from "./statement.ts";
import { findRollbacks, judgeLabels, judgeRollbacks, readTagHolders, type TagRollback } from "./tag-order.ts";

export interface PromotionRequest {
  image: Reference;
  to: Repository;
  tags: readonly string[];
  environmentName: string;
  policy: LoadedPolicy;
  /** Which policy is in force at the destination. */
  pointers: PointerReader;
  /** Tags may move to an image of an earlier run, or whose order can't be told; the statement then says so. */
  allowTagRollback?: boolean;
  /** What reads the source: several promotions of one run share it, and read what they share once. */
  source?: RememberingClient;
  /** How often a product's API is asked in all, and how is waited in between; as a client's unless told. */
  patience?: Pick<TransportOptions, "attempts" | "sleep">;
}

export interface PromotionPreparation {
  gate: GateOutcome;
  violations: Violation[];
  /** Only where nothing is against it. */
  prepared?: { plan: PromotionPlan; execute(signer: Signer): Promise<PromotionOutcome> };
}

export interface PromotionOutcome {
  counts: ExecutionCounts;
  /**
   * The gate's answer at the destination. Where it refuses, a stage has spoken there since: nothing was signed, and no
   * tag was set.
   */
  gate: GateOutcome;
  /** Of a promotion that the gate passed at the destination as well. */
  statement?: Attachment | { existed: true };
  /** What was to go along, and turned out to be broken as it was copied. */
  leftBehind: LeftBehind[];
  /** What a reader should know besides. */
  notes: string[];
}

/**
 * Gates an image and plans its promotion. What is returned to execute belongs to the digest that was gated, and to
 * nothing else; without a passed gate there is nothing to execute.
 * @throws UserError `environment-unknown`, `input-invalid`, `key-not-promoter`; PolicyViolation `policy.not-in-force`,
 *   `policy.pointer-missing`, `policy.pointer-invalid`; the gate's and the client's errors
 */
export async function preparePromotion(
  client: RegistryClient,
  given: PromotionRequest,
  context: Context,
): Promise<PromotionPreparation> {
  const { environmentName, to } = given;
  const astray = judgeDestination(findEnvironment(given.policy, environmentName), environmentName, to);
  if (isSameRepository(given.image, to)) {
    throw new UserError(`input 'to' is '${formatRepository(to)}': that is where the image is already`, {
      code: "input-invalid",
    });
  }
  // Before anything else is asked of anybody. Where the policy's own word keeps the image out, no other is needed.
  const policy = astray.length > 0 ? given.policy : await confirmInForce(given.policy, to, given.pointers);
  const request = { ...given, policy };
  const environment = findEnvironment(policy, environmentName);
  const { serverSide: settings } = environment;
  // A product that moves may have taken the image away already, asked by a run that was killed since. Where nothing
  // moves, what is gone from quarantine was withdrawn.
  const moves = settings !== undefined && findProduct(settings.product).moves(settings);
  const source = moves
    ? rememberReads(readWhereMoved(client, request.image, to))
    : (request.source ?? rememberReads(client));
  const gate = await runGate(source, request.image, environmentName, policy, context.now(), "from", to);
  const violations = [...astray, ...gate.violations, ...judgeLabels(gate.evidence)];
  if (violations.length > 0) return { gate, violations };
  const from: Repository = { registry: gate.image.reference.registry, name: gate.image.reference.name };
  const gather = (isThorough: boolean): Promise<GatheredPromotion> =>
    gatherPromotion(client, source, gate, to, request.tags, { referrers: environment.referrers, isThorough });
  const gathered = await gather(false);
  const rollbacks = await lookForRollbacks(client, request, gate, gathered);
  if (rollbacks.length > 0 && request.allowTagRollback !== true)
    return { gate, violations: judgeRollbacks(rollbacks, to) };
  const product =
    settings === undefined
      ? undefined
      : planServerSide({ settings, from, to, digest: gathered.facts.digest, tags: request.tags });
  const isThere = gathered.facts.manifests.some(({ role, isPresent }) => role === "image" && isPresent);
  const plan = planPromotion(
    product === undefined || isThere ? gathered.facts : { ...gathered.facts, serverSide: product },
  );
  return {
    gate,
    violations,
    prepared: {
      plan,
      async execute(signer) {
        assertPromoter(signer, environment, policy);
        return executePromotion(
          { client, source, request, context, environment, gate, gathered, gather, plan, product, rollbacks },
          signer,
        );
      },
    },
  };
}

interface Promotion {
  client: RegistryClient;
  source: RememberingClient;
  request: PromotionRequest;
  context: Context;
  environment: PolicyEnvironment;
  gate: GateOutcome;
  gathered: GatheredPromotion;
  gather(isThorough: boolean): Promise<GatheredPromotion>;
  plan: PromotionPlan;
  product: ServerSidePlan | undefined;
  /** That were allowed. */
  rollbacks: readonly TagRollback[];
}

async function executePromotion(promotion: Promotion, signer: Signer): Promise<PromotionOutcome> {
  const { client, source, request, context, environment, gate, gathered, gather, plan, product, rollbacks } = promotion;
  const { to, environmentName, policy } = request;
  const counts: ExecutionCounts = { ...noCounts };
  const notes: string[] = [];
  const broken = new Map<Digest, LeftBehind>();
  const copy = async (next: PromotionPlan, { manifests }: GatheredPromotion): Promise<void> => {
    const done = await executeCopy(client, source, next, manifests, context.ports);
    for (const key of Object.keys(counts) as (keyof ExecutionCounts)[]) counts[key] += done.counts[key];
    for (const each of done.leftBehind) broken.set(each.digest, each);
  };
  const complete = async (): Promise<void> => {
    const missing = await gather(true);
    await copy(planPromotion(missing.facts), missing);
  };
  const image = gathered.manifests.get(plan.digest);
  if (image === undefined) throw new TypeError("the image's own manifest was not gathered");
  const http = httpOptions(request, context);
  if (plan.serverSide === undefined) await copy(plan, gathered);
  else {
    const brought = await runServerSide(plan.serverSide, image, { client, http }).catch((error: unknown) => {
      throw addState(error, `no tag but the promotion's own (${plan.serverSide?.stagingTag}) was set in ${plan.to}`);
    });
    notes.push(...brought.notes);
    await complete();
  }
  let there = await gateDestination(client, request, gate, context);
  if ("problem" in there) {
    // What a list or an index there promised is not there: everything is asked for, and what is missing is sent.
    await complete();
    there = await gateDestination(client, request, gate, context);
    if ("problem" in there) throw destinationDiffers(to, there.problem);
  }
  const leftBehind = [...broken.values()];
  if (there.verdict !== "pass") return { counts, gate: there, leftBehind, notes };
  const about = { to, environmentName, promoter: environment.promoter, policy, rollbacks, now: context.now() };
  const statement = await stateGate(client, there, about, signer).catch((error: unknown) => {
    throw addState(
      error,
      `the image and its evidence are in ${plan.to}; the promotion is not signed, and no tag was set`,
    );
  });
  await executeTags(client, plan, image);
  if (product !== undefined) {
    const own = plan.manifests
      .filter(({ role }) => role === "child" || role === "image")
      .flatMap(({ digest }) => gathered.manifests.get(digest) ?? []);
    notes.push(...(await removeStagingTags(product, own, request.tags, { client, http })));
  }
  return { counts, gate: there, statement, leftBehind, notes };
}

/** The tags that would move back. What it takes to know is counted among what the plan has read. */
async function lookForRollbacks(
  client: RegistryClient,
  { to, environmentName, policy: loaded }: PromotionRequest,
  gate: GateOutcome,
  { facts }: GatheredPromotion,
): Promise<TagRollback[]> {
  const moving = new Set(
    facts.tags.flatMap(({ current }) => (current === undefined || current === facts.digest ? [] : [current])),
  );
  if (moving.size === 0) return [];
  const { policy } = loaded;
  const environment = findEnvironment(loaded, environmentName);
  const { held, lists, contents } = await readTagHolders(client, to, [...moving], policy, environment);
  facts.reads.lists += lists;
  facts.reads.contents += contents;
  const evidence = gate.evidence.get(facts.digest);
  return findRollbacks(
    facts.tags,
    facts.digest,
    held,
    evidence === undefined ? [] : readBuilds(policy, environment, evidence),
  );
}

/** How a product's API is spoken to: as registries are. */
function httpOptions({ policy, patience }: PromotionRequest, { ports, env, signal }: Context): TransportOptions {
  const { plainHttp, hosts } = policy.policy.registries;
  return { ports, env, signal, plainHttp, hosts, ...patience };
}

function judgeDestination(environment: PolicyEnvironment, environmentName: string, to: Repository): Violation[] {
  if (isPointerRepository(to)) {
    return [
      {
        rule: "promote.destination",
        thing: formatRepository(to),
        problem: `what is in a ${pointerName} says which policy is in force, and no image is promoted to there`,
        wayOut: "Promote to a repository of another name.",
      },
    ];
  }
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
  if (
    wanted !== undefined &&
    isSameMaterial(materialOf(wanted, `the key of signer '${environment.promoter}'`), signer.material)
  )
    return;
  const field = wanted === undefined ? "publicKey" : schemeOf(wanted).identify(wanted).field;
  throw new UserError(
    `input 'key' is not the key of '${environment.promoter}', who signs promotions in policy '${policy.policy.name}'`,
    {
      code: "key-not-promoter",
      wayOut: `Give the private key whose public half the policy has as signers.${environment.promoter}.${field}.`,
    },
  );
}

/**
 * What was copied has to stand on its own: the same gate, on what the destination serves. It may know more than the
 * source (an image that was promoted before is scanned again where it runs), and then its no is the policy's. A problem
 * where it serves less of the evidence than was copied.
 */
async function gateDestination(
  client: RegistryClient,
  request: PromotionRequest,
  source: GateOutcome,
  context: Context,
): Promise<GateOutcome | { problem: string }> {
  const reference: Reference = { ...request.to, digest: source.image.reference.digest };
  let gate: GateOutcome;
  try {
    gate = await runGate(client, reference, request.environmentName, request.policy, context.now(), "to");
  } catch (error) {
    if (isKnownError(error) && absences.includes(error.code)) return { problem: error.message };
    throw addState(
      error,
      `what was copied to ${formatRepository(request.to)} could not be verified there; nothing was signed, and no tag was set`,
    );
  }
  const isThere = ({ subject, bundle, signers }: VerifiedStatement): boolean =>
    gate.evidence
      .get(subject)
      ?.statements.some(
        (there) => there.bundle.digest === bundle.digest && signers.every((name) => there.signers.includes(name)),
      ) === true;
  const lacking = [...source.evidence.values()]
    .flatMap(({ statements }) => statements)
    .filter((statement) => !isThere(statement));
  // Also where the gate passes: an older verdict passes as well as the newer one that is not there.
  if (lacking.length === 0) return gate;
  const named = lacking.map(
    ({ statement, subject, referrer }) => `${referrer.digest} (${statement.predicateType}) about ${subject}`,
  );
  return { problem: `it lacks ${named.join(", ")}` };
}

const absences: readonly ErrorCode[] = ["image-not-found", "blob-not-found"];

function destinationDiffers(to: Repository, why: string): InfrastructureError {
  return new InfrastructureError(
    `${formatRepository(to)} does not serve what was copied to it (${why}); nothing was signed, and no tag was set`,
    {
      code: "destination-differs",
      wayOut: "Run the promotion again; if it stays so, see how this registry keeps referrers.",
    },
  );
}
