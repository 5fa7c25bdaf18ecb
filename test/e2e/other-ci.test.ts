import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { selectBuildEnvironment } from "@goldenpath/core/build/environment";
import { toolCacheDirectory } from "@goldenpath/core/tools/cache";
import { runChecked, runProcess } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { openWorld, type World } from "../support/e2e-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";

interface Script {
  job: string;
  text: string;
}
const jobs = ["build", "attest", "base", "scan", "promote"];
const keys: Readonly<Record<string, string>> = { attest: "BUILD", base: "BASE", scan: "SCAN", promote: "PROMOTE" };

/**
 * What GitLab's runner would start in each job; it runs a script's lines in one shell that ends at the first that
 * fails.
 */
function gitlabScripts(): Script[] {
  const file = parse(readFileSync(join(projectRoot, "examples/gitlab-ci/.gitlab-ci.yml"), "utf8")) as Record<
    string,
    { script?: (string | string[])[] }
  >;
  return jobs.map((job) => ({ job, text: (file[job]?.script ?? []).flat().join("\n") }));
}

/** What Jenkins would start in each stage: the text between the quotes, in which Groovy replaces nothing. */
function jenkinsScripts(): Script[] {
  const file = readFileSync(join(projectRoot, "examples/jenkins/Jenkinsfile"), "utf8");
  return jobs.map((job) => {
    const stage = file.split(`stage('${job}')`)[1]?.split("stage('")[0] ?? "";
    const text = /sh '''(.*?)'''/s.exec(stage)?.[1] ?? "";
    const read = /script: '(node -p .*)'\)\.trim/.exec(stage)?.[1]?.replaceAll("\\'", "'");
    return { job, text: read === undefined ? text : `${text}\necho "$(${read})" > digest` };
  });
}

