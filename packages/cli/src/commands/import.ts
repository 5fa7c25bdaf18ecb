import { parseArgs } from "node:util";
import { gatherUpstream } from "@goldenpath/core/imports/gather-imports";
import { importImage } from "@goldenpath/core/imports/import-image";
import { type ImportProposal, proposeImports } from "@goldenpath/core/imports/propose";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { formatReference, parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  to: { type: "string", multiple: true },
  reason: { type: "string" },
  owner: { type: "string" },
  until: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  propose: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const usage =
  "goldenpath import: expected IMAGE --policy POLICY --to HOST/NAME:TAG --reason TEXT --owner TEXT --until DAY --key KEY, or --propose HOST/NAME… --policy POLICY";

/** `goldenpath import IMAGE …`: lets a vendor's image in; `goldenpath import --propose HOST/NAME…`: what could be next. */
export async function runImportCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [image, ...others] = positionals;
  const { policy: uri, json = false } = values;
  if (image === undefined || uri === undefined) throw invalid();
  const context = openContext();
  const policy = await loadPolicy(uri, context, values["policy-signer"]);
  if (values.propose === true) {
    const repositories = positionals.map((text) => parseRepository(text, "--propose"));
    const now = new Date();
    const upstream = await withClient(context, policy, (client) => gatherUpstream(client, repositories, policy, now));
    return printProposals(
      upstream.flatMap((each) => proposeImports(each, now)),
      json,
      output,
    );
  }
  const { to = [], reason, owner, until, key } = values;
  if (others.length > 0 || to.length === 0 || key === undefined) throw invalid();
  if (reason === undefined || owner === undefined || until === undefined) throw invalid();
  const signer = await loadSigner({ key, passphrase: values["key-passphrase"] }, context);
  const request = { source: parseReference(image), to, reason, owner, until };
  const note = (found: string): void => context.ports.log.info(`${image} is ${found}`);
  const { image: imported, remarks } = await withClient(context, policy, (client) =>
    importImage(client, request, { policy, signer, now: new Date(), note }),
  );
  const name = formatReference(imported.reference);
  if (json) output.out(`${stringifyJson({ image: name, digest: imported.reference.digest, until, remarks }, 2)}\n`);
  else output.out(`${[`${name}: imported, until ${until}`, ...remarks].join("\n")}\n`);
  return exitCodes.pass;
}

function printProposals(proposals: readonly ImportProposal[], json: boolean, output: Output): number {
  const lines = proposals.map(({ uri, tag, why, reason }) => `${why.padEnd(6)} ${uri}:${tag}: ${reason}`);
  if (json) output.out(`${stringifyJson(proposals, 2)}\n`);
  else output.out(`${lines.length === 0 ? "nothing newer than what was imported" : lines.join("\n")}\n`);
  return exitCodes.pass;
}

function invalid(): UserError {
  return new UserError(usage, { code: "arguments-invalid", wayOut: "See goldenpath import --help." });
}
