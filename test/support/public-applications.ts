import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Language } from "@goldenpath/core/build/survey/ecosystems";
import { describeError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { parseJson } from "@goldenpath/foundation/text/json";
import { requireCommand } from "./tools.ts";

/** An application of others, by commit: what is taken for it and what it is written in, looked up by hand. */
export interface PublicApplication {
  repository: string;
  commit: string;
  folder: string;
  strategy: string;
  language: Language;
  /** Where its build downloads from besides what most machines reach: one of {@link places}. */
  needs?: keyof typeof places;
  /** A plugin of its build that makes images. */
  plugin?: string;
  /** Words of what a build has to be told. */
  missing?: string;
  /** The build's env that its own instructions or the hint above name. */
  env?: Record<string, string>;
  /** Words with which the example platform refuses it. */
  refused?: string;
  /** Its container's variables, with `{port}` for the port that is asked. */
  run?: Record<string, string>;
  /** Where it serves, whatever the variables say. */
  port?: number;
  /** What is asked, `/` unless told. */
  path?: string;
  /** A part of the page. */
  text?: string;
  /** It speaks gRPC, and has no pages. */
  isGrpc?: boolean;
}

/** What is not everywhere to be had, and an address that tells. */
const places = {
  Packagist: "https://repo.packagist.org/packages.json",
  NuGet: "https://api.nuget.org/v3/index.json",
  RubyGems: "https://rubygems.org/versions",
  "Gradle's distributions": "https://services.gradle.org/versions/current",
  "GitHub's releases": "https://github.com",
  Clojars: "https://repo.clojars.org",
  "sbt's repository": "https://repo.scala-sbt.org",
  "conda's channels": "https://conda.anaconda.org/conda-forge/noarch/repodata.json.zst",
  "Quarkus' plugin":
    "https://repo.maven.apache.org/maven2/io/quarkus/quarkus-maven-plugin/3.35.2/quarkus-maven-plugin-3.35.2.jar",
} as const;

export const applications = parseJson(
  readFileSync(join(import.meta.dirname, "../slow/public-applications.json"), "utf8"),
) as PublicApplication[];

/** The place as it is called where it can't be reached from here; on GitHub's runners everything is there. */
export async function findUnreached({ needs }: PublicApplication): Promise<string | undefined> {
  if (needs === undefined || process.env["GITHUB_ACTIONS"] === "true") return undefined;
  const isThere = await fetch(places[needs], { method: "HEAD", signal: AbortSignal.timeout(20_000) }).then(
    ({ status }) => status < 400,
    () => false,
  );
  return isThere ? undefined : needs;
}

export interface Checkouts {
  /** The application's repository at its commit; a sentence where it can't be had from here. */
  checkOut(application: PublicApplication): Promise<{ root: string } | { without: string }>;
  close(): void;
}

/**
 * They are fetched from GitHub, or are in the folder that GOLDENPATH_APPLICATIONS names, each repository as OWNER+NAME.
 */
export function openCheckouts(): Checkouts {
  const given = process.env["GOLDENPATH_APPLICATIONS"];
  const folder = given === undefined || given === "" ? mkdtempSync(join(tmpdir(), "goldenpath-applications-")) : given;
  const fetched = new Map<string, Promise<string>>();
  return {
    async checkOut({ repository, commit }) {
      const known = fetched.get(repository) ?? fetchRepository(folder, repository, commit);
      fetched.set(repository, known);
      try {
        return { root: await known };
      } catch (error) {
        // Where GitHub runs this, it is there.
        if (process.env["GITHUB_ACTIONS"] === "true") throw error;
        return { without: `${repository} can't be fetched from here: ${describeError(error)}` };
      }
    },
    close: () => {
      if (folder !== given) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fetchRepository(folder: string, repository: string, commit: string): Promise<string> {
  const directory = join(folder, repository.replace("/", "+"));
  if (existsSync(directory)) return directory;
  const git = await requireCommand("git");
  mkdirSync(directory);
  const options = { env: { PATH: process.env["PATH"] ?? "", GIT_TERMINAL_PROMPT: "0" }, timeoutMs: 120_000 };
  const run = (...args: string[]) => runChecked(git, ["-C", directory, ...args], options);
  await run("init", "--quiet");
  await run("fetch", "--quiet", "--depth=1", `https://github.com/${repository}`, commit);
  await run("checkout", "--quiet", "FETCH_HEAD");
  return directory;
}