test.each([
  ["GitLab CI", gitlabScripts],
  ["Jenkins", jenkinsScripts],
])("in %s a key is in the job that signs with it alone, and the job that builds has none", (_, scripts) => {
  for (const { job, text } of scripts()) {
    const used = [...text.matchAll(/\$\{?GOLDENPATH_([A-Z]+)_KEY/g)].map(([, stage]) => stage);
    expect({ job, used: [...new Set(used)] }).toEqual({ job, used: keys[job] === undefined ? [] : [keys[job]] });
    expect(text).toContain("goldenpath ");
  }
});

test("in GitLab CI nothing of the build's gets to the jobs with keys but one digest", async () => {
  expect(readFileSync(join(projectRoot, "examples/gitlab-ci/.gitlab-ci.yml"), "utf8")).not.toContain("dotenv:");
  const digest = `sha256:${"a".repeat(64)}`;
  const cwd = mkdtempSync(join(tmpdir(), "goldenpath-digest-"));
  const later = gitlabScripts().filter(({ job }) => job !== "build");
  expect(later.length).toBeGreaterThan(3);
  for (const { job, text } of later) {
    // Up to the first command that would use it.
    const reading = text.slice(text.indexOf('DIGEST="$('), text.indexOf("goldenpath "));
    expect(reading, job).toContain("grep");
    const run = async (content: string): Promise<number> => {
      writeFileSync(join(cwd, "digest"), content);
      return (
        await runProcess("bash", ["-e", "-o", "pipefail", "-c", reading], { env: process.env, cwd, timeoutMs: 10_000 })
      ).exitCode;
    };
    for (const forged of [
      "",
      "latest",
      `${digest} --key x`,
      `${digest}\nNODE_OPTIONS=--import=x`,
      `x\n${digest}\n`,
      digest.toUpperCase(),
    ])
      expect(await run(forged), `${job}: ${forged}`).not.toBe(0);
    expect(await run(`${digest}\n`), job).toBe(0);
  }
  rmSync(cwd, { recursive: true });
});

describe("an example, run by a shell as its server would", () => {
  const tools = useTools("cosign", "lifecycle", "launcher", "syft", "grype");
  let world: World;
  let git: string;

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    git = await requireCommand("git", suite);
    world = await openWorld({ act: "", cosign: tools.cosign, git });
  });
  afterAll(() => world?.close());

  describe.each([
    ["GitLab CI", gitlabScripts, { CI_COMMIT_SHA: "COMMIT" }],
    ["Jenkins", jenkinsScripts, { GIT_COMMIT: "COMMIT" }],
  ])("of %s", (server, scripts, facts) => {
    /** Runs the jobs in their order, each in a checkout of its own, until one fails. */
    async function runJobs(name: string): Promise<{ ended: Record<string, number>; log: string; commit: string }> {
      const at = join(world.directory, `${name}-${server}-jobs`.replaceAll(" ", "-"));
      const bin = join(at, "bin");
      mkdirSync(bin, { recursive: true });
      writeFileSync(
        join(bin, "goldenpath"),
        `#!/bin/sh\nexec node ${join(projectRoot, "packages/cli/bin/goldenpath.mjs")} "$@"\n`,
      );
      chmodSync(join(bin, "goldenpath"), 0o755);
      const source = join(at, "source");
      cpSync(join(projectRoot, "examples/apps", name), source, { recursive: true });
      // How this machine reaches package registries (proxies, certificates), as a runner of one's own would have it.
      const { process: machine, platform: network } = selectBuildEnvironment(process.env);
      const env = {
        ...machine,
        ...network,
        PATH: [bin, join(projectRoot, "node_modules/.bin"), process.env["PATH"]].join(delimiter),
        HOME: at,
      };
      const inSource = async (...args: string[]): Promise<string> =>
        (await runChecked(git, args, { env, cwd: source })).stdout.trim();
      await inSource("init", "--quiet", "--initial-branch", "main");
      await inSource("remote", "add", "origin", `https://github.com/acme/${name}`);
      await inSource("add", "--all");
      await inSource(
        "-c",
        "user.name=acme",
        "-c",
        "user.email=team@acme.example",
        "commit",
        "--quiet",
        "--message",
        "first",
      );
      const commit = await inSource("rev-parse", "HEAD");
      const given = {
        ...env,
        ...Object.fromEntries(Object.keys(facts).map((key) => [key, commit])),
        CI: "true",
        POLICY: world.policy,
        POLICY_SIGNER: world.platform.keys.policy.publicKey,
        QUARANTINE: `${world.quarantine.host}/quarantine/${name}`,
        VETTED: `${world.vetted.host}/vetted/${name}`,
        DATABASE: join(projectRoot, "examples/vulnerability-data/grype-db"),
        LOGIN: join(world.env["DOCKER_CONFIG"] ?? "", "config.json"),
        GOLDENPATH_TOOL_CACHE: toolCacheDirectory(process.env),
      };
      const ended: Record<string, number> = {};
      let [digest, log] = ["", ""];
      for (const { job, text } of scripts()) {
        const cwd = join(at, job);
        cpSync(source, cwd, { recursive: true });
        if (digest !== "") writeFileSync(join(cwd, "digest"), `${digest}\n`);
        const stage = keys[job];
        const key =
          stage === undefined
            ? {}
            : { [`GOLDENPATH_${stage}_KEY`]: world.platform.keys[stage.toLowerCase() as "build"].file };
        const args = ["-e", "-o", "pipefail", "-c", text];
        const run = await runProcess("bash", args, {
          env: { ...given, ...key, DIGEST: digest },
          cwd,
          timeoutMs: 300_000,
        });
        ended[job] = run.exitCode;
        log += run.stdout + run.stderr;
        if (run.exitCode !== 0) break;
        if (job === "build") digest = readFileSync(join(cwd, "digest"), "utf8").trim();
      }
      return { ended, log, commit };
    }

    test("stops an application with a vulnerable dependency at its scan, and signs that", async () => {
      const { ended, log } = await runJobs("web-vulnerable");
      expect({ ended, log: ended["scan"] === 1 ? "" : log }).toEqual({
        ended: { build: 0, attest: 0, base: 0, scan: 1 },
        log: "",
      });
      expect(log).toContain("GHSA-35jh-r3h4-6jhm");
      expect(Object.keys(await world.vetted.snapshot())).not.toContain("vetted/web-vulnerable");
    });

    test("promotes one that keeps to the policy", async () => {
      const { ended, log, commit } = await runJobs("web");
      expect({ ended, log: ended["promote"] === 0 ? "" : log }).toEqual({
        ended: { build: 0, attest: 0, base: 0, scan: 0, promote: 0 },
        log: "",
      });
      expect((await world.vetted.snapshot())["vetted/web"]?.tags).toMatchObject({
        [commit]: expect.stringMatching(/^sha256:/),
      });
    });
  });
});
