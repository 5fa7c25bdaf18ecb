import { parseArgs } from "node:util";
import { activatePolicy } from "@goldenpath/core/policy/activate";
import { readerBeside } from "@goldenpath/core/policy/beside";
import { expandLayers } from "@goldenpath/core/policy/expand-layers";
import { fetchPolicyBytes, parsePolicyUri, readPolicySigner } from "@goldenpath/core/policy/load";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { pointerTag } from "@goldenpath/core/policy/pointer";
import { parsePolicySigners } from "@goldenpath/core/policy/pointer-artifact";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { readTrustFiles } from "@goldenpath/core/signing/trust-roots/resolve";
import { withClient } from "@goldenpath/core/verbs/open";
import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  to: { type: "string" },
  alias: { type: "string", multiple: true },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  "previous-signer": { type: "string" },
  revoke: { type: "string", multiple: true },
  first: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

/**
 * `goldenpath policy activate POLICY --to HOST/NAME --key KEY [--first] [--revoke SERIAL] [--previous-signer KEY.pub]
 * [--dry-run]`: puts a policy in force.
 */
export async function runActivate(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [uri, ...others] = positionals;
  if (uri === undefined || others.length > 0 || values.to === undefined || values.key === undefined) {
    throw new UserError("goldenpath policy activate: expected POLICY --to HOST/NAME --key KEY", {
      code: "arguments-invalid",
    });
  }
  const context = openContext();
  const source = parsePolicyUri(uri);
  if (source.kind === "in-force") {
    throw new UserError(`goldenpath policy activate: '${uri}' is whichever policy is in force`, {
      code: "arguments-invalid",
      wayOut: "Name the policy that is to be: a file, OWNER/REPO//PATH@COMMIT, or oci://HOST/NAME@sha256:DIGEST.",
    });
  }
  const repository = parseRepository(values.to, "--to");
  const aliases = (values.alias ?? []).map((alias) => parseRepository(alias, "--alias"));
  const signer = await loadSigner({ key: values.key, passphrase: values["key-passphrase"] }, context);
  const previous = values["previous-signer"];
  const previousSigners = previous === undefined ? [] : parsePolicySigners(await readPolicySigner(previous, context));
  const bytes = await expandLayers(await fetchPolicyBytes(source, uri, context), source, uri, context);
  const next = { policy: parsePolicy(bytes, uri), uri, digest: digestOf(bytes) };
  const isDryRun = values["dry-run"] === true;
  const request = {
    next,
    bytes,
    files: await readTrustFiles(next.policy, readerBeside(source, uri, context)),
    repository,
    aliases,
    signer,
    previousSigners,
    revoke: parseSerials(values.revoke),
    isFirst: values.first === true,
    isDryRun,
    now: new Date(),
  };
  const { pointer, isNew } = await withClient(context, next, (client) => activatePolicy(client, request));
  const before = pointer.predecessors.at(-1);
  const follows = before === undefined ? "the first" : `after serial ${before.serial}`;
  const told = isNew
    ? isDryRun
      ? "would be in force (dry run: nothing was written)"
      : "is in force"
    : "was in force before";
  output.out(
    `oci://${formatRepository(repository)}:${pointerTag}: policy ${pointer.name}, serial ${pointer.serial}, ${told}; ${follows}\n`,
  );
  return exitCodes.pass;
}

function parseSerials(given: readonly string[] = []): number[] {
  return given.map((text) => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new UserError(`--revoke is '${text}': expected a serial`, { code: "arguments-invalid" });
  });
}
