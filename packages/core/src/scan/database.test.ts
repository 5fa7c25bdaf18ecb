import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findPoisoner, type PlaceFacts, placeDatabase, requireDatabase as requireDatabaseOf } from "./database.ts";
import { grypeDatabase } from "./scanners/grype.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-database-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const self = process.getuid?.() ?? 0;

const requireDatabase = (directory: string) => requireDatabaseOf(grypeDatabase, directory);

async function makeDatabase(): Promise<string> {
  const directory = await mkdtemp(join(root, "db-"));
  await mkdir(join(directory, "6"));
  for (const name of ["vulnerability.db", "import.json"]) await writeFile(join(directory, "6", name), "{}");
  return directory;
}

describe("somebody else could have written a database", () => {
  const runner = 1001;
  const cases: [string, Partial<PlaceFacts>, number, RegExp][] = [
    [
      "whose folder belongs to the step's own user, who is not root",
      { uid: runner, mode: 0o755 },
      runner,
      /the user that this step runs as/,
    ],
    ["whose folder belongs to another user", { uid: 1002, mode: 0o755 }, runner, /number 1002/],
    ["whose folder belongs to another user than root", { uid: 1002, mode: 0o755 }, 0, /number 1002/],
    ["below a folder that anybody writes to", { uid: 0, mode: 0o777 }, 0, /anybody may write/],
    ["below a folder that a group writes to", { uid: 0, mode: 0o775 }, runner, /a group may write/],
  ];
  test.each(cases)("%s", (_name, facts, user, why) => {
    const whole: PlaceFacts[] = [
      { path: "/srv/grype/6", uid: 0, mode: 0o755 },
      { path: "/srv/grype", uid: 0, mode: 0o755, ...facts },
    ];
    expect(findPoisoner(whole, user)).toMatch(why);
  });

  test.each([0, runner])("and not where it is root's alone, below a folder that is sticky (as user %i)", (user) => {
    const whole = [
      { path: "/tmp/grype/6/vulnerability.db", uid: 0, mode: 0o644 },
      { path: "/tmp/grype", uid: 0, mode: 0o755 },
      { path: "/tmp", uid: 0, mode: 0o1777 },
    ];
    expect(findPoisoner(whole, user)).toBeUndefined();
  });
});

describe("the database's place", () => {
  const place = (given: string | undefined, env: Record<string, string>, user = self) =>
    placeDatabase(grypeDatabase, given, { env: { HOME: join(root, "home"), ...env }, temporaryDirectory: root }, user);

  test.each([
    ["grype's own, below the home", {}],
    ["grype's own, by XDG", { XDG_CACHE_HOME: "/xdg" }],
    ["an empty GRYPE_DB_CACHE_DIR", { GRYPE_DB_CACHE_DIR: "" }],
  ])("is this run's alone instead of %s", async (_name, env) => {
    await expect(place(undefined, env)).resolves.toEqual({ directory: join(root, "grype-db"), update: true });
  });

  test("is not filled where the environment says so", async () => {
    await expect(place(undefined, { GRYPE_DB_AUTO_UPDATE: "false" })).resolves.toMatchObject({ update: false });
  });

  test("is the directory given, as it is, before all others", async () => {
    const directory = await makeDatabase();
    await expect(place(directory, { GRYPE_DB_CACHE_DIR: "/cache" })).resolves.toEqual({ directory, update: false });
  });

  test("is not a directory given that anybody writes to", async () => {
    const directory = await makeDatabase();
    await chmod(join(directory, "6", "vulnerability.db"), 0o666);
    await expect(place(directory, {})).rejects.toMatchObject({ name: "UserError", code: "database-unsafe" });
  });

  test("is not a GRYPE_DB_CACHE_DIR of a user who is not root", async () => {
    const directory = await makeDatabase();
    await chmod(directory, 0o777);
    await expect(place(undefined, { GRYPE_DB_CACHE_DIR: directory })).rejects.toMatchObject({
      name: "UserError",
      code: "database-unsafe",
    });
  });

  test("is not a GRYPE_DB_CACHE_DIR that is not there", async () => {
    await expect(place(undefined, { GRYPE_DB_CACHE_DIR: join(root, "nowhere") })).rejects.toMatchObject({
      code: "database-unsafe",
    });
  });

  test("is a GRYPE_DB_CACHE_DIR where only root writes, which another user takes as it is", async () => {
    // /usr belongs to root, and nobody else writes there, on every machine.
    await expect(place(undefined, { GRYPE_DB_CACHE_DIR: "/usr" }, 0)).resolves.toEqual({
      directory: "/usr",
      update: true,
    });
    await expect(place(undefined, { GRYPE_DB_CACHE_DIR: "/usr" }, 1001)).resolves.toEqual({
      directory: "/usr",
      update: false,
    });
  });

  test("without a database in it is named", async () => {
    const empty = await mkdtemp(join(root, "empty-"));
    await mkdir(join(empty, "6"));
    await writeFile(join(empty, "6", "import.json"), "{}");
    await expect(requireDatabase(empty)).rejects.toMatchObject({ name: "UserError", code: "input-invalid" });
    await writeFile(join(empty, "6", "vulnerability.db"), "");
    await expect(requireDatabase(empty)).resolves.toBeUndefined();
  });
});
