import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { RememberingClient } from "@goldenpath/registry-client/remember";
import type { TransportOptions } from "@goldenpath/registry-client/transport";
import { findEnvironment } from "../gate/find-environment.ts";
import { type GateOutcome, runGate } from "../gate/verify.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { Attachment } from "../signing/attach.ts";
import type { Signer, VerifiedStatement } from "../signing/types.ts";
import type { SummaryApproval } from "../signing/verification-summary.ts";
import { type ExecutionCounts, executeCopy, executeTags, keepAncestors, noCounts } from "./execute.ts";
import type { LeftBehind, PromotionPlan } from "./facts.ts";
import { addState } from "./failures.ts";
import { type GatheredPromotion, gatherPromotion } from "./gather.ts";
import type { PointerReader } from "./in-force.ts";
import { planPromotion } from "./plan.ts";
import { removeStagingTags } from "./server-side/clean-up.ts";
import type { ServerSidePlan } from "./server-side/products/product.ts";
import { runServerSide } from "./server-side/run.ts";
import { stateGate } from "./statement.ts";
import type { TagRollback } from "./tag-rollbacks.ts";

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
  /** The one image that tags move from; where one of them is at another, nothing is written. */
  replaces?: Digest | undefined;
  /** Who approved the run, for the promotion's statement. */
  approvals?: readonly SummaryApproval[];
  /** What reads the source: several promotions of one run share it, and read what they share once. */
  source?: RememberingClient;
  /** How often a product's API is asked in all, and how is waited in between; as a client's unless told. */
  patience?: Pick<TransportOptions, "attempts" | "sleep">;
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

/** All that was decided before anything is written: data, and what a promotion goes by. */
export interface DecidedPromotion {
  request: PromotionRequest;
  /** Passed, at the source. */
  gate: GateOutcome;
  gathered: GatheredPromotion;
  plan: PromotionPlan;
  /**
   * Where the policy has a registry product; its part in the plan is undefined where the image is at the destination
   * already.
   */
  product: ServerSidePlan | undefined;
  /** That were allowed. */
  rollbacks: readonly TagRollback[];
}

/** What a promotion does its work with. */
export interface PromotionTools {
  client: RegistryClient;
  source: RememberingClient;
  context: Context;
}

/** What was written so far. */
interface Done {
  counts: ExecutionCounts;
  leftBehind: Map<Digest, LeftBehind>;
}

/**
 * Does what was decided: copies, has the gate pass what the destination serves, signs that, and sets the tags. Where
 * the gate refuses there, nothing is signed and no tag is set.
 * @throws InfrastructureError `destination-differs`; what copying, gating, signing and the product's API throw, each
 *   with how far it got
 */
export async function executePromotion(
  decided: DecidedPromotion,
  tools: PromotionTools,
  signer: Signer,
): Promise<PromotionOutcome> {
  const { request, gathered, plan, product, rollbacks } = decided;
  const { client, context } = tools;
  const { to, environmentName, policy } = request;
  const done: Done = { counts: { ...noCounts }, leftBehind: new Map() };
  const image = gathered.manifests.get(plan.digest);
  if (image === undefined) throw new TypeError("the image's own manifest was not gathered");
  const notes = await bring(decided, tools, image, done);
  const gate = await gateWhatIsThere(decided, tools, done);
  const { counts } = done;
  const leftBehind = [...done.leftBehind.values()];
  if (gate.verdict !== "pass") return { counts, gate, leftBehind, notes };
  const { promoter } = findEnvironment(policy, environmentName);
  const about = {
    to,
    environmentName,
    promoter,
    policy,
    rollbacks,
    approvals: request.approvals ?? [],
    now: context.now(),
  };
  const statement = await stateGate(client, gate, about, signer).catch((error: unknown) => {
    throw addState(
      error,
      `the image and its evidence are in ${plan.to}; the promotion is not signed, and no tag was set`,
    );
  });
  notes.push(...(await keepAncestors(client, plan)));
  await executeTags(client, plan, image);
  if (product !== undefined) {
    const own = plan.manifests
      .filter(({ role }) => role === "child" || role === "image")
      .flatMap(({ digest }) => gathered.manifests.get(digest) ?? []);
    notes.push(
      ...(await removeStagingTags(product, own, request.tags, { client, http: httpOptions(request, context) })),
    );
  }
  return { counts, gate, statement, leftBehind, notes };
}

