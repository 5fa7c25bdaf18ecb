import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { renderNotationTrust } from "@goldenpath/core/policy/notation-trust";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { SigstoreInstance } from "@goldenpath/core/signing/sigstore-instance";
import { describeEmbeddedRoot } from "@goldenpath/core/signing/trust-roots/embedded";
import { listUsedInstances } from "@goldenpath/core/signing/trust-roots/resolve";
import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";
import { readPolicyFile } from "./policy-file.ts";

/**
 * `goldenpath policy trust sigstore POLICY [NAME] [--policy-signer KEY.pub]`: what a Sigstore of the policy trusts at this moment, wherever it has
 * that from; or of each that a signer names, where that is and its digest.
 */
async function runSigstoreTrust(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { "policy-signer": { type: "string" } },
    allowPositionals: true,
  });
  const [uri, name, ...others] = positionals;
  if (uri === undefined || others.length > 0)
    throw new UserError("goldenpath policy trust sigstore: expected POLICY [NAME] [--policy-signer KEY.pub]", {
      code: "arguments-invalid",
    });
  const { policy } = await loadPolicy(uri, openContext(), values["policy-signer"]);
  const instances = listUsedInstances(policy);
  if (name === undefined) {
    for (const [each, instance] of instances) output.out(`${each}: ${describeInstance(instance)}\n`);
    return exitCodes.pass;
  }
  const instance = instances.get(name);
  if (instance === undefined) {
    throw new UserError(`policy ${uri} has no signer by a sigstore '${name}'`, {
      code: "arguments-invalid",
      wayOut: `Name one of: ${[...instances.keys()].join(", ") || "none"}.`,
    });
  }
  output.out(instance.trustedRoot);
  return exitCodes.pass;
}

function describeInstance({ trustedRoot, file, tuf, embedded }: SigstoreInstance): string {
  const where =
    tuf !== undefined
      ? `target ${tuf.target} of ${tuf.mirror}`
      : file !== undefined
        ? file.path
        : embedded !== undefined
          ? `this goldenpath (${describeEmbeddedRoot(embedded)})`
          : "the policy";
  return `${digestOf(trustedRoot)}, from ${where}`;
}

/**
 * `goldenpath policy trust notation FILE DIR [--signer NAME]… [--scope HOST/NAME]…`: what notation verifies by, as the
 * policy has it. What is there already is not overwritten.
 */
export async function runTrust(args: readonly string[], output: Output): Promise<number> {
  if (args[0] === "sigstore") return runSigstoreTrust(args.slice(1), output);
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { signer: { type: "string", multiple: true }, scope: { type: "string", multiple: true } },
    allowPositionals: true,
  });
  const [tool, file, directory, ...others] = positionals;
  if (tool !== "notation" || file === undefined || directory === undefined || others.length > 0) {
    throw new UserError(
      "goldenpath policy trust: expected notation FILE DIR [--signer NAME]… [--scope HOST/NAME]…, or sigstore POLICY [NAME]",
      {
        code: "arguments-invalid",
      },
    );
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
