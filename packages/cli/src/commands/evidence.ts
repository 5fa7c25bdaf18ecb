import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { folderOf } from "@goldenpath/core/evidence/export-facts";
import { gatherExport } from "@goldenpath/core/evidence/gather-export";
import { writeExport } from "@goldenpath/core/evidence/write-export";
import { fetchPolicyBytes, loadPolicy, parsePolicyUri } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

type LoadContext = Parameters<typeof loadPolicy>[1];

/** The bytes of the policy that was loaded: of these and of no others. */
async function readAgain(policy: LoadedPolicy, context: LoadContext): Promise<Uint8Array> {
  const source = parsePolicyUri(policy.uri);
  const bytes = source.kind === "in-force" ? undefined : await fetchPolicyBytes(source, policy.uri, context);
  if (bytes !== undefined && digestOf(bytes) === policy.digest) return bytes;
  throw new UserError(`policy '${policy.uri}' was changed while it was read`, { code: "policy-invalid" });
}

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  out: { type: "string", default: "./goldenpath-evidence" },
} as const;

/** `goldenpath evidence export IMAGE --policy POLICY [--policy-signer FILE] [--out DIR]`. */
export async function runEvidenceCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [action, text, ...others] = positionals;
  if (action !== "export" || text === undefined || others.length > 0 || values.policy === undefined) {
    throw new UserError("goldenpath evidence: expected export IMAGE --policy POLICY [--out DIR]", {
      code: "arguments-invalid",
    });
  }
  const context = openContext();
  const reference = parseReference(text, "IMAGE");
  const policy = await loadPolicy(values.policy, context, values["policy-signer"]);
  const policyBytes = await readAgain(policy, context);
  const { image, folders } = await withClient(context, policy, (client) =>
    gatherExport({ client, policy, policyBytes, now: new Date() }, reference),
  );
  const directory = resolve(values.out);
  await writeExport(directory, folders);
  const own = folders.get(folderOf(image.reference.digest));
  const count = [...(own?.keys() ?? [])].filter((name) => name.startsWith("evidence/")).length;
  output.out(`${formatReference(image.reference)}: ${count} signed statements\n`);
  for (const folder of folders.keys()) {
    await chmod(join(directory, folder, "check.sh"), 0o755);
    output.out(`  ${join(directory, folder)}\n`);
  }
  return exitCodes.pass;
}
