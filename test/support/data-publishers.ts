import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What publishers of vulnerability data serve: files by path, which a test may change. */
export interface DataPublisher {
  url: string;
  files: Map<string, Uint8Array>;
  /** Paths that were asked for. */
  requests: string[];
  close(): void;
}

export async function startPublisher(): Promise<DataPublisher> {
  const files = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    requests.push(path);
    const bytes = files.get(path);
    response.statusCode = bytes === undefined ? 404 : 200;
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, files, requests, close: () => server.close() };
}

/** The list of one database of grype and its archive, as grype's publisher serves them below `/databases`. */
export async function publishGrypeDatabase(
  { files }: DataPublisher,
  database: string,
  { built, checksum }: { built: string; checksum?: string },
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "goldenpath-publisher-"));
  const archive = join(work, "db.tar.gz");
  await run("tar", ["-C", join(database, "6"), "-czf", archive, "vulnerability.db"]);
  const bytes = await readFile(archive);
  await rm(work, { recursive: true });
  const path = `vulnerability-db_v6.1.10_${built}.tar.gz`;
  const actual = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const latest = { status: "active", schemaVersion: "v6.1.10", built, path, checksum: checksum ?? actual };
  files.set("/databases/v6/latest.json", Buffer.from(JSON.stringify(latest)));
  files.set(`/databases/v6/${path}`, bytes);
}

/** OSV's archives of a directory as `writeOsvData` leaves it, below `/osv`. */
export async function publishOsvData({ files }: DataPublisher, directory: string, families: string[]): Promise<void> {
  for (const family of families)
    files.set(`/osv/${family}/all.zip`, await readFile(join(directory, "osv-scalibr", family, "all.zip")));
}
