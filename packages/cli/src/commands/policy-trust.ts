import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { renderNotationTrust } from "@goldenpath/core/policy/notation-trust";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { UserError } from "@goldenpath/foundation/errors";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { readPolicyFile } from "./policy-file.ts";

/**
 * `goldenpath policy trust notation FILE DIR [--signer NAME]… [--scope HOST/NAME]…`: what notation verifies by, as the
 * policy has it. What is there already is not overwritten.
 */
export async function runTrust(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { signer: { type: "string", multiple: true }, scope: { type: "string", multiple: true } },
    allowPositionals: true,
  });
  const [tool, file, directory, ...others] = positionals;
  if (tool !== "notation" || file === undefined || directory === undefined || others.length > 0) {
    throw new UserError("goldenpath policy trust: expected notation FILE DIR [--signer NAME]… [--scope HOST/NAME]…", {
      code: "arguments-invalid",
    });
  }
  const policy = parsePolicy(await readPolicyFile(file), file);
  const scopes = values.scope?.map((scope) => formatRepository(parseRepository(scope, "--scope")));
  const files = renderNotationTrust(policy, {
    ...(values.signer === undefined ? {} : { signers: values.signer }),
    ...(scopes === undefined ? {} : { scopes }),
  });
  for (const [name, content] of files) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { flag: "wx" }).catch((cause: unknown) => {
      throw new UserError(`${path} can't be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
        code: "arguments-invalid",
        cause,
        wayOut: "Give an empty folder, and put what is in it where notation reads it (~/.config/notation).",
      });
    });
  }
  output.out(`${directory}: ${[...files.keys()].join(", ")}\n`);
  return exitCodes.pass;
}
