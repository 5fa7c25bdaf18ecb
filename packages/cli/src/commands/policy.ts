import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { refusePlaceholders } from "@goldenpath/core/init/placeholders";
import { readerInFolder } from "@goldenpath/core/policy/beside";
import { parsePolicy, readPolicy } from "@goldenpath/core/policy/parse";
import { policyJsonSchema } from "@goldenpath/core/policy/policy-schema";
import { checkPolicyChange, publishPolicy } from "@goldenpath/core/policy/publish";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { describeWeaknesses } from "@goldenpath/core/policy/weaknesses";
import { readTrustFiles } from "@goldenpath/core/signing/trust-roots/resolve";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";
import { readPolicyFile } from "./policy-file.ts";

/**
 * `goldenpath policy check FILE [--previous FILE]`, `publish FILE HOST/NAME`, `activate POLICY --to HOST/NAME --key
 * KEY`, `exceptions FILE`, `test POLICY [CASES…]`, `diff OLD NEW`, `explain IMAGE`, `impact NEW`, `signers OWNER/REPO@COMMIT --for OWNER`, `trust notation FILE DIR`,
 * `trust sigstore POLICY [NAME]`, `schema`.
 */
export async function runPolicyCommand(args: readonly string[], output: Output): Promise<number> {
  if (args[0] === "trust") return (await import("./policy-trust.ts")).runTrust(args.slice(1), output);
  if (args[0] === "activate") return (await import("./policy-activate.ts")).runActivate(args.slice(1), output);
  if (args[0] === "exceptions") return (await import("./policy-exceptions.ts")).runExceptions(args.slice(1), output);
  if (args[0] === "diff") return (await import("./policy-diff.ts")).runDiff(args.slice(1), output);
  if (args[0] === "explain") return (await import("./policy-explain.ts")).runExplain(args.slice(1), output);
  if (args[0] === "impact") return (await import("./policy-impact.ts")).runImpact(args.slice(1), output);
  if (args[0] === "test") return (await import("./policy-test.ts")).runTest(args.slice(1), output);
  if (args[0] === "signers") return (await import("./policy-signers.ts")).runSigners(args.slice(1), output);
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { previous: { type: "string" } },
    allowPositionals: true,
  });
  const [action, file, repository] = positionals;
  if (action === "schema") {
    output.out(`${stringifyJson(policyJsonSchema(), 2)}\n`);
    return exitCodes.pass;
  }
  if (file === undefined || (action !== "check" && action !== "publish")) {
    throw new UserError(
      "goldenpath policy: expected check FILE [--previous FILE], publish FILE HOST/NAME, activate POLICY --to HOST/NAME --key KEY, exceptions FILE, test POLICY [CASES…], diff OLD NEW, explain IMAGE --policy POLICY, impact NEW --policy OLD --environment NAME --images HOST/NAME…, signers OWNER/REPO@COMMIT --for OWNER, trust notation FILE DIR, trust sigstore POLICY [NAME], or schema",
      {
        code: "arguments-invalid",
      },
    );
  }
  if (values.previous !== undefined && action !== "check")
    throw new UserError("goldenpath policy publish: --previous is an option of policy check", {
      code: "arguments-invalid",
    });
  const bytes = await readPolicyFile(file);
  // What is published has been checked: a registry full of policies that nobody can load helps nobody.
  const loaded = loadPolicyFile(bytes, file);
  const files = await readTrustFiles(loaded.policy, readerInFolder(dirname(resolve(file)), file));
  if (action === "check") {
    if (values.previous !== undefined)
      checkPolicyChange(loadPolicyFile(await readPolicyFile(values.previous), values.previous), loaded);
    const { policy, digest } = loaded;
    const environments = Object.keys(policy.environments).join(", ");
    output.out(
      `${file}: policy ${policy.name}, serial ${policy.serial}, is good (${digest}; environments: ${environments || "none"})\n`,
    );
    for (const note of readPolicy(bytes, file).notes) output.out(`note: ${note}\n`);
    for (const weakness of describeWeaknesses(loaded)) output.out(`note: ${weakness}\n`);
    return exitCodes.pass;
  }
  if (repository === undefined)
    throw new UserError("goldenpath policy publish: expected FILE HOST/NAME", { code: "arguments-invalid" });
  const surroundings = openContext();
  const published = await withClient(surroundings, loaded, (client) =>
    publishPolicy(client, parseRepository(repository), bytes, files),
  );
  output.out(`oci://${formatReference(published)}\n`);
  return exitCodes.pass;
}

function loadPolicyFile(bytes: Uint8Array, file: string): LoadedPolicy {
  refusePlaceholders(new TextDecoder().decode(bytes), file);
  return { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes) };
}
