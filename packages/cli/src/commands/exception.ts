import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { type ExceptionDocument, readDocument } from "@goldenpath/core/policy/signed-exceptions/document";
import { requireSignedExceptions, signException } from "@goldenpath/core/policy/signed-exceptions/execute-grant";
import { gatherSignedExceptions } from "@goldenpath/core/policy/signed-exceptions/gather";
import { withClient } from "@goldenpath/core/verbs/open";
import { openSignerBy } from "@goldenpath/core/verbs/signer-inputs";
import { UserError } from "@goldenpath/foundation/errors";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { gatherRunFacts } from "../facts.ts";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  policy: { type: "string" },
  "policy-signer": { type: "string" },
  repository: { type: "string" },
  rule: { type: "string" },
  vulnerability: { type: "string" },
  package: { type: "string" },
  license: { type: "string" },
  gate: { type: "string" },
  file: { type: "string" },
  reason: { type: "string" },
  owner: { type: "string" },
  ticket: { type: "string" },
  starts: { type: "string" },
  expires: { type: "string" },
  signer: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  json: { type: "boolean" },
} as const;
type Given = ReturnType<typeof readArguments>["values"];

const invalid = (message: string): UserError =>
  new UserError(`goldenpath exception: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath exception --help.",
  });

/**
 * `goldenpath exception grant …`, `goldenpath exception withdraw ID …` and `goldenpath exception list …`: signed exceptions
 * beside the policy, for images of one repository.
 */
export async function runExceptionCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = readArguments(args);
  const [action, id, ...others] = positionals;
  const { policy: uri, repository } = values;
  if (
    others.length > 0 ||
    uri === undefined ||
    repository === undefined ||
    (id !== undefined) !== (action === "withdraw")
  )
    throw invalid("expected grant, list or withdraw ID, --policy POLICY and --repository HOST/NAME");
  const context = openContext();
  const loaded = await loadPolicy(uri, context, values["policy-signer"]);
  const { policy } = loaded;
  const images = parseRepository(repository);
  const now = new Date();
  if (action === "list") {
    requireSignedExceptions(policy);
    const chosen = await withClient(context, loaded, (client) => gatherSignedExceptions(client, policy, images, now));
    const told = chosen?.told ?? [];
    if (values.json === true) {
      output.out(`${stringifyJson({ exceptions: told, unreadable: chosen?.unreadable }, 2)}\n`);
      return exitCodes.pass;
    }
    for (const { grant, signers, problem } of told)
      output.out(
        `${grant.id} ${grant.rule} ${grant.vulnerability ?? grant.license ?? grant.package ?? grant.file ?? ""} ${grant.starts} to ${grant.expires}, by ${signers.join(", ")}: ${grant.reason}${problem === undefined ? "" : ` (does not count: ${problem})`}\n`,
      );
    if (chosen?.unreadable !== undefined) output.out(`${chosen.unreadable}\n`);
    if (told.length === 0) output.out(`no exception is signed for ${formatRepository(images)}\n`);
    return exitCodes.pass;
  }
  if (action !== "grant" && action !== "withdraw") throw invalid(`'${action}' is none of grant, list, withdraw`);
  const document = makeDocument(action, values, { id, policy: policy.name, repository: formatRepository(images), now });
  const signer = await openSignerBy(
    { signer: values.signer, key: values.key, "key-passphrase": values["key-passphrase"] },
    {
      ...context,
      run: await gatherRunFacts(context.workingDirectory, context.env),
      temporaryDirectory: tmpdir(),
      now: () => now,
    },
    loaded,
  );
  await withClient(context, loaded, (client) => signException(client, policy, document, { signer, now }));
  output.out(`${document.id}: ${document.decision}, for images of ${formatRepository(images)}\n`);
  return exitCodes.pass;
}

function readArguments(args: readonly string[]) {
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

function makeDocument(
  action: "grant" | "withdraw",
  given: Given,
  { id, policy, repository, now }: { id: string | undefined; policy: string; repository: string; now: Date },
): ExceptionDocument {
  const { rule, vulnerability, package: within, license, gate, file, reason, owner, ticket, expires } = given;
  const said =
    action === "withdraw"
      ? { decision: "withdrawn", id, reason }
      : {
          ...{ decision: "granted", id: randomUUID(), rule, vulnerability, package: within, license, gate, file },
          ...{ reason, owner, ticket, starts: given.starts ?? now.toISOString().slice(0, 10), expires },
        };
  const document = { ...said, decidedAt: now.toISOString(), policy, repository };
  const read = readDocument(Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined)));
  if ("problem" in read) throw invalid(`this is no exception: ${read.problem}`);
  return read;
}
