import { type Rebased, rebaseImage } from "@goldenpath/core/base/rebase/execute";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { isDigest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

interface RebaseOptions {
  policy: string;
  "policy-signer"?: string | undefined;
  to: string;
  onto?: string | undefined;
  "dry-run"?: boolean | undefined;
  json?: boolean | undefined;
}

/**
 * `goldenpath base rebase IMAGE --to HOST/NAME:TAG --policy POLICY [--onto DIGEST] [--dry-run] [--json]`: exits 1, and
 * pushes nothing, where something is against it.
 */
export async function rebase(text: string, given: RebaseOptions, output: Output): Promise<number> {
  const { onto } = given;
  if (onto !== undefined && !isDigest(onto)) {
    throw new UserError(`goldenpath base: --onto is '${onto}': expected the digest of a version of the base`, {
      code: "arguments-invalid",
      wayOut: "Write it as sha256:…; without it the newest version that is approved is taken.",
    });
  }
  const context = openContext();
  const image = parseReference(text, "IMAGE");
  const loaded = await loadPolicy(given.policy, context, given["policy-signer"]);
  const request = { image, to: given.to, onto, isDryRun: given["dry-run"] === true, now: new Date() };
  const rebased = await withClient(context, loaded, (client) =>
    rebaseImage(client, loaded, { ...request, signal: context.signal }),
  );
  output.out(given.json === true ? `${stringifyJson(rebased, 2)}\n` : renderRebased(rebased));
  return rebased.refused.length === 0 ? exitCodes.pass : exitCodes.fail;
}

function renderRebased({ from, image, children, refused, remarks }: Rebased): string {
  const lines = [
    `image    ${from}`,
    ...children.map(({ platform, oldBase, newBase }) => `${platform}: stood on ${oldBase}, to stand on ${newBase}`),
    ...remarks.map((each) => `note: ${each}`),
    ...refused.map(({ problem, wayOut }) => `refused: ${problem}. ${wayOut}`),
    image === undefined
      ? "nothing was pushed"
      : `rebased  ${image}\nIt has no evidence yet: have it judged and signed.`,
  ];
  return `${lines.join("\n")}\n`;
}
