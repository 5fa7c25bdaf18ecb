import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { UserError } from "@goldenpath/core/errors";
import { digestOf } from "@goldenpath/core/oci/digest";
import { formatReference, parseRepository } from "@goldenpath/core/oci/reference";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { publishPolicy } from "@goldenpath/core/policy/publish";
import { policyJsonSchema } from "@goldenpath/core/policy/schema";
import { createRegistryClient } from "@goldenpath/core/registry/create";
import { exitCodes, type Output } from "../output.ts";
import { createTerminalPorts } from "../ports.ts";
import { abortOnInterrupt } from "./verbs.ts";

/** `goldenpath policy check FILE`, `publish FILE HOST/NAME`, `schema`. */
export async function runPolicyCommand(args: readonly string[], output: Output): Promise<number> {
  const { positionals } = parseArgs({ args: [...args], options: {}, allowPositionals: true });
  const [action, file, repository] = positionals;
  if (action === "schema") {
    output.out(`${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
    return exitCodes.pass;
  }
  if (file === undefined || (action !== "check" && action !== "publish")) {
    throw new UserError("goldenpath policy: expected check FILE, publish FILE HOST/NAME, or schema", { code: "arguments-invalid" });
  }
  const bytes = await readPolicyFile(file);
  // What is published has been checked: a registry full of policies that nobody can load helps nobody.
  const policy = parsePolicy(bytes, file);
  if (action === "check") {
    const environments = Object.keys(policy.environments).join(", ");
    output.out(
      `${file}: policy ${policy.name}, serial ${policy.serial}, is good (${digestOf(bytes)}; environments: ${environments || "none"})\n`,
    );
    return exitCodes.pass;
  }
  if (repository === undefined) throw new UserError("goldenpath policy publish: expected FILE HOST/NAME", { code: "arguments-invalid" });
  const client = createRegistryClient({
    ports: createTerminalPorts({ out: process.stderr }),
    env: process.env,
    signal: abortOnInterrupt(),
    plainHttp: policy.registries.plainHttp,
  });
  try {
    output.out(`oci://${formatReference(await publishPolicy(client, parseRepository(repository), bytes))}\n`);
    return exitCodes.pass;
  } finally {
    await client.close();
  }
}

async function readPolicyFile(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      code: "policy-missing",
      cause: error,
    });
  }
}