/** Copies what the plan says, after the registry product where there is one. What a reader should know of that. */
async function bring(decided: DecidedPromotion, tools: PromotionTools, image: Manifest, done: Done): Promise<string[]> {
  const { request, gathered, plan } = decided;
  const { client, context } = tools;
  const { serverSide } = plan;
  if (serverSide === undefined) {
    await copy(plan, gathered, tools, done);
    return [];
  }
  const http = httpOptions(request, context);
  const brought = await runServerSide(serverSide, image, { client, http }).catch((error: unknown) => {
    throw addState(error, `no tag but the promotion's own (${serverSide.stagingTag}) was set in ${plan.to}`);
  });
  await copyWhatLacks(decided, tools, done);
  return [...brought.notes];
}

/** The gate's answer at the destination, once that serves what was copied to it. */
async function gateWhatIsThere(decided: DecidedPromotion, tools: PromotionTools, done: Done): Promise<GateOutcome> {
  const there = await gateDestination(decided, tools);
  if (!("problem" in there)) return there;
  // What a list or an index there promised is not there: everything is asked for, and what is missing is sent.
  await copyWhatLacks(decided, tools, done);
  const again = await gateDestination(decided, tools);
  if ("problem" in again) throw destinationDiffers(decided.request.to, again.problem);
  return again;
}

/** Asks the destination for each part, and copies those that it has not. */
async function copyWhatLacks({ request, gate }: DecidedPromotion, tools: PromotionTools, done: Done): Promise<void> {
  const { to, tags, policy, environmentName } = request;
  const { referrers } = findEnvironment(policy, environmentName);
  const gathered = await gatherPromotion(tools.client, tools.source, gate, to, tags, { referrers, isThorough: true });
  await copy(planPromotion(gathered.facts), gathered, tools, done);
}

async function copy(
  plan: PromotionPlan,
  { manifests }: GatheredPromotion,
  { client, source, context }: PromotionTools,
  { counts, leftBehind }: Done,
): Promise<void> {
  const copied = await executeCopy(client, source, plan, manifests, context.ports);
  for (const key of Object.keys(counts) as (keyof ExecutionCounts)[]) counts[key] += copied.counts[key];
  for (const each of copied.leftBehind) leftBehind.set(each.digest, each);
}

/** How a product's API is spoken to: as registries are. */
function httpOptions({ policy, patience }: PromotionRequest, { ports, env, signal }: Context): TransportOptions {
  const { plainHttp, hosts } = policy.policy.registries;
  return { ports, env, signal, plainHttp, hosts, ...patience };
}

/**
 * What was copied has to stand on its own: the same gate, on what the destination serves. It may know more than the
 * source (an image that was promoted before is scanned again where it runs), and then its no is the policy's. A problem
 * where it serves less of the evidence than was copied.
 */
async function gateDestination(
  { request, gate: source }: DecidedPromotion,
  { client, context }: PromotionTools,
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
  const isAmong = (there: readonly VerifiedStatement[] = [], { bundle, signers }: VerifiedStatement): boolean =>
    there.some((each) => each.bundle.digest === bundle.digest && signers.every((name) => each.signers.includes(name)));
  const lacking = [...source.evidence].flatMap(([subject, { statements, lapsed }]) => {
    const there = gate.evidence.get(subject);
    return [
      ...statements.filter((each) => !isAmong(there?.statements, each)),
      ...lapsed.filter((each) => !isAmong(there?.lapsed, each)),
    ];
  });
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
