import { gatherStandings, type Standings } from "@goldenpath/core/base/gather-standings";
import type { StandingImage } from "@goldenpath/core/base/standing";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
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
  const { policy, ...rest } = await loadPolicy(given.policy, context, given["policy-signer"]);
  const asked = names.map((text) => ({ text, reference: parseReference(text, "IMAGE") }));
  const found = await withClient(context, { ...rest, policy }, async (client) => {
    const references: Reference[] = [];
    for (const each of asked) references.push(...(await expand(client, each)));
    return gatherStandings(client, references, policy.bases, new Date());
  });
  output.out(given.json === true ? `${stringifyJson(found, 2)}\n` : renderStandings(found));
  if (found.unread.length > 0) return exitCodes.error;
  const isBad = ({ standing }: StandingImage): boolean => ["none", "expired", "false"].includes(standing);
  return found.images.some(isBad) ? exitCodes.fail : exitCodes.pass;
}

async function expand(
  client: RegistryClient,
  { text, reference }: { text: string; reference: Reference },
): Promise<Reference[]> {
  // A name without a tag is the whole repository; who means one image says so.
  const isRepository = reference.digest === undefined && !/:[^/]+$/.test(text.slice(text.indexOf("/")));
  if (!isRepository) return [reference];
  const { registry, name } = reference;
  return (await client.listTags(reference)).toSorted().map((tag) => ({ registry, name, tag }));
}

function renderStandings({ images, unread }: Standings): string {
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
