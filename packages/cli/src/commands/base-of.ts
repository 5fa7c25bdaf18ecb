import { gatherStandings, type Standings } from "@goldenpath/core/base/gather-standings";
import type { StandingImage } from "@goldenpath/core/base/standing";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference, type Reference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface OfOptions {
  policy: string;
  "policy-signer"?: string | undefined;
  json?: boolean | undefined;
}

/**
 * `goldenpath base of IMAGE|HOST/NAME… --policy POLICY [--json]`: what each image stands on, and what is behind. A
 * repository is all of its tags. Exits 1 where one stands on no approved base or an expired one, and 2 where one can't be
 * looked at, which is listed beside the others.
 */
export async function listBases(names: readonly string[], given: OfOptions, output: Output): Promise<number> {
  const context = openContext();
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const asked = names.map((text) => ({ text, reference: parseReference(text, "IMAGE") }));
  const found = await withClient(context, loaded, async (client) => {
    const expanded = [];
    for (const each of asked) expanded.push(await expand(client, each));
    const references = expanded.flatMap((each) => each.references);
    const { images, unread } = await gatherStandings(client, references, loaded, new Date());
    return { images, unread: [...expanded.flatMap((each) => each.unread), ...unread] };
  });
  output.out(given.json === true ? `${stringifyJson(found, 2)}\n` : renderStandings(found));
  if (found.unread.length > 0) return exitCodes.error;
  const isBad = ({ standing }: StandingImage): boolean => ["none", "expired", "false"].includes(standing);
  return found.images.some(isBad) ? exitCodes.fail : exitCodes.pass;
}

/** A name without a tag is the whole repository: the images that its tags point at, and no evidence. */
async function expand(
  client: RegistryClient,
  { text, reference }: { text: string; reference: Reference },
): Promise<{ references: Reference[]; unread: Standings["unread"] }> {
  const isRepository = reference.digest === undefined && !/:[^/]+$/.test(text.slice(text.indexOf("/")));
  if (!isRepository) return { references: [reference], unread: [] };
  const { registry, name } = reference;
  const { listTaggedImages } = await import("@goldenpath/core/evidence/gather-record");
  const { images, unreadable } = await listTaggedImages(client, reference);
  if (images.size + unreadable.length === 0) {
    throw new UserError(`there is no image under a tag in ${text}`, {
      code: "image-not-found",
      wayOut: "Name a repository that has one, or an image by its digest.",
    });
  }
  return {
    references: [...images].map(([digest, [tag]]) => ({ registry, name, tag, digest })),
    unread: unreadable.map(({ tag, why }) => ({ asked: `${text}:${tag}`, problem: why })),
  };
}

/** A line for each image, and how many there are of each kind. */
export function renderStandings({ images, unread }: Standings): string {
  const lines = images.map(({ asked, image, platform, standing, base, versionsBehind }) => {
    const on = base === undefined ? "" : ` on '${base.name}' (${base.image}@${base.digest})`;
    const more = versionsBehind === undefined ? "" : `, ${versionsBehind} versions behind`;
    return `${words[standing].padEnd(8)} ${asked}${asked === image ? "" : ` (${image.slice(image.indexOf("@") + 1)})`} ${platform}${on}${more}`;
  });
  const unknown = unread.map(({ asked, problem }) => `unread   ${asked}: ${problem}`);
  const count = (standing: StandingImage["standing"]): number =>
    images.filter((each) => each.standing === standing).length;
  const sum = `${images.length} images: ${count("current")} current, ${count("behind")} behind, ${count("expired")} on expired bases, ${count("none") + count("false")} on none; ${unread.length} unread`;
  return `${[...lines, ...unknown, sum].join("\n")}\n`;
}

const words = { current: "current", behind: "behind", expired: "expired", none: "no base", false: "false" } as const;
