import { listFloating, type MovedTag, moveTag } from "@goldenpath/core/base/approval/execute-tag";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface TagOptions {
  policy: string;
  "policy-signer"?: string | undefined;
  "dry-run"?: boolean | undefined;
  json?: boolean | undefined;
}

/**
 * `goldenpath base tag NAME --policy POLICY [--dry-run] [--json]`: points the floating tag of a base, or a builder, of the policy at
 * its newest approved version. Exits 1, and leaves the tag, where there is none.
 */
export async function tagBase(name: string, given: TagOptions, output: Output): Promise<number> {
  const context = openContext();
  const readPolicy = () => loadPolicy(given.policy, context, given["policy-signer"]);
  const loaded = await readPolicy();
  const tagged = listFloating(loaded.policy);
  const base = tagged.find((each) => each.name === name);
  if (base === undefined) {
    const known = tagged.map((each) => each.name).join(", ") || "none";
    throw new UserError(
      `'${name}' is no base or builder of policy ${loaded.uri} that has a floating tag (those that have: ${known})`,
      {
        code: "arguments-invalid",
        wayOut: "Name one of those, or give the base an approval.tag in the policy (docs/policy.md).",
      },
    );
  }
  const options = { now: new Date(), isDryRun: given["dry-run"] === true };
  const moved = await withClient(context, loaded, (client) => moveTag(client, base, readPolicy, options));
  output.out(given.json === true ? `${stringifyJson(moved, 2)}\n` : `${describeMoved(moved, options.isDryRun)}\n`);
  return exitCodes.pass;
}

/** One line, or two where a version got a tag of its own. */
export function describeMoved({ tag, before, digest, isMoved, kept }: MovedTag, isDryRun: boolean): string {
  if (!isMoved) return `${tag}: is ${digest}`;
  const line = `${tag}: ${isDryRun ? "would be" : "is"} ${digest}, and was ${before ?? "not there"}`;
  return kept === undefined ? line : `${line}\n  the version before had no other tag, and is kept as ${kept}`;
}
