import { randomBytes } from "node:crypto";
import { join } from "node:path";
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
  close(): Promise<void>;
}

const cli = join(import.meta.dirname, "..", "..", "packages", "cli", "bin", "goldenpath.mjs");

/** goldenpath's build of a folder, from its sources. */
export function ourBuild(folder: string, inputs: Readonly<Record<string, string>>): string[] {
  const given = Object.entries(inputs).flatMap(([name, value]) => [`--${name}`, value]);
  return [process.execPath, "--conditions=goldenpath-source", cli, "build", folder, ...given];
}

/** A base as large as a small distribution's, so that what is moved of it counts. */
export async function makeBaseLayers(): Promise<Awaited<ReturnType<typeof tinyLayer>>[]> {
  const bulk = randomBytes(15_000_000).toString("base64");
  return [await goldenLayer(), await tinyLayer({ "usr/lib/bulk": bulk })];
}
