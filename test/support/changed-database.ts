import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { exampleDatabase } from "./scan-world.ts";

/**
 * The examples' database of grype, with these in CISA's catalogue of what is known to be exploited: in grype's own tables,
 * and with the checksum by which grype takes it.
 */
export function makeKevDatabase(directory: string, cves: readonly string[]): Promise<string> {
  return changeDatabase(directory, (database) => {
    for (const cve of cves) {
      const told = { cve, date_added: "2026-11-26T00:00:00Z", known_ransomware_campaign_use: "unknown" };
      const id = addBlob(database, told);
      database.prepare("INSERT INTO known_exploited_vulnerability_handles (cve, blob_id) VALUES (?, ?)").run(cve, id);
    }
  });
}

export interface KnownPackage {
  ecosystem: "apk" | "deb" | "java-archive";
  name: string;
  /** A vulnerability of the examples, by its number there. */
  vulnerability: number;
  /** False: that it is not affected is what is known. */
  isAffected: boolean;
  /** Of a distribution: its row there, or one that is added. */
  system?: number | { name: string; major: string; minor: string };
}

/** The same, with packages of which each version below 2 is or is not affected by a vulnerability. */
export function makePackageDatabase(directory: string, packages: readonly KnownPackage[]): Promise<string> {
  const versions = { apk: "apk", deb: "dpkg", "java-archive": "maven" };
  return changeDatabase(directory, (database) => {
    for (const { ecosystem, name, vulnerability, isAffected, system } of packages) {
      const own = database.prepare("INSERT INTO packages (ecosystem, name) VALUES (?, ?)").run(ecosystem, name);
      const range = { version: { type: versions[ecosystem], constraint: "<2" }, fix: { state: "not-fixed" } };
      const table = isAffected ? "affected_package_handles" : "unaffected_package_handles";
      database
        .prepare(
          `INSERT INTO ${table} (vulnerability_id, operating_system_id, package_id, blob_id) VALUES (?, ?, ?, ?)`,
        )
        .run(vulnerability, addSystem(database, system), own.lastInsertRowid, addBlob(database, { ranges: [range] }));
    }
  });
}

function addSystem(database: DatabaseSync, system: KnownPackage["system"]): number | bigint | null {
  if (typeof system !== "object") return system ?? null;
  return database
    .prepare("INSERT INTO operating_systems (name, release_id, major_version, minor_version) VALUES (?, ?, ?, ?)")
    .run(system.name, system.name, system.major, system.minor).lastInsertRowid;
}

async function changeDatabase(directory: string, change: (database: DatabaseSync) => void): Promise<string> {
  const folder = join(directory, "6");
  await mkdir(folder, { recursive: true });
  const file = join(folder, "vulnerability.db");
  await copyFile(join(exampleDatabase, "6/vulnerability.db"), file);
  const database = new DatabaseSync(file);
  change(database);
  database.close();
  const about = JSON.parse(await readFile(join(exampleDatabase, "6/import.json"), "utf8"));
  const digest = `xxh64:${hashXx64(await readFile(file))
    .toString(16)
    .padStart(16, "0")}`;
  await writeFile(join(folder, "import.json"), JSON.stringify({ ...about, digest }));
  return directory;
}

function addBlob(database: DatabaseSync, value: object): number | bigint {
  return database.prepare("INSERT INTO blobs (value) VALUES (?)").run(JSON.stringify(value)).lastInsertRowid;
}

const [prime1, prime2, prime3, prime4, prime5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];
const mask = 0xffffffffffffffffn;
const times = (a: bigint, b: bigint): bigint => (a * b) & mask;
const turn = (a: bigint, by: bigint): bigint => ((a << by) | (a >> (64n - by))) & mask;
const round = (accumulated: bigint, lane: bigint): bigint =>
  times(turn((accumulated + times(lane, prime2)) & mask, 31n), prime1);

/** XXH64 with seed 0: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
function hashXx64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let hash = prime5;
  if (bytes.length >= 32) {
    let lanes = [(prime1 + prime2) & mask, prime2, 0n, -prime1 & mask];
    for (; at + 32 <= bytes.length; at += 32)
      lanes = lanes.map((lane, index) => round(lane, view.getBigUint64(at + 8 * index, true)));
    const [first = 0n, second = 0n, third = 0n, fourth = 0n] = lanes;
    hash = (turn(first, 1n) + turn(second, 7n) + turn(third, 12n) + turn(fourth, 18n)) & mask;
    for (const lane of lanes) hash = (times(hash ^ round(0n, lane), prime1) + prime4) & mask;
  }
  hash = (hash + BigInt(bytes.length)) & mask;
  for (; at + 8 <= bytes.length; at += 8)
    hash = (times(turn(hash ^ round(0n, view.getBigUint64(at, true)), 27n), prime1) + prime4) & mask;
  if (at + 4 <= bytes.length) {
    hash = (times(turn(hash ^ times(BigInt(view.getUint32(at, true)), prime1), 23n), prime2) + prime3) & mask;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = times(turn(hash ^ times(BigInt(bytes[at] ?? 0), prime5), 11n), prime1);
  hash = times(hash ^ (hash >> 33n), prime2);
  hash = times(hash ^ (hash >> 29n), prime3);
  return hash ^ (hash >> 32n);
}
