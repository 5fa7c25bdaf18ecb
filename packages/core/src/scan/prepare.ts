import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Policy } from "../policy/schema.ts";
import { fetchData } from "./data/fetch-data.ts";
import type { DatabasePlace } from "./database.ts";
import type { Scanner, ScannerRun } from "./scanners/scanner.ts";

/** A scanner, and where its data lies in this run. */
export interface PreparedScanner {
  scanner: Scanner;
  database: DatabasePlace;
}

/**
 * Where each scanner's data lies in this run. Places of this machine are told before anything is fetched; what the
 * policy has come from a registry is fetched by what is returned, and by nothing else than that.
 * @param given the input `database`, absolute
 * @throws UserError `input-invalid`, `database-unsafe`; what is returned throws as `fetchData`
 */
export async function prepareScanners(
  chosen: readonly Scanner[],
  given: string | undefined,
  policy: Policy,
  context: Context,
): Promise<(client: RegistryClient) => Promise<PreparedScanner[]>> {
  const { data } = policy.scan;
  if (data !== undefined && given !== undefined) {
    throw new UserError(
      `input 'database' is '${given}', and the policy has vulnerability data come from ${data.repository} alone`,
      { code: "input-invalid", wayOut: "Leave the input out. Whose data counts is the policy's to say (scan.data)." },
    );
  }
  const prepare = async (placeOf: (scanner: Scanner) => Promise<DatabasePlace>): Promise<PreparedScanner[]> => {
    const prepared: PreparedScanner[] = [];
    for (const scanner of chosen) prepared.push({ scanner, database: await placeOf(scanner) });
    return prepared;
  };
  if (data !== undefined) return (client) => prepare((scanner) => fetchData(client, scanner, policy, context));
  const placed = await prepare((scanner) => scanner.prepare(given, context));
  return async () => placed;
}

/** A run by data that was mirrored: what was signed of it is told, and the older of two words on its age counts. */
export function withMirrored(run: ScannerRun, { mirrored }: DatabasePlace): ScannerRun {
  if (mirrored === undefined) return run;
  const { from, digest } = mirrored;
  const own = run.database.built ?? mirrored.built;
  const built = own.getTime() < mirrored.built.getTime() ? own : mirrored.built;
  return { ...run, database: { ...run.database, built, from, digest } };
}
