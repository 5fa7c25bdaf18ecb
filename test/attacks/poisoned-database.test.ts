import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  debianRelease,
  dpkgStanza,
  exampleDatabase,
  grypePath,
  libcVersions,
  pushImage,
  root,
  scan,
  tell,
  useScanWorld,
} from "../support/scan-world.ts";

const run = promisify(execFile);
const asOf = "2026-11-01T00:00:00Z";
let image = "";
/** A home in which a build left a database that knows nothing, whole and with the right checksum. */
let home = "";
let publisher = "";
const server = createServer();

useScanWorld();

beforeAll(async () => {
  const { reference } = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
    },
  ]);
  image = reference;
  home = await poisonHome();
  publisher = await publish();
}, 120_000);
afterAll(() => {
  server.close();
});

async function poisonHome(): Promise<string> {
  const work = await mkdtemp(join(root, "poison-"));
  const file = join(work, "vulnerability.db");
  await cp(join(exampleDatabase, "6", "vulnerability.db"), file);
  await chmod(file, 0o644);
  const database = new DatabaseSync(file);
  database.exec("DELETE FROM affected_package_handles");
  database.close();
  await run("tar", ["-C", work, "-czf", join(work, "db.tar.gz"), "vulnerability.db"]);
  const env = { ...process.env, HOME: work, XDG_CACHE_HOME: join(work, ".cache"), GRYPE_CHECK_FOR_APP_UPDATE: "false" };
  await run(grypePath(), ["db", "import", join(work, "db.tar.gz")], { env });
  return work;
}

/** What grype's publisher serves: the list of one database, and the database of the examples. */
async function publish(): Promise<string> {
  const work = await mkdtemp(join(root, "publisher-"));
  const archive = join(work, "db.tar.gz");
  await run("tar", ["-C", join(exampleDatabase, "6"), "-czf", archive, "vulnerability.db"]);
  const bytes = await readFile(archive);
  const latest = {
    status: "active",
    schemaVersion: "v6.1.10",
    built: asOf,
    path: "db.tar.gz",
    checksum: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
  };
  server.on("request", (request, response) => {
    response.end(request.url?.includes("latest.json") ? JSON.stringify(latest) : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const refused = { verdict: "fail", found: ["scan.severity: CVE-2023-4911 in libc6 2.36-9+deb12u1"] };
const homeEnvironment = () => ({ HOME: home, XDG_CACHE_HOME: "" });

describe("a database that a build left in the home", () => {
  test("would let the image through", async () => {
    expect(tell(await scan(image, { inputs: { database: join(home, ".cache/grype/db") } }))).toEqual({
      verdict: "pass",
      found: [],
    });
  });

  test("is not looked at: the publisher's is fetched for this run", async () => {
    const outcome = await scan(image, {
      inputs: { database: "" },
      env: { ...homeEnvironment(), GRYPE_DB_UPDATE_URL: publisher },
    });
    expect(tell(outcome)).toEqual(refused);
  });

  test.each([
    ["the publisher can't be reached", { GRYPE_DB_UPDATE_URL: "http://127.0.0.1:9/" }],
    ["the environment forbids to fetch one", { GRYPE_DB_AUTO_UPDATE: "false" }],
  ])("is not fallen back to where %s", async (_name, env) => {
    const outcome = await scan(image, { inputs: { database: "" }, env: { ...homeEnvironment(), ...env } });
    expect(tell(outcome)).toEqual({ verdict: "error", found: [], error: "scanner-failed" });
  });

  test("is not taken by XDG_CACHE_HOME either", async () => {
    const env = { HOME: root, XDG_CACHE_HOME: join(home, ".cache"), GRYPE_DB_UPDATE_URL: publisher };
    expect(tell(await scan(image, { inputs: { database: "" }, env }))).toEqual(refused);
  });
});

describe("GRYPE_DB_CACHE_DIR", () => {
  test("where somebody else than root can write is refused", async () => {
    const cache = await mkdtemp(join(root, "cache-"));
    await cp(join(home, ".cache/grype/db"), cache, { recursive: true });
    await chmod(cache, 0o777);
    const env = { ...homeEnvironment(), GRYPE_DB_CACHE_DIR: cache, GRYPE_DB_AUTO_UPDATE: "false" };
    expect(tell(await scan(image, { inputs: { database: "" }, env }))).toEqual({
      verdict: "error",
      found: [],
      error: "database-unsafe",
    });
  });

  test("where only root can is used by root, and refused where the step's own user could have", async () => {
    const cache = join(await mkdtemp(join(root, "cache-")), "db");
    await mkdir(cache);
    await cp(exampleDatabase, cache, { recursive: true });
    const env = { ...homeEnvironment(), GRYPE_DB_CACHE_DIR: cache, GRYPE_DB_AUTO_UPDATE: "false" };
    const { uid } = await stat(cache);
    const expected = uid === 0 ? refused : { verdict: "error", found: [], error: "database-unsafe" };
    expect(tell(await scan(image, { inputs: { database: "" }, env }))).toEqual(expected);
  });
});
