import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type AttachedBundles, attachBundles } from "@goldenpath/core/evidence/attach-bundles";
import { openElsewhere } from "@goldenpath/core/evidence/elsewhere";
import { folderOf } from "@goldenpath/core/evidence/export-facts";
import { gatherExport } from "@goldenpath/core/evidence/gather-export";
import { type GithubRepository, parseGithubRepository } from "@goldenpath/core/evidence/github-attestations";
import { writeExport } from "@goldenpath/core/evidence/write-export";
import { loadPolicy, loadPolicyBytes } from "@goldenpath/core/policy/load";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { formatReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  out: { type: "string", default: "./goldenpath-evidence" },
  bundle: { type: "string", multiple: true },
  "from-api": { type: "string" },
  environment: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  json: { type: "boolean" },
  csv: { type: "boolean" },
} as const;

const usage = {
  export: "export IMAGE --policy POLICY [--out DIR]",
  attach: "attach IMAGE --policy POLICY (--bundle FILE… | --from-api OWNER/REPO)",
  list: "list HOST/NAME… --policy POLICY --environment NAME",
};

/** `goldenpath evidence export|attach IMAGE …`, `goldenpath evidence list HOST/NAME… …`. */
export async function runEvidenceCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [action, text, ...others] = positionals;
  const { policy: uri } = values;
  if (action === "list" && uri !== undefined)
    return (await import("./evidence-list.ts")).listEvidence(positionals.slice(1), { ...values, policy: uri }, output);
  if ((action !== "export" && action !== "attach") || text === undefined || others.length > 0 || uri === undefined) {
    throw invalid(`expected ${Object.values(usage).join(", or ")}`);
  }
  const context = openContext();
  const reference = parseReference(text, "IMAGE");
  if (action === "attach") {
    const elsewhere = await openElsewhere(
      { files: values.bundle ?? [], repository: readRepository(values["from-api"]) },
      context,
    );
    if (elsewhere === undefined) throw invalid(`expected ${usage.attach}`);
    const policy = await loadPolicy(uri, context, values["policy-signer"]);
    const done = await withClient(context, policy, (client) =>
      attachBundles(client, reference, elsewhere, policy, new Date()),
    );
    return printAttached(done, output);
  }
  const { policy, bytes: policyBytes } = await loadPolicyBytes(uri, context, values["policy-signer"]);
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

function readRepository(text: string | undefined): GithubRepository | undefined {
  const parsed = text === undefined ? undefined : parseGithubRepository(text);
  if (parsed !== undefined && "problem" in parsed) throw invalid(`--from-api is '${text}': ${parsed.problem}`);
  return parsed;
}

/** Where nothing of what was given counts, that is a no. */
function printAttached({ image, attached, refused }: AttachedBundles, output: Output): number {
  output.out(`${formatReference(image.reference)}: ${attached.length} signed statements attached\n`);
  for (const { subject, predicateType, signers, referrer } of attached)
    output.out(`  ${predicateType} on ${subject} by ${signers.join(", ")}: ${referrer}\n`);
  for (const { subject, reason } of refused) output.out(`  not attached, on ${subject}: ${reason}\n`);
  return attached.length === 0 && refused.length > 0 ? exitCodes.fail : exitCodes.pass;
}

const invalid = (message: string): UserError =>
  new UserError(`goldenpath evidence: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath evidence --help.",
  });
