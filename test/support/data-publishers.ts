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
  /** Paths that were asked for, with their bytes or without (HEAD). */
  requests: string[];
  /** Bytes of what was handed out. */
  sent: number;
  close(): void;
}

/** @param latency before each answer, in milliseconds */
export async function startPublisher(latency = 0): Promise<DataPublisher> {
  const files = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const publisher: DataPublisher = { url: "", files, requests, sent: 0, close: () => server.close() };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    requests.push(path);
    const bytes = files.get(path);
    if (request.method === "GET") publisher.sent += bytes?.byteLength ?? 0;
    response.statusCode = bytes === undefined ? 404 : 200;
    setTimeout(() => response.end(bytes), latency);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  publisher.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return publisher;
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
