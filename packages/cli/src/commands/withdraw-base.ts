import { listBuiltWith } from "@goldenpath/core/base/approval/execute-built-with";
import {
  findVersion,
  listStandingOn,
  takeTagsBack,
  type VersionOf,
} from "@goldenpath/core/base/approval/execute-take-back";
import type { Standings } from "@goldenpath/core/base/gather-standings";
import { gatherRepositories } from "@goldenpath/core/fleet/gather-fleet";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { pointerTag } from "@goldenpath/core/policy/pointer";
import type { PolicyPointer } from "@goldenpath/core/policy/pointer-facts";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { putInForce } from "@goldenpath/core/policy/withdrawals";
import { withClient } from "@goldenpath/core/verbs/open";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output, reportError } from "../output.ts";
import { describeMoved } from "./base-tag.ts";
import { openContext } from "./context.ts";

interface Place {
  /** Where the policy is in force, and on whose word (PEM). */
  repository: Repository;
  policySigner: string;
  /** Where to look what stands on the base; absent: all of the policy's environments. */
  images?: readonly string[] | undefined;
}

interface Done {
  /** As it is now, or would be. */
  pointer: PolicyPointer;
  isUndo: boolean;
  isDryRun: boolean;
}

/**
 * What follows the withdrawal of a base, or its end: its floating tags go where they belong, and what stands on it is
 * listed. The withdrawal itself holds whatever comes of this.
 * @returns the exit code: 1 where no version is left for a tag, 2 where something could not be done or looked at
 */
export async function followWithdrawal(
  version: Digest,
  { repository, policySigner, images = [] }: Place,
  { pointer, isUndo, isDryRun }: Done,
  output: Output,
): Promise<number> {
  const context = openContext();
  const uri = `oci://${formatReference({ ...repository, tag: pointerTag })}`;
  const readPolicy = async (): Promise<LoadedPolicy> => {
    const loaded = await loadPolicy(uri, context, policySigner);
    return isDryRun ? putInForce(loaded, pointer) : loaded;
  };
  const loaded = await readPolicy();
  const now = new Date();
  return withClient(context, loaded, async (client) => {
    const of = await findVersion(client, version, loaded, now);
    const { moved, failures } = await takeTagsBack(client, of.signed, readPolicy, { now, isDryRun });
    for (const each of moved) output.out(`${describeMoved(each, isDryRun)}\n`);
    const codes = failures.map((each) => reportError(each, output));
    if (!isUndo) codes.push(await listAffected(client, version, of, { loaded, now, images }, output));
    return Math.max(exitCodes.pass, ...codes);
  });
}

async function listAffected(
  client: RegistryClient,
  version: Digest,
  { isBase, isBuilder }: VersionOf,
  { loaded, now, images }: { loaded: LoadedPolicy; now: Date; images: readonly string[] },
  output: Output,
): Promise<number> {
  try {
    const repositories = await gatherRepositories(client, loaded.policy, { named: images });
    const unread = [];
    if (isBase) {
      const standings = await listStandingOn(client, version, repositories, loaded, now);
      output.out(renderStandingOn(version, standings, repositories.length));
      unread.push(...standings.unread);
    }
    if (isBuilder) {
      const built = await listBuiltWith({ client, policy: loaded, now }, [version], repositories);
      output.out(renderBuiltWith(version, built, repositories.length));
      unread.push(...built.unread);
    }
    return unread.length > 0 ? exitCodes.error : exitCodes.pass;
  } catch (error) {
    output.err("what stands on it, or was built with it, could not be listed:\n");
    return reportError(error, output);
  }
}

function renderBuiltWith(
  version: Digest,
  { images, unread }: Awaited<ReturnType<typeof listBuiltWith>>,
  repositories: number,
): string {
  const lines = [
    `${images.length} images of ${repositories} repositories were built with ${version}`,
    ...images.map(({ image, tags }) => `  ${image} (${tags.join(", ")})`),
    ...unread.map(({ asked, problem }) => `  unread: ${asked}: ${problem}`),
  ];
  return `${lines.join("\n")}\n`;
}

function renderStandingOn(version: Digest, { images, unread }: Standings, repositories: number): string {
  const lines = [
    `${images.length} images of ${repositories} repositories stand on ${version}${unread.length === 0 ? "" : `; ${unread.length} could not be looked at`}`,
    ...images.map(({ asked, platform }) => `  ${asked} ${platform}`),
    ...unread.map(({ asked, problem }) => `  unread: ${asked}: ${problem}`),
  ];
  return `${lines.join("\n")}\n`;
}
