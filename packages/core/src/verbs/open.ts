import { resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { type LayoutSubject, parseLayoutSubject } from "../layouts/layout-subject.ts";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { type ResultStage, rowOfStage } from "../stages.ts";

/** The inputs that name a policy. */
interface PolicyInputs {
  policy: string;
  "policy-signer"?: string | undefined;
}

/**
 * The policy that the inputs name, with the sections that a stage works by.
 * @throws UserError `policy-incomplete` where it has not those; the loader's errors
 */
export async function openPolicy(given: PolicyInputs, context: Context, stage: ResultStage): Promise<LoadedPolicy> {
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const missing = rowOfStage(stage).needs.filter((section) => loaded.policy.absent?.includes(section) === true);
  if (missing.length === 0) return loaded;
  const named = missing.map((section) => `'${section}'`).join(" and ");
  throw new UserError(`policy ${loaded.uri} has no ${named}, which this needs`, {
    code: "policy-incomplete",
    wayOut: `Add ${named} to the policy (docs/policy.md); other verbs may do without.`,
  });
}

type ClientContext = Pick<Context, "ports" | "env" | "signal" | "identities" | "workingDirectory">;

/** What a verb that looks at one image works with. */
export interface OpenedImage {
  client: RegistryClient;
  image: ImageFacts;
}

/**
 * Work with a registry client for a verb: the run's ports, environment and signal, and plain HTTP only for the
 * registries for which the policy allows it. It is closed when the work is over, however that ends.
 */
export function withClient<T>(
  { ports, env, signal, identities }: ClientContext,
  { policy }: Pick<LoadedPolicy, "policy">,
  work: (client: RegistryClient) => Promise<T>,
): Promise<T> {
  const { plainHttp, hosts } = policy.registries;
  const own = identities === undefined ? {} : { identities };
  return withRegistryClient({ ports, env, signal, plainHttp, hosts, ...own }, work);
}

/**
 * The frame of the verbs that look at one image: resolved to a digest once, by a client that is closed when the work is
 * over. `oci-layout:PATH` is an image on the disk, which is in no registry yet.
 * @throws UserError `reference-invalid`, before anything is asked of a registry; the client's errors
 */
export async function withImage<T>(
  text: string,
  context: ClientContext,
  policy: Pick<LoadedPolicy, "policy">,
  work: (opened: OpenedImage) => Promise<T>,
): Promise<T> {
  const layout = parseLayoutSubject(text, "input 'image'");
  if (layout !== undefined) return withLayout(layout, context, policy, work);
  const reference = parseReference(text, "input 'image'");
  return withClient(context, policy, async (client) =>
    work({ client, image: await fetchImageFacts(client, reference) }),
  );
}

async function withLayout<T>(
  layout: LayoutSubject,
  context: ClientContext,
  policy: Pick<LoadedPolicy, "policy">,
  work: (opened: OpenedImage) => Promise<T>,
): Promise<T> {
  const path = resolve(context.workingDirectory, layout.path);
  // Most images lie in a registry.
  const { openLayoutImage } = await import(/* webpackMode: "eager" */ "../layouts/layout-client.ts");
  const { openStorage } = await import(/* webpackMode: "eager" */ "../layouts/storage.ts");
  const storage = await openStorage(path);
  try {
    return await withClient(context, policy, async (registries) => {
      const { client, reference } = await openLayoutImage(storage, { ...layout, path }, registries);
      return work({ client, image: await fetchImageFacts(client, reference) });
    });
  } finally {
    await storage.close();
  }
}
