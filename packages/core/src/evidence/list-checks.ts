import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { describePiece, listCommands, listOthers, sortStatements } from "./describe-piece.ts";
import { folderOf } from "./export-facts.ts";
import { quote, renderCommand } from "./render-script.ts";

/** How somebody else checks a statement, in a folder that `goldenpath evidence export` writes. */
export interface PieceChecks {
  subject: Digest;
  predicateType: string;
  signers: readonly string[];
  /** Of its image, below the directory of the export. */
  folder: string;
  /** For a POSIX shell, in that folder. None where no tool of others reads it. */
  commands: string[];
  /** The same by other programs, for who has those. */
  others: string[];
}

const concurrency = 4;

/**
 * The commands of an export's `check.sh`, of those statements that a decision rests on.
 * @param evidence what was collected in the registry: the order of it all gives a statement's file its number
 * @throws as the client does
 */
export async function listChecks(
  source: { client: RegistryClient; repository: Repository; policy: LoadedPolicy },
  evidence: ReadonlyMap<Digest, Pick<CollectedEvidence, "statements">>,
  accepted: readonly VerifiedStatement[],
): Promise<PieceChecks[]> {
  const all = [...evidence].flatMap(([subject, collected]) =>
    sortStatements(collected).map((statement, index) => ({ subject, statement, number: index + 1 })),
  );
  const wanted = all.filter(({ statement }) => accepted.includes(statement));
  return mapConcurrently(concurrency, wanted, async ({ subject, statement, number }) => {
    const { checks } = await describePiece(source, statement, number);
    return {
      subject,
      predicateType: statement.statement.predicateType,
      signers: statement.signers,
      folder: folderOf(subject),
      commands: checks.flatMap(listCommands).map(renderCommand),
      others: checks.flatMap(listOthers).map(renderCommand),
    };
  });
}

/** Where the pieces come from, and each with its commands. */
export function renderChecks(
  checks: readonly PieceChecks[],
  { image, policy }: { image: string; policy: string },
): string[] {
  if (checks.length === 0) return [];
  const written = `goldenpath evidence export ${quote(image)} --policy ${quote(policy)} --out goldenpath-evidence`;
  return [
    `Without goldenpath and without a network, once \`${written}\` has been run:`,
    ...checks.flatMap(({ folder, predicateType, signers, commands, others }) => [
      `    ${predicateType} by ${signers.join(", ")}, in goldenpath-evidence/${folder}:`,
      ...(commands.length === 0
        ? ["      no tool of others reads it from a file"]
        : commands.map((line) => `      ${line}`)),
      ...others.flatMap((line) => ["      or", `      ${line}`]),
    ]),
  ];
}
