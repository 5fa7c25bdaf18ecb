import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { gatherRepositories } from "../fleet/gather-fleet.ts";
import { planFleetRollout, rebaseStep } from "../fleet/rollout/execute.ts";
import type { RolloutReport } from "../fleet/rollout/facts.ts";
import { findOnlyEnvironment } from "../gate/find-environment.ts";
import { openIdentities } from "../identities/open.ts";
import { loadPolicy } from "../policy/load.ts";
import { identityInput } from "./identity-input.ts";
import { withClient } from "./open.ts";
import { commonInputs, lines, optionalText } from "./verb.ts";

/** What the action `rebase` takes: no stage of the path, and so no verb. On a command line `fleet rebase` is the same. */
export const rebaseInputs = z.object({
  policy: commonInputs.policy,
  "policy-signer": commonInputs["policy-signer"],
  image: optionalText(),
  onto: optionalText(),
  to: optionalText(),
  tags: lines(),
  environment: optionalText(),
  repositories: lines(),
  base: optionalText(),
  leave: lines(),
  quarantine: optionalText(),
  ...identityInput,
});
type Inputs = z.infer<typeof rebaseInputs>;

/** Which wave is due; or where one image of it went, HOST/NAME@sha256:…. */
export type RebaseOutcome = { report: RolloutReport } | { image: string };

/**
 * Without `image` the waves of what stands in an environment on an older version of its base; with it, that one image
 * is put on the version `onto`, in quarantine.
 * @throws UserError `input-invalid`; as `planFleetRollout` and `rebaseStep`
 */
export async function rebaseImages(given: Inputs, context: Omit<Context, "run">): Promise<RebaseOutcome> {
  const step = readStep(given);
  const identities = given["registry-identities"];
  const own =
    identities.length === 0
      ? context
      : { ...context, identities: openIdentities(identities, context, { isSealed: false }) };
  const readPolicy = () => loadPolicy(given.policy, own, given["policy-signer"]);
  const policy = await readPolicy();
  const now = context.now();
  return withClient(own, policy, async (client): Promise<RebaseOutcome> => {
    if (step !== undefined)
      return { image: await rebaseStep(client, readPolicy, step, { now, signal: context.signal }) };
    const { repositories: named, base, leave, quarantine, tags } = given;
    const environment = given.environment ?? findOnlyEnvironment(policy);
    const repositories = await gatherRepositories(client, policy.policy, { named, environment });
    const source = { client, policy, now, areNamed: named.length > 0 };
    const request = { environment, base, leave, quarantine, tags };
    return { report: await planFleetRollout(source, repositories, request, context.signal) };
  });
}

/** The one image that is named. */
function readStep({ image: text, onto, to, tags, ...others }: Inputs) {
  if (text === undefined) {
    const [stray] = Object.entries({ onto, to }).find(([, value]) => value !== undefined) ?? [];
    if (stray !== undefined) throw invalid(`input '${stray}' is given, and input 'image' is not`);
    return undefined;
  }
  if (onto === undefined || to === undefined)
    throw invalid(`input 'image' is '${text}', and inputs 'onto' and 'to' say where it goes`);
  const { environment, base, quarantine, repositories, leave } = others;
  if ([environment, base, quarantine].some((each) => each !== undefined) || repositories.length + leave.length > 0)
    throw invalid(
      "inputs 'environment', 'repositories', 'base', 'leave' and 'quarantine' are for a plan, without 'image'",
    );
  const { registry, name, digest } = parseReference(text, "input 'image':");
  if (digest === undefined) throw invalid(`input 'image' is '${text}', which names no digest`);
  return { image: { registry, name, digest }, onto: parseDigest(onto, "input 'onto':"), to, tags };
}

const invalid = (message: string): UserError =>
  new UserError(message, {
    code: "input-invalid",
    wayOut: "Give 'image', 'onto' and 'to' of an entry of a plan, or none of them to have one made.",
  });
