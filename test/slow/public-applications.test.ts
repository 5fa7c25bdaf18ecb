import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainBuild } from "@goldenpath/core/build/explain-build";
import type { Language } from "@goldenpath/core/build/survey/ecosystems";
import { surveyTree } from "@goldenpath/core/build/survey/gather";
import { describeError } from "@goldenpath/foundation/errors";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { parseJson } from "@goldenpath/foundation/text/json";
import { rulesWith } from "@goldenpath/testing/survey";
import { afterAll, describe, expect, test } from "vitest";
import { requireCommand } from "../support/tools.ts";

/**
 * Applications of others, by commit: what is taken for each and what it is written in, looked up by hand. They are
 * fetched from GitHub, or are in the folder that GOLDENPATH_APPLICATIONS names, each repository as OWNER+NAME.
 */
interface PublicApplication {
  repository: string;
  commit: string;
  folder: string;
  strategy: string;
  language: Language;
  /** A registry of packages that its build fetches from, and that not every machine reaches. */
  needs?: string;
  /** A plugin of its build that makes images. */
  plugin?: string;
  /** Words of what a build has to be told. */
  missing?: string;
}

const applications = parseJson(
  readFileSync(join(import.meta.dirname, "public-applications.json"), "utf8"),
) as PublicApplication[];
const given = process.env["GOLDENPATH_APPLICATIONS"];
const folder = given === undefined || given === "" ? mkdtempSync(join(tmpdir(), "goldenpath-applications-")) : given;
afterAll(() => {
  if (folder !== given) rmSync(folder, { recursive: true, force: true });
});

const fetched = new Map<string, Promise<string>>();

/** The repository's files at the commit. */
function fetchRepository({ repository, commit }: PublicApplication): Promise<string> {
  const known = fetched.get(repository) ?? checkOut(repository, commit);
  fetched.set(repository, known);
  return known;
}

async function checkOut(repository: string, commit: string): Promise<string> {
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

describe.each(applications)("$repository $folder", (application) => {
  const { folder: inner, strategy, language, plugin, missing } = application;

  test("is explained by what it is", { timeout: 300_000 }, async ({ skip }) => {
    const root = await fetchRepository(application).catch((error: unknown) => {
      // Where GitHub runs this, it is there.
      if (process.env["GITHUB_ACTIONS"] === "true") throw error;
      return skip(`${application.repository} can't be fetched from here: ${describeError(error)}`);
    });
    const tree = await surveyTree(realpathSync(join(root, inner)));
    const builders = [
      { name: "other", runImage: "golden", languages: [language === "go" ? "java" : "go"] },
      { name: "right", runImage: "golden", languages: [language] },
      { kind: "dockerfile", name: "files" },
    ] as const;
    // Strategies that go by a plugin are left out: what is asked is what buildpacks are told of it.
    const rules = rulesWith({ strategies: ["buildpacks", "dockerfile"], builders });
    const request = { strategy: "auto", builder: undefined, module: undefined, tree, context: inner } as const;
    const { explanation, error } = explainBuild(rules, request);
    expect(error).toBeUndefined();
    expect(explanation.applications).toEqual([]);
    expect(explanation.chosen).toMatchObject({ strategy, builder: "right" });
    expect(explanation.missing).toEqual(missing === undefined ? [] : [expect.stringContaining(missing)]);
    if (plugin !== undefined) expect(explanation.found.join("\n")).toContain(plugin);
  });
});

test("there are thirty of them whose packages most machines reach", () => {
  expect(applications.filter(({ needs }) => needs === undefined).length).toBeGreaterThanOrEqual(30);
});
