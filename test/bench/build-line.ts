import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { RegistryServer } from "@goldenpath/registry-server/server";
import { tinyLayer } from "@goldenpath/testing/tiny-image";
import { goldenLayer } from "../support/path-world.ts";
import type { BenchRow } from "./shape.ts";

/** One way to build what a line says. */
export interface BuildContender extends Pick<BenchRow, "name" | "ours" | "note" | "compared"> {
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** What makes each run the first one on a fresh machine. Not measured. */
  before?(): Promise<void>;
}

/** What stands ready to be measured. */
export interface BuildStand {
  /** What everybody has to do. */
  what: string;
  contenders: readonly BuildContender[];
  /** Of all of them: what each asks of it is counted, and it can be put at a distance. */
  registry: RegistryServer;
  close(): Promise<void>;
}

const bundle = join(import.meta.dirname, "..", "..", "actions", "detect-and-build", "dist", "index.js");

/** goldenpath's build of a folder, by the bundle of its action, as a job runs it. */
export function ourBuild(
  folder: string,
  inputs: Readonly<Record<string, string>>,
  env: BuildContender["env"],
): Pick<BuildContender, "argv" | "env" | "note"> {
  const given = Object.entries({ context: folder, ...inputs }).map(([name, value]) => [
    `INPUT_${name.toUpperCase()}`,
    value,
  ]);
  return {
    argv: [process.execPath, bundle],
    env: { ...env, GITHUB_WORKSPACE: dirname(folder), ...Object.fromEntries(given) },
    note: "by the action's bundle",
  };
}

/** A base as large as a small distribution's, so that what is moved of it counts. */
export async function makeBaseLayers(): Promise<Awaited<ReturnType<typeof tinyLayer>>[]> {
  const bulk = randomBytes(15_000_000).toString("base64");
  return [await goldenLayer(), await tinyLayer({ "usr/lib/bulk": bulk })];
}
