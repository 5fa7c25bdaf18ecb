import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { findEnvironment } from "../gate/verify.ts";
import { formatReference, formatRepository, parseReference, parseRepository, type Repository } from "../oci/reference.ts";
import { loadPolicy } from "../policy/load.ts";
import type { Context } from "../ports.ts";
import { type PromotionPlan, renderPlanText } from "../promote/plan.ts";
import { assertPromoter, preparePromotion } from "../promote/promote.ts";
import type { ImageFacts } from "../registry/subject.ts";
import { code, renderResultMarkdown } from "../report/markdown.ts";
import { type StageResult, verdictOf } from "../result.ts";
import { loadSigner } from "../signing/keys.ts";
import type { Signer } from "../signing/types.ts";
import { createPolicyClient } from "./client.ts";
import { buildResult, type ResultFields, resultSubject } from "./outcome.ts";
import { choice, commonInputs, flag, lines, optionalText, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  image: requiredText(),
  to: requiredText(),
  tags: lines(),
  environment: requiredText(),
  "dry-run": flag(false),
  signer: choice(["key"], "key"),
  key: optionalText(),
  "key-passphrase": optionalText(),
});
type Inputs = z.infer<typeof inputs>;

/** Gates an image, copies it with its evidence, gates it at the destination, signs the promotion, sets the tags. There is no input that skips the gate. */
export const promoteVerb: Verb<typeof inputs> = {
  name: "promote",
  command: "promote",
  inputs,
  outputs: ["image", "digest", "plan"],
  run: runPromote,
};

async function runPromote(given: Inputs, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  const to = parseRepository(given.to, "input 'to'");
  const tags = given.tags.map((tag) => checkTag(tag, to));
  const policy = await loadPolicy(given.policy, context);
  const environment = findEnvironment(policy, given.environment);
  const signer = await loadPromoter(given, context);
  if (signer !== undefined) assertPromoter(signer, environment, policy);
  const { ports } = context;
  const client = createPolicyClient(context, policy);
  try {
    const request = { image: parseReference(given.image), to, tags, environmentName: given.environment, policy };
    const { gate, violations, prepared } = await preparePromotion(client, request, context);
    const finish = (
      image: ImageFacts,
      fields: Pick<ResultFields, "violations" | "notes">,
      outputs: Record<string, string>,
      summary: (result: StageResult) => string,
    ): VerbOutcome => {
      const subject = resultSubject(image, () => verdictOf(fields.violations));
      const result = buildResult(context, { stage: "promote", startedAt, subject, policy, ...fields });
      return { verdict: result.verdict, result, outputs, summary: summary(result) };
    };
    const renderRefused = (result: StageResult): string => renderResultMarkdown(result, `promote to ${given.environment}`);
    if (prepared === undefined) {
      return finish(
        gate.image,
        { violations },
        {},
        (result) => `${renderRefused(result)}\nNothing was written to ${code(formatRepository(to))}.\n`,
      );
    }
    const plan = await writePlan(prepared.plan, given["result-dir"] ?? context.temporaryDirectory);
    await ports.group("The plan", async () => ports.log.info(renderPlanText(prepared.plan)));
    const { digest } = gate.image.reference;
    const promoted = formatReference({ ...to, digest });
    if (given["dry-run"] || signer === undefined) {
      const notes = ["dry run: nothing was written"];
      return finish(gate.image, { violations, notes }, { plan }, () => renderPromoted(prepared.plan, promoted, true));
    }
    const { counts, statement, gate: there } = await prepared.execute(signer);
    if (statement === undefined) {
      const notes = ["the destination has newer evidence than the source: nothing was signed, and no tag was set"];
      return finish(there.image, { violations: there.violations, notes }, { plan }, renderRefused);
    }
    const notes = [
      `${counts.blobsMounted} blobs mounted, ${counts.blobsCopied} blobs and ${counts.manifestsCopied} manifests copied, ${counts.bytesCopied} bytes sent`,
      `${there.accepted.length} statements accepted at the destination`,
      statement.existed ? "the promotion was signed before" : "the promotion is signed",
      `${client.traffic.requests} requests to registries`,
    ];
    return finish(there.image, { violations, notes }, { image: promoted, digest, plan }, () =>
      renderPromoted(prepared.plan, promoted, false),
    );
  } finally {
    await client.close();
  }
}

async function loadPromoter(given: Inputs, context: Context): Promise<Signer | undefined> {
  if (given["dry-run"]) return undefined;
  if (given.key === undefined) {
    throw new UserError("input 'key' is required and was not given", {
      code: "input-invalid",
      wayOut: "Give the promoter's private key, or set dry-run to see what a promotion would do.",
    });
  }
  return loadSigner({ key: given.key, passphrase: given["key-passphrase"] }, context);
}

/** Names under which registries without a referrers API list an image's referrers, and cosign's older ones: `sha256-<hex>`, `sha256-<hex>.att`. */
const referrersTag = /^sha(?:256|512)-[0-9a-f]{32,}/;

/** A tag by the distribution specification's grammar, which the reference's parser holds to; and none that would take the place of an image's evidence. */
function checkTag(tag: string, to: Repository): string {
  if (referrersTag.test(tag)) {
    throw new UserError(`input 'tags' has '${tag}': registries keep the evidence of images under such names`, {
      code: "input-invalid",
      wayOut: "Use a tag that is a version or a name.",
    });
  }
  try {
    if (parseReference(`${to.registry}/${to.name}:${tag}`).tag === tag) return tag;
  } catch {
    // Said below, in this input's words.
  }
  throw new UserError(`input 'tags' has '${tag}': expected letters, digits, and . _ -, at most 128 of them, not starting with . or -`, {
    code: "input-invalid",
  });
}

async function writePlan(plan: PromotionPlan, directory: string): Promise<string> {
  const file = join(directory, "plan.json");
  await writeFile(file, `${JSON.stringify(plan, null, 2)}\n`);
  return file;
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
