import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { isDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  isSameRepository,
  type PinnedReference,
  parseReference,
} from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { copyIntoQuarantine, refuseOrigin } from "../build/adopt.ts";
import { planTarget } from "../build/plan-target.ts";
import { ownPolicy } from "../build/strategies/find.ts";
import { type ImageBuilder, image as strategy } from "../build/strategies/image.ts";
import type { SignedView } from "../build/strategies/strategy.ts";
import { pushBeside } from "../evidence/attach-bundles.ts";
import { type Elsewhere, openElsewhere } from "../evidence/elsewhere.ts";
import { judgeSource } from "../gate/binding.ts";
import { type FoundOrigin, findOrigin } from "../origin/judge-origin.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { code, escapeMarkdown } from "../report/markdown.ts";
import { withBundles } from "../signing/bundles-beside.ts";
import { gatherSigned } from "../signing/gather-signed.ts";
import { withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import type { VerbOutcome } from "./verb.ts";

interface Adoption {
  /** The input: by its digest. */
  image: string;
  /** Name of a builder of the policy; undefined for any that takes it. */
  builder: string | undefined;
  /** References in quarantine. */
  tags: readonly string[];
  remarks: readonly string[];
  /** Where what is signed about it is looked for besides its registry. */
  elsewhere: Elsewhere;
}

/**
 * Takes an image into quarantine that something else built, where what is signed about it counts under the policy: its
 * bytes, and the statements that it counts by. Nothing is built, and no stranger's code runs. The job that attests looks
 * for itself at what is signed, and so does the gate.
 * @throws UserError `input-invalid`, `builder-unknown`, as the plan of a build; PolicyViolation of the rules
 *   `build.strategy`, `build.quarantine`, `build.image`; the client's errors
 */
export async function adoptImage(
  { image: text, builder, tags, remarks, elsewhere }: Adoption,
  policy: LoadedPolicy,
  context: Context,
): Promise<VerbOutcome> {
  const startedAt = context.now();
  const reference = requirePinned(text);
  const rules = listRules(policy, builder);
  const target = planTarget(policy.policy, tags, "input 'tags'");
  const more = await openElsewhere(elsewhere, context);
  return withClient(context, policy, async (client) => {
    const source = await fetchImageFacts(client, reference);
    const reader = more === undefined ? undefined : withBundles(client, more, startedAt);
    const view = await gatherSigned(reader ?? client, source, policy, startedAt);
    const origin = requireOrigin(text, view, rules, policy);
    const bundles = new Set(origin.rests.map(({ bundle }) => bundle));
    const counting = view.statements.filter(({ bundle }) => bundles.has(bundle.digest));
    context.ports.log.info(`${text} is of ${describeOrigin(origin)}`);
    const besides = counting.flatMap(({ referrer }) => reader?.beside(referrer.digest) ?? []);
    const there = counting.filter(({ referrer }) => reader?.beside(referrer.digest) === undefined);
    await copyIntoQuarantine(
      client,
      source,
      target,
      isSameRepository(reference, target.repository) ? [] : there,
      async () => {
        for (const each of besides) await pushBeside(client, target.repository, each);
      },
    );
    const image = await fetchImageFacts(client, { ...target.repository, digest: reference.digest });
    const notes = [
      `taken from ${formatReference(reference)}, of ${describeOrigin(origin)}`,
      ...target.remarks,
      ...remarks,
    ];
    const subject = resultSubject(image, () => "pass");
    const result = buildResult(context, { stage: "build", startedAt, subject, violations: [], policy, notes });
    const name = formatReference(image.reference);
    context.ports.log.info(`took in ${name}`);
    const outputs = { image: name, digest: reference.digest, strategy: strategy.name, sbom: "" };
    return { verdict: "pass", result, outputs, summary: renderAdoption(image, target.tags, origin, notes) };
  });
}

/** A tag may stand beside the digest, for people; alone it is whatever somebody points it at. */
function requirePinned(text: string): PinnedReference {
  const { registry, name, digest } = parseReference(text, "input 'image'");
  if (digest !== undefined) return { registry, name, digest };
  throw new UserError(`input 'image' is '${text}', which has no digest: a tag is whatever it is pointed at`, {
    code: "input-invalid",
    wayOut: "Give the digest that the other pipeline came up with, HOST/NAME@sha256:DIGEST.",
  });
}

function listRules({ policy }: LoadedPolicy, builder: string | undefined): readonly ImageBuilder[] {
  if (!policy.build.strategies.includes(strategy.name)) {
    throw new PolicyViolation(
      `strategy '${strategy.name}' is not one that policy '${policy.name}' allows: ${policy.build.strategies.join(", ")}`,
      {
        code: "build-strategy-not-allowed",
        rule: "build.strategy",
        wayOut: "Build by a strategy that is allowed, or have this one added to the policy's build.strategies.",
      },
    );
  }
  const { builders } = ownPolicy(policy, strategy);
  const named = builder === undefined ? builders : builders.filter(({ name }) => name === builder);
  if (named.length > 0) return named;
  throw new UserError(
    `input 'builder' is '${builder}': policy '${policy.name}' has the builders ${builders.map(({ name }) => name).join(", ")} for images`,
    { code: "builder-unknown", wayOut: "Name one of them, or leave the input out for any that takes the image." },
  );
}

function requireOrigin(
  text: string,
  view: SignedView,
  rules: readonly ImageBuilder[],
  { policy }: LoadedPolicy,
): FoundOrigin {
  const found = findOrigin(view, rules);
  if ("objections" in found) {
    throw refuseOrigin(
      text,
      found.objections.map(({ problem }) => problem),
      "Have it signed by a pipeline that the policy names, or imported by the platform's signer (docs/images.md).",
    );
  }
  const { repository, ref, event, callerId } = found.source;
  // Who attests it is not known here, and is asked by the gate.
  const sources = policy.build.sources.map((each) =>
    typeof each === "string" ? each : { ...each, workflows: undefined },
  );
  const built = { sourceRepository: repository, sourceRef: ref, event, callerId, builderId: "" };
  const [against] = judgeSource({ ...policy, build: { ...policy.build, sources } }, built, undefined);
  if (against !== undefined) throw refuseOrigin(text, [against.problem], against.wayOut);
  return found;
}

function describeOrigin({ source, rests, builders }: FoundOrigin): string {
  const kinds = [...new Set(rests.map(({ kind }) => kind))].join(" and ");
  const version = isDigest(`sha256:${source.version}`) ? `sha256:${source.version}` : source.version;
  return `${source.repository}, ${version}, by its ${kinds} (builder ${builders.join(" or ")})`;
}

function renderAdoption(
  image: ImageFacts,
  tags: readonly { tag?: string }[],
  origin: FoundOrigin,
  notes: readonly string[],
): string {
  const rows = [
    ["Image", code(formatReference(image.reference))],
    ["Repository", code(formatRepository(image.reference))],
    ["Tags", tags.map(({ tag }) => code(tag ?? "")).join(" ")],
    ["Of", escapeMarkdown(describeOrigin(origin))],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
  return `### Taken in\n\n| | |\n| --- | --- |\n${table}\n\n${notes.map((note) => `- ${escapeMarkdown(note)}`).join("\n")}\n`;
}
