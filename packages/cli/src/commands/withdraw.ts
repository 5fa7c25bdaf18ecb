import { parseArgs } from "node:util";
import type { WithdrawnThing } from "@goldenpath/core/policy/pointer-facts";
import { withdraw } from "@goldenpath/core/policy/withdraw";
import { describeWithdrawn, listWithdrawn } from "@goldenpath/core/policy/withdrawals";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { UserError } from "@goldenpath/foundation/errors";
import { withRegistryClient } from "@goldenpath/registry-client/create";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatRepository,
  parseReference,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { exitCodes, type Output } from "../output.ts";
import { openContext } from "./context.ts";

const options = {
  signer: { type: "string" },
  from: { type: "string" },
  base: { type: "string" },
  to: { type: "string" },
  reason: { type: "string" },
  owner: { type: "string" },
  key: { type: "string" },
  "key-passphrase": { type: "string" },
  undo: { type: "boolean" },
  unseen: { type: "boolean" },
  "dry-run": { type: "boolean" },
  images: { type: "string", multiple: true },
} as const;

const invalid = (message: string): UserError =>
  new UserError(`goldenpath withdraw: ${message}`, {
    code: "arguments-invalid",
    wayOut: "See goldenpath withdraw --help.",
  });

/**
 * `goldenpath withdraw IMAGE | --signer NAME --from TIME | --base DIGEST --to HOST/NAME --reason TEXT --owner TEXT --key
 * KEY [--undo] [--unseen] [--dry-run] [--images HOST/NAME]…`: makes something count for nothing from now on, or lifts
 * that. Of a base its floating tag goes back, and what stands on it is listed; exits other than 0 where that could not be
 * done, and the base is withdrawn all the same.
 */
export async function runWithdrawCommand(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const { thing, imageRepository } = readThing(positionals, values);
  const { to, reason, owner, key, images } = values;
  if (images !== undefined && thing.kind !== "base")
    throw invalid("--images says where to look what stands on a --base");
  if (to === undefined || reason === undefined || owner === undefined || key === undefined)
    throw invalid("expected --to HOST/NAME, --reason TEXT, --owner TEXT and --key KEY");
  const context = openContext();
  const repository = parseRepository(to, "--to");
  const signer = await loadSigner({ key, passphrase: values["key-passphrase"] }, context);
  const [isUndo, isDryRun] = [values.undo === true, values["dry-run"] === true];
  const isUnseen = values.unseen === true;
  const told = { reason, owner, isUndo, isUnseen, isDryRun, signer, now: new Date() };
  const request = { thing, ...told, ...(imageRepository === undefined ? {} : { imageRepository }) };
  const { pointer, isNew } = await withRegistryClient(context, (client) => withdraw(client, repository, request));
  const would = isDryRun ? "would be" : "is";
  const done = isNew ? `${would} ${isUndo ? "lifted" : "withdrawn"}` : "was withdrawn before";
  output.out(`${describeWithdrawn(thing)}: ${done}, in ${formatRepository(repository)}\n`);
  if (isUnseen)
    output.out("  nobody has looked whether it is there: a digest with a typing error in it protects nobody\n");
  for (const each of listWithdrawn(pointer))
    output.out(`  withdrawn: ${describeWithdrawn(each.thing)}, by ${each.owner}: ${each.reason}\n`);
  if (thing.kind !== "base" || isUnseen) return exitCodes.pass;
  const { followWithdrawal } = await import("./withdraw-base.ts");
  const place = { repository, policySigner: signer.publicKeyPem, images };
  return followWithdrawal(thing.digest, place, { pointer, isUndo, isDryRun }, output);
}

function readThing(
  positionals: readonly string[],
  { signer, from, base }: { signer?: string | undefined; from?: string | undefined; base?: string | undefined },
): { thing: WithdrawnThing; imageRepository?: Repository } {
  const [image, ...others] = positionals;
  const given = [image, signer, base].filter((each) => each !== undefined);
  if (given.length !== 1 || others.length > 0 || (from !== undefined) !== (signer !== undefined))
    throw invalid("expected one of IMAGE, --signer NAME --from TIME, and --base DIGEST");
  if (base !== undefined) return { thing: { kind: "base", digest: parseDigest(base) } };
  if (signer !== undefined) return { thing: { kind: "signer", name: signer, from: readTime(from ?? "") } };
  const { digest, registry, name } = parseReference(image ?? "", "IMAGE");
  // A tag could be another image's by the time that it is looked up.
  if (digest === undefined) throw invalid(`IMAGE is '${image}', and is named by its digest: HOST/NAME@sha256:…`);
  return { thing: { kind: "image", digest }, imageRepository: { registry, name } };
}

function readTime(text: string): Date {
  const time = new Date(text);
  const isWritten = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/.test(text) && !Number.isNaN(time.getTime());
  // JavaScript takes the 30th of February for the 2nd of March: until then the signer's word would go on counting.
  if (isWritten && time.toISOString().slice(0, 19) === text.slice(0, 19)) return time;
  throw invalid(`--from is '${text}': expected a time in UTC, such as 2026-11-03T00:00:00Z`);
}
