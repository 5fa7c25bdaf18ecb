import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMirrored, mirrorInputs, mirrorScannerData } from "@goldenpath/core/verbs/mirror-data";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  scanner: { type: "string", multiple: true },
  ecosystem: { type: "string", multiple: true },
  source: { type: "string", multiple: true },
  keep: { type: "string" },
  signer: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  json: { type: "boolean" },
} as const;

/**
 * `goldenpath data mirror [oci://HOST/NAME] --policy POLICY --key KEY [--scanner NAME]… [--ecosystem NAME]… [--source
 * SCANNER=URL]… [--keep N] [--json]`: puts scanners' vulnerability data into a registry, signed.
 */
export async function runDataCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [action, to, ...others] = positionals;
  if (action !== "mirror" || others.length > 0 || (to !== undefined && !to.startsWith("oci://")))
    throw new UserError("goldenpath data: expected mirror [oci://HOST/NAME] --policy POLICY --key KEY", {
      code: "arguments-invalid",
      wayOut: "See goldenpath data --help.",
    });
  const { scanner = [], ecosystem = [], source = [], json, ...same } = values;
  const lists = { scanners: scanner.join("\n"), ecosystems: ecosystem.join("\n"), sources: source.join("\n") };
  const inputs = parseInputs(mirrorInputs, { ...same, ...lists, to });
  const temporaryDirectory = await mkdtemp(join(tmpdir(), "goldenpath-data-"));
  try {
    const context = { ...openContext(), temporaryDirectory, now: () => new Date() };
    const mirrored = await mirrorScannerData(inputs, context);
    if (json === true) output.out(`${stringifyJson(mirrored, 2)}\n`);
    else for (const each of mirrored) output.out(`${describeMirrored(each)}\n`);
    return exitCodes.pass;
  } finally {
    await rm(temporaryDirectory, { recursive: true, force: true });
  }
}
