import { randomBytes } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mirrorInputs, mirrorScannerData } from "@goldenpath/core/verbs/mirror-data";
import { parseInputs } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import { makeKey } from "@goldenpath/testing/signers";
import { type DataPublisher, publishGrypeDatabase } from "../support/data-publishers.ts";
import { exampleDatabase } from "../support/scan-world.ts";

/** Of what is in the database besides: grype's own is about this large, as it is downloaded. Bytes. */
const ballast = 60_000_000;

/** The examples' database, as heavy as the publisher's. */
async function makeDatabase(directory: string): Promise<string> {
  await mkdir(join(directory, "6"), { recursive: true });
  const file = join(directory, "6", "vulnerability.db");
  await copyFile(join(exampleDatabase, "6", "vulnerability.db"), file);
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE ballast (bytes BLOB)");
  const insert = database.prepare("INSERT INTO ballast (bytes) VALUES (?)");
  const piece = 1_000_000;
  // Half of it compresses, as a database's text does.
  const half = Buffer.alloc(piece / 2, "a description of a vulnerability ");
  for (let at = 0; at < ballast; at += piece / 2) insert.run(Buffer.concat([randomBytes(piece / 2), half]));
  database.close();
  return directory;
}

export interface MirroredStand {
  /** That has scans take their data from the registry. */
  policy: string;
  /** Where grype's own publisher has it. */
  list: string;
}

/**
 * A database as large as grype's, at a publisher and mirrored into a registry, and a policy that has scans take it from
 * there.
 * @param policy a file, whose text this one's is but for where the data comes from
 */
export async function mirrorForBench(
  publisher: DataPublisher,
  { host, policy, directory }: { host: string; policy: string; directory: string },
): Promise<MirroredStand> {
  const built = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
  await publishGrypeDatabase(publisher, await makeDatabase(join(directory, "database")), { built });
  const key = await makeKey();
  const source = `data: { repository: "${host}/platform/data", signers: [data], maxAge: 2d }`;
  const text = (await readFile(policy, "utf8"))
    .replace(/^signers:$/m, `signers:\n  data: { publicKey: ${JSON.stringify(key.publicKeyPem)} }`)
    .replace(/^scan: \{ /m, `scan: { ${source}, `);
  const file = join(directory, "mirrored-policy.yaml");
  await writeFile(file, text);
  const sources = `grype=${publisher.url}/databases`;
  const inputs = parseInputs(mirrorInputs, { policy: file, key: key.privateKeyPem, sources, scanners: "grype" });
  await mirrorScannerData(inputs, {
    ...{ ports: silentPorts(), workingDirectory: directory, temporaryDirectory: directory },
    ...{ env: {}, signal: new AbortController().signal, now: () => new Date() },
  });
  return { policy: file, list: `${publisher.url}/databases` };
}
