import { resolve } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { formatReference, formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import { planTarget } from "../build/plan-target.ts";
import { type PlatformBuild, parsePlatforms, planMerge } from "../build/platforms/merge.ts";
import { pushBuiltLayout } from "../layouts/push-built.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { expandTagNames } from "../tags/expand.ts";
import { pushMerged } from "./build-merge.ts";
import { withClient } from "./open.ts";

/** What jobs built, as the inputs name it. */
export interface BuiltLayouts {
  image: string;
  /** A folder alone, or `PLATFORM=FOLDER` each. */
  layout: readonly string[];
  platforms: readonly string[];
  digests: Readonly<Record<string, string>>;
  tags: readonly string[];
}

/**
 * Pushes what jobs without a login that writes left as OCI layouts, each exactly the digest that came by that job's
 * output, and merges those of several platforms into one index. What else lies in a folder is not looked at.
 * @returns the image, by its digest
 * @throws UserError `input-invalid`, `platform-missing`, `tags-missing`; PolicyViolation of the rule `build.quarantine`;
 *   InfrastructureError `built-image-invalid`, `platform-differs`, and what reading a layout and the client throw
 */
export async function bringLayouts(given: BuiltLayouts, policy: LoadedPolicy, context: Context): Promise<string> {
  const { sets, reference } = readLayouts(given);
  const { registry, name } = reference;
  const { names, remarks } = expandTagNames({ lines: given.tags, flavor: [] }, { ...context.run, now: context.now() });
  const wanted = names.map((tag) => `${formatRepository({ registry, name })}:${tag}`);
  const target = planTarget(policy.policy, wanted, "input 'tags'");
  for (const remark of [...remarks, ...target.remarks]) context.ports.log.warning(remark);
  return withClient(context, policy, async (client) => {
    for (const { folder, digest } of sets) {
      const tags = reference.digest === undefined ? [] : target.tags;
      const options = { repository: target.repository, tags, client, context, expected: digest };
      await pushBuiltLayout(resolve(context.workingDirectory, folder), options);
      context.ports.log.info(`pushed ${formatReference({ ...target.repository, digest })}, as its layout has it`);
    }
    if (reference.digest !== undefined) return formatReference({ ...target.repository, digest: reference.digest });
    const { reference: merged } = await pushMerged(sets, target, client);
    context.ports.log.info(`merged ${formatReference(merged)}`);
    return formatReference(merged);
  });
}

interface Layout extends PlatformBuild {
  folder: string;
}

function readLayouts({ image, layout, platforms, digests }: BuiltLayouts): {
  sets: Layout[];
  reference: ReturnType<typeof parseReference>;
} {
  const reference = parseReference(image, "input 'image'");
  const [first = "", ...others] = layout;
  if (platforms.length === 0) {
    if (others.length > 0) throw bad("input 'layout' has several folders, and input 'platforms' does not say of what");
    if (reference.digest === undefined)
      throw bad(
        `input 'image' is '${image}': with a layout it is HOST/NAME@DIGEST, by the output of the job that built`,
      );
    return { sets: [{ platform: "", digest: reference.digest, folder: first }], reference };
  }
  if (reference.digest !== undefined || reference.tag !== undefined)
    throw bad(`input 'image' is '${image}': of several platforms it is HOST/NAME alone, since the index is made here`);
  const folders = new Map(layout.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
  const sets = planMerge(parsePlatforms(platforms), digests).map((build) => {
    const folder = folders.get(build.platform);
    if (folder === undefined) throw bad(`input 'layout' has no line ${build.platform}=FOLDER`);
    return { ...build, folder };
  });
  return { sets, reference };
}

const bad = (message: string): UserError =>
  new UserError(message, {
    code: "input-invalid",
    wayOut: "Give what the jobs that built put out: their digests, and their layouts as they were downloaded.",
  });
