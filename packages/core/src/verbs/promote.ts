import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import { type RememberingClient, rememberReads } from "@goldenpath/registry-client/remember";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { type Approval, readApprovals } from "../evidence/github-approvals.ts";
import { findEnvironment } from "../gate/find-environment.ts";
import { readPolicySigner } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { LeftBehind, PromotionPlan } from "../promote/facts.ts";
import { createPointerReader, type PointerReader } from "../promote/in-force.ts";
import { renderPlanText } from "../promote/plan.ts";
import { assertPromoter, preparePromotion } from "../promote/promote.ts";
import { code, renderResultMarkdown } from "../report/markdown.ts";
import { type StageResult, verdictOf } from "../result.ts";
import type { Signer } from "../signing/types.ts";
import { expandTagNames } from "../tags/expand.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withClient } from "./open.ts";
import { buildResult, type ResultFields, resultSubject } from "./outcome.ts";
import { type PromotionJob, planJobs } from "./promote-jobs.ts";
import { promoteMany } from "./promote-many.ts";
import { listMissingInputs, openSigner, signerInputs } from "./signer-inputs.ts";
import { commonInputs, flag, lines, optionalText, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const missing = "is required and was not given";
const inputs = z
  .object({
    ...commonInputs,
    ...identityInput,
    image: optionalText(),
    to: optionalText(),
    tags: lines(),
    flavor: lines(),
    images: lines(),
    environment: requiredText(),
    "allow-tag-rollback": flag(false),
    replaces: optionalText(),
    "record-approvals": flag(false),
    "dry-run": flag(false),
    ...signerInputs,
  })
  // Said together with whatever else is missing.
  .refine(({ images, image }) => isGiven(images, image), { path: ["image"], message: missing, when: () => true })
  .refine(({ images, to }) => isGiven(images, to), { path: ["to"], message: missing, when: () => true });
type Inputs = z.infer<typeof inputs>;

/**
 * Gates images, copies each with its evidence, gates it at the destination, signs the promotion, sets the tags. There
 * is no input that skips the gate.
 */
export const promoteVerb: Verb<typeof inputs> = {
  name: "promote",
  command: "promote",
  inputs,
  positional: "image",
  outputs: ["image", "digest", "plan", "results"],
  sealsIdentities: true,
  run: runPromote,
};

/** By `images`, or by itself. */
function isGiven(images: readonly string[] | undefined, value: string | undefined): boolean {
  return (images !== undefined && images.length > 0) || value !== undefined;
}

/** What the promotions of one run share. */
interface Run {
  given: Inputs;
  context: Context;
  policy: LoadedPolicy;
  /** Absent for a dry run. */
  signer: Signer | undefined;
  client: RegistryClient;
  pointers: PointerReader;
  /** What it has read of a source is not read again. */
  source: RememberingClient;
  approvals: readonly Approval[];
}

async function runPromote(given: Inputs, context: Context): Promise<VerbOutcome> {
  const tags = expandTagNames({ lines: given.tags, flavor: given.flavor }, { ...context.run, now: context.now() });
  for (const remark of tags.remarks) context.ports.log.notice(remark);
  const jobs = planJobs({ ...given, tags: tags.names });
  const policy = await openPolicy(given, context, "promote");
  const environment = findEnvironment(policy, given.environment);
  const signer = await loadPromoter(given, context, policy);
  if (signer !== undefined) assertPromoter(signer, environment, policy);
  const policySigner =
    given["policy-signer"] === undefined ? undefined : await readPolicySigner(given["policy-signer"], context);
  const approvals = given["record-approvals"] && signer !== undefined ? await readApprovals(context) : [];
  const directory = given["result-dir"] ?? context.temporaryDirectory;
  return withClient(context, policy, async (client) => {
    const pointers = createPointerReader(client, policy, policySigner);
    const run: Run = { given, context, policy, signer, client, pointers, source: rememberReads(client), approvals };
    const [job] = jobs;
    if (given.images.length > 0) {
      return promoteMany(jobs, directory, context, (each, planFile) => promoteOne(each, run, planFile, false));
    }
    if (job === undefined) throw new TypeError("no image and no error");
    return promoteOne(job, run, join(directory, "plan.json"), true);
  });
}

/** `isAlone`: the plan is printed, and the requests of the run are this promotion's. */
async function promoteOne(job: PromotionJob, run: Run, planFile: string, isAlone: boolean): Promise<VerbOutcome> {
  const { to } = job;
  const { given, context, policy, signer, client, pointers, source, approvals } = run;
  const startedAt = context.now();
  const request = {
    ...job,
    environmentName: given.environment,
    policy,
    pointers,
    source,
    allowTagRollback: given["allow-tag-rollback"],
    approvals,
  };
  const { gate, violations, prepared } = await preparePromotion(client, request, context);
  const finish = (
    facts: ImageFacts,
    fields: Pick<ResultFields, "violations" | "notes">,
    outputs: Record<string, string>,
    summary: (result: StageResult) => string,
  ): VerbOutcome => {
    const subject = resultSubject(facts, () => verdictOf(fields.violations));
    const result = buildResult(context, { stage: "promote", startedAt, subject, policy, ...fields });
    return { verdict: result.verdict, result, outputs, summary: summary(result) };
  };
  const renderRefused = (result: StageResult) => renderResultMarkdown(result, `promote to ${given.environment}`);
  if (prepared === undefined) {
    const written = `Nothing was written to ${code(formatRepository(to))}.`;
    return finish(gate.image, { violations }, {}, (result) => `${renderRefused(result)}\n${written}\n`);
  }
  await writeFile(planFile, `${stringifyJson(prepared.plan, 2)}\n`);
  if (isAlone) await context.ports.group("The plan", async () => context.ports.log.info(renderPlanText(prepared.plan)));
  const { digest } = gate.image.reference;
  const promoted = formatReference({ ...to, digest });
  const tellLeftBehind = (leftBehind: readonly LeftBehind[]): string[] => {
    const notes = describeLeftBehind(leftBehind);
    for (const note of notes) context.ports.log.notice(`${formatReference(gate.image.reference)}: ${note}`);
    return notes;
  };
  const stays = tellLeftBehind(prepared.plan.leftBehind);
  if (signer === undefined) {
    const notes = ["dry run: nothing was written", ...stays];
    return finish(gate.image, { violations, notes }, { plan: planFile }, () =>
      renderPromoted(prepared.plan, promoted, true),
    );
  }
  const { counts, statement, gate: there, leftBehind, notes: told } = await prepared.execute(signer);
  stays.push(...tellLeftBehind(leftBehind));
  if (statement === undefined) {
    const notes = [
      "the destination has newer evidence than the source: nothing was signed, and no tag was set",
      ...told,
      ...stays,
    ];
    return finish(there.image, { violations: there.violations, notes }, { plan: planFile }, renderRefused);
  }
  const notes = [
    `${counts.blobsMounted} blobs mounted, ${counts.blobsCopied} blobs and ${counts.manifestsCopied} manifests copied, ${counts.bytesCopied} bytes sent`,
    `${there.accepted.length} statements accepted at the destination`,
    statement.existed ? "the promotion was signed before" : "the promotion is signed",
    ...(isAlone ? [`${client.traffic.requests} requests to registries`] : []),
    ...told,
    ...stays,
  ];
  return finish(there.image, { violations, notes }, { image: promoted, digest, plan: planFile }, () =>
    renderPromoted(prepared.plan, promoted, false),
  );
}

/** A result has room for some; the plan has them all. */
const maxNotes = 20;

function describeLeftBehind(leftBehind: readonly LeftBehind[]): string[] {
  const notes = leftBehind
    .slice(0, maxNotes)
    .map(({ digest, subject, reason }) => `left behind: ${digest} about ${subject}: ${reason}`);
  return leftBehind.length > maxNotes ? [...notes, `left behind: ${leftBehind.length - maxNotes} more`] : notes;
}

async function loadPromoter(given: Inputs, context: Context, policy: LoadedPolicy): Promise<Signer | undefined> {
  if (given["dry-run"]) return undefined;
  const [name] = listMissingInputs(given);
  if (name !== undefined) {
    throw new UserError(`input '${name}' is required and was not given`, {
      code: "input-invalid",
      wayOut: "Give the promoter's private key, or set dry-run to see what a promotion would do.",
    });
  }
  return openSigner(given, context, policy);
}

function renderPromoted(plan: PromotionPlan, promoted: string, isDryRun: boolean): string {
  const tags = plan.tags.map(
    ({ tag, from, action }) => `| ${code(tag)} | ${action === "move" ? `moved from ${code(from ?? "")}` : action} |`,
  );
  return [
    isDryRun ? "### 🔎 promote: would be promoted (dry run)" : "### ✅ promote: promoted",
    "",
    `${code(`${plan.from}@${plan.digest}`)} → ${code(promoted)}`,
    "",
    ...(tags.length === 0 ? [] : ["| Tag | |", "| --- | --- |", ...tags, ""]),
  ].join("\n");
}
