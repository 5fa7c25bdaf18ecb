import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { RegistryServer } from "@goldenpath/registry-server/server";
import { extract } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ActRun } from "../support/act.ts";
import { goldenpathCommit, goldenpathCommitOnOldRunner } from "../support/e2e-workflows.ts";
import { keySecret, logins, openWorld, passphraseSecret, readCaller, type World } from "../support/e2e-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { actionFiles, projectRoot } from "../support/workflows.ts";

const strangersWord = "the stranger is here";
const application = (name: string): string => join(projectRoot, "examples/apps", name);
/** How a job ended, by the last part of its name; undefined where it never started. */
const resultOf = (run: ActRun, job: string): string | undefined =>
  Object.entries(run.jobs).find(([name]) => name.split("/").at(-1) === job)?.[1];
const summaryOf = (run: ActRun, job: string): string =>
  run.summaries
    .filter((summary) => summary.job.split("/").at(-1) === job)
    .map((summary) => summary.markdown)
    .join("\n");

/** Logins of requests, by user; anonymous ones, which a registry refuses, left out. */
function usersOf(registry: RegistryServer, wanted: (request: RegistryServer["requests"][number]) => boolean): string[] {
  const users = registry.requests.filter(wanted).flatMap(({ headers }) => {
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? "")?.[1];
    return basic === undefined ? [] : [Buffer.from(basic, "base64").toString().split(":")[0] ?? ""];
  });
  return [...new Set(users)];
}

describe("the golden path, called from an application's own repository", () => {
  const tools = useTools("act", "cosign", "crane", "lifecycle", "launcher", "syft", "grype");
  let world: World;

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    world = await openWorld({ act: tools.act, cosign: tools.cosign, git: await requireCommand("git", suite) });
  });
  afterAll(() => world?.close());

  describe("an application that keeps to the policy", () => {
    let run: Awaited<ReturnType<World["run"]>>;
    let image: string;

    beforeAll(async () => {
      run = await world.run("web", application("web"), readCaller());
      image = `${world.vetted.host}/vetted/web:${run.commit}`;
    });

    const cosign = (key: string, type: string) =>
      runProcess(
        tools.cosign,
        [
          "verify-attestation",
          "--key",
          key,
          "--insecure-ignore-tlog",
          "--type",
          type,
          image.replace(/:[^:]+$/, `@${promotedDigest()}`),
        ],
        { env: world.env, timeoutMs: 60_000 },
      );
    let snapshot: Awaited<ReturnType<RegistryServer["snapshot"]>>;
    const promotedDigest = (): string => snapshot["vetted/web"]?.tags[run.commit] ?? "not promoted";

    test("ends at a promoted digest, the same in quarantine and in vetted", async () => {
      expect({ exitCode: run.exitCode, log: run.exitCode === 0 ? "" : run.log }).toEqual({ exitCode: 0, log: "" });
      for (const job of ["build", "attest", "base", "scan", "promote"]) expect(resultOf(run, job)).toBe("success");
      snapshot = await world.vetted.snapshot();
      expect(Object.keys(snapshot).toSorted()).toEqual(["vetted/goldenpath-policy", "vetted/web"]);
      expect(snapshot["vetted/web"]?.tags).toMatchObject({
        [run.commit]: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      });
      const digestOf = async (reference: string): Promise<string> =>
        (
          await runProcess(tools.crane, ["digest", "--insecure", reference], { env: world.env, timeoutMs: 60_000 })
        ).stdout.trim();
      expect(await digestOf(image)).toBe(promotedDigest());
      expect(await digestOf(`${world.quarantine.host}/quarantine/web:${run.commit}`)).toBe(promotedDigest());
    });

    test("has the scan's evidence beside it, by the scan's key and no other's", async () => {
      const { keys } = world.platform;
      expect(await cosign(keys.scan.publicKeyFile, predicateTypes.vulnerabilities)).toMatchObject({ exitCode: 0 });
      expect(await cosign(keys.base.publicKeyFile, predicateTypes.vulnerabilities)).toMatchObject({ exitCode: 1 });
    });

    test("has a provenance that names the commit and the build's workflow, from the attesting job's own context", async () => {
      const { stdout } = await cosign(world.platform.keys.build.publicKeyFile, predicateTypes.provenance);
      const { payload } = JSON.parse(stdout.split("\n")[0] ?? "") as { payload: string };
      const statement = Buffer.from(payload, "base64").toString();
      expect(JSON.parse(statement)).toMatchObject({
        subject: [{ digest: { sha256: promotedDigest().replace("sha256:", "") } }],
        predicate: {
          runDetails: {
            builder: {
              id: `https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-build.yml@${goldenpathCommit}`,
            },
          },
        },
      });
      expect(statement).toContain(run.commit);
      expect(statement).toContain("https://github.com/acme/web");
    });

    test("has the application in the image, and nothing of goldenpath", async () => {
      const names = await listFiles(tools.crane, image, world.env);
      expect(names.filter((name) => name.endsWith("/app/server.js"))).toHaveLength(1);
      expect(names.filter((name) => /(?:^|\/)(?:\.goldenpath|\.git|action\.yml)(?:\/|$)/.test(name))).toEqual([]);
    });

    test("shows the path in the summary of its last job", () => {
      const summary = summaryOf(run, "promote");
      expect(summary).toContain(promotedDigest());
      for (const stage of ["build", "base", "scan", "promote"]) expect(summary.toLowerCase()).toContain(stage);
    });

    test("writes to each registry with that registry's login alone, which the job that builds has of none", () => {
      const writes = ({ method, status }: { method: string; status: number }) =>
        !["GET", "HEAD"].includes(method) && status < 300;
      expect(usersOf(world.quarantine, writes)).toEqual([logins.quarantine.username]);
      expect(usersOf(world.vetted, writes)).toEqual([logins.vetted.username]);
      expect(usersOf(world.quarantine, () => true).sort()).toEqual([logins.quarantine.username, logins.pull.username]);
      const loggedIn = (job: string): string[] =>
        [...run.log.matchAll(/^(\S.*?) \| logged in to \S+ as (\S+)$/gm)].flatMap(([, name = "", user = ""]) =>
          name.split("/").at(-1) === job ? [user] : [],
        );
      expect(loggedIn("build")).toEqual([logins.pull.username]);
      expect(loggedIn("attest")).toEqual([logins.quarantine.username]);
      expect(usersOf(world.vetted, () => true)).toEqual([logins.vetted.username]);
    });

    test("prints no key and no password", () => {
      for (const [name, secret] of Object.entries(world.secrets)) {
        if (name.endsWith("USERNAME")) continue;
        for (const line of secret
          .trim()
          .split("\n")
          .filter((text) => !text.startsWith("-----")))
          expect(run.log).not.toContain(line);
      }
    });
  });

  test("where the server or runner does not know which commit of goldenpath was called, every stage refuses, and the caller's files are not run as goldenpath", async () => {
    const image = parseReference(world.platform.base);
    const run = await world.run(
      "stranger",
      undefined,
      strangerFiles({
        policy: world.policy,
        image: formatReference(image),
        to: `${world.vetted.host}/vetted/stranger`,
      }),
    );
    expect(run.exitCode).toBe(1);
    for (const stage of ["build", "base", "scan", "promote"]) {
      expect({ stage, result: resultOf(run, stage) }).toEqual({ stage, result: "failure" });
    }
    // The four end at once, and a line of one was once not found under its own name: that each failed is held to
    // above, and that there are four who say why, here.
    expect(run.log.split("job.workflow_repository and job.workflow_sha").length - 1).toBeGreaterThanOrEqual(4);
    expect(resultOf(run, "attest")).toBeUndefined();
    expect(run.log).not.toContain(strangersWord);
  });

  test("an application with a vulnerable dependency stops at the scan, which says what to do", async () => {
    const before = await world.vetted.snapshot();
    const run = await world.run("web-vulnerable", application("web-vulnerable"), readCaller());
    expect(run.exitCode).toBe(1);
    for (const job of ["build", "attest", "base"]) expect(resultOf(run, job)).toBe("success");
    expect(resultOf(run, "scan")).toBe("failure");
    expect(resultOf(run, "promote")).toBeUndefined();
    const summary = summaryOf(run, "scan");
    for (const part of ["scan.severity", "GHSA-35jh-r3h4-6jhm", "lodash", "4.17.20", "4.17.21"])
      expect(summary).toContain(part);
    expect(await world.vetted.snapshot()).toEqual(before);
    // The failure is evidence, too: a later gate must see it.
    const { keys } = world.platform;
    const digest = (await world.quarantine.snapshot())["quarantine/web-vulnerable"]?.tags[run.commit] ?? "";
    const verified = await runProcess(
      tools.cosign,
      [
        "verify-attestation",
        "--key",
        keys.scan.publicKeyFile,
        "--insecure-ignore-tlog",
        "--type",
        predicateTypes.verificationSummary,
      ].concat(`${world.quarantine.host}/quarantine/web-vulnerable@${digest}`),
      { env: world.env, timeoutMs: 60_000 },
    );
    expect(verified).toMatchObject({ exitCode: 0 });
    const { payload } = JSON.parse(verified.stdout.split("\n")[0] ?? "") as { payload: string };
    expect(JSON.parse(Buffer.from(payload, "base64").toString())).toMatchObject({
      predicate: { verificationResult: "FAILED" },
    });
  });

  test.skipIf(process.arch !== "x64")(
    "each platform is built by a job of its own on a machine of its kind, and nothing is pushed where one is not",
    async () => {
      const path = ".github/workflows/platforms.yml";
      const refused = await world.run("web-arm", application("web"), {
        [path]: platformsWorkflow(world, "web-arm", "linux/amd64,linux/arm64"),
      });
      expect(refused.exitCode).toBe(1);
      expect(resultOf(refused, "build-linux-amd64")).toBe("success");
      expect(resultOf(refused, "build-linux-arm64")).toBe("failure");
      expect(refused.log).toContain("input 'platforms' is linux/arm64, and this machine builds for linux/amd64");
      for (const job of ["build", "attest", "promote"]) expect(resultOf(refused, job)).not.toBe("success");
      expect((await world.quarantine.snapshot())["quarantine/web-arm"]).toBeUndefined();
      const run = await world.run("web-index", application("web"), {
        [path]: platformsWorkflow(world, "web-index", "linux/amd64"),
      });
      expect({ exitCode: run.exitCode, log: run.exitCode === 0 ? "" : run.log }).toEqual({ exitCode: 0, log: "" });
      const ended = ["build-linux-amd64", "attest", "base", "scan", "promote"].map((job) => [job, resultOf(run, job)]);
      expect(ended, run.log).toEqual(ended.map(([job]) => [job, "success"]));
      const built = (await world.quarantine.snapshot())["quarantine/web-index"]?.tags ?? {};
      const vetted = (await world.vetted.snapshot())["vetted/web-index"]?.tags[run.commit] ?? "";
      expect(vetted).toBe(built[run.commit]);
      const repository = parseRepository(`${world.vetted.host}/vetted/web-index`);
      expect(await world.client.fetchManifest({ ...repository, digest: parseDigest(vetted) })).toMatchObject({
        kind: "index",
        manifest: {
          manifests: [{ platform: { os: "linux", architecture: "amd64" } }],
        },
      });
    },
  );

  test("a caller that hands promote an image without the chain gets nothing, with the key and both logins even", async () => {
    const base = parseReference(world.platform.base);
    const own = parseRepository(`${world.quarantine.host}/quarantine/shortcut`);
    await copyManifest(world.client, { registry: base.registry, name: base.name }, own, parseDigest(base.digest ?? ""));
    const image = formatReference({ ...own, digest: parseDigest(base.digest ?? "") });
    const before = await world.vetted.snapshot();
    const requests = world.vetted.requests.length;
    const run = await world.run("shortcut", undefined, {
      ".github/workflows/shortcut.yml": shortcutWorkflow({
        policy: world.policy,
        "policy-signer": JSON.stringify(world.platform.keys.policy.publicKey),
        image,
        to: `${world.vetted.host}/vetted/shortcut`,
        registry: world.quarantine.host,
        "vetted-registry": world.vetted.host,
      }),
    });
    expect(run.exitCode).toBe(1);
    expect(resultOf(run, "promote")).toBe("failure");
    expect(run.log).toContain(`logged in to ${world.vetted.host} as ${logins.vetted.username}`);
    for (const stage of ["build", "base", "scan"]) expect(summaryOf(run, "promote")).toContain(stage);
    expect(summaryOf(run, "promote")).toContain("gate.missing");
    expect(await world.vetted.snapshot()).toEqual(before);
    const tried = world.vetted.requests.slice(requests).filter(({ method }) => !["GET", "HEAD"].includes(method));
    expect(tried).toEqual([]);
  });
});

/** The whole chain without a wrapper, for platforms, and which runners these are built on. */
function platformsWorkflow(world: World, name: string, platforms: string): string {
  const secrets = [
    ...["build", "base", "scan", "promote"].flatMap((stage) => [keySecret(stage), passphraseSecret(stage)]),
    ...["PULL", "QUARANTINE", "VETTED"].flatMap((of) => [`${of}_USERNAME`, `${of}_PASSWORD`]),
  ];
  const inputs = {
    policy: world.policy,
    "policy-signer": JSON.stringify(world.platform.keys.policy.publicKey),
    quarantine: `${world.quarantine.host}/quarantine/${name}`,
    vetted: `${world.vetted.host}/vetted/${name}`,
    "pull-registry": world.quarantine.host,
    "quarantine-registry": world.quarantine.host,
    "vetted-registry": world.vetted.host,
    database: join(projectRoot, "examples/vulnerability-data/grype-db"),
    platforms,
    // One machine stands for the runners of both kinds.
    runners: `'{"linux/amd64": "ubuntu-latest", "linux/arm64": "ubuntu-latest"}'`,
  };
  return `name: platforms
on: push
permissions: {}
jobs:
  path:
    permissions:
      contents: read
      id-token: write
    uses: goldenpath-ci/goldenpath/.github/workflows/golden-path.yml@${goldenpathCommit}
    with:
${Object.entries(inputs)
  .map(([input, value]) => `      ${input}: ${value}`)
  .join("\n")}
    secrets:
${secrets.map((secret) => `      ${secret}: \${{ secrets.${secret} }}`).join("\n")}
`;
}

/**
 * Every stage, called where nothing knows `job.workflow_*`, by a repository that has actions of its own where
 * goldenpath's would be.
 */
function strangerFiles(inputs: Readonly<Record<string, string>>): Record<string, string> {
  const own = {
    build: { repository: `${inputs["to"]}`, tag: "latest" },
    base: {},
    scan: {},
    promote: { to: inputs["to"] ?? "" },
  };
  const jobs = Object.entries(own).map(([stage, more]) => {
    const { policy = "", image = "" } = inputs;
    const given = Object.entries({ policy, ...(stage === "build" ? {} : { image }), ...more });
    return `  ${stage}:
    permissions:
      contents: read
      id-token: write
    uses: goldenpath-ci/goldenpath/.github/workflows/stage-${stage}.yml@${goldenpathCommitOnOldRunner}
    with:
${given.map(([name, value]) => `      ${name}: ${value}`).join("\n")}
    secrets:
      ${keySecret(stage)}: \${{ secrets.${keySecret(stage)} }}
`;
  });
  const planted = actionFiles().flatMap((path) => [
    [path, readFileSync(join(projectRoot, path), "utf8")],
    [
      path.replace("action.yml", "dist/index.js"),
      `console.log("${strangersWord} " + (process.env.INPUT_KEY ? "with the key" : ""));\n`,
    ],
  ]);
  return {
    ...Object.fromEntries(planted),
    ".github/workflows/stages.yml": `name: stages\non: push\npermissions: {}\njobs:\n${jobs.join("")}`,
  };
}

/** A workflow that leaves the organisation's wrapper and the whole chain out. */
function shortcutWorkflow(inputs: Readonly<Record<string, string>>): string {
  return `name: shortcut
on: push
permissions: {}
jobs:
  shortcut:
    permissions:
      contents: read
      id-token: write
    uses: goldenpath-ci/goldenpath/.github/workflows/stage-promote.yml@${goldenpathCommit}
    with:
${Object.entries({ ...inputs, tags: "latest" })
  .map(([name, value]) => `      ${name}: ${value}`)
  .join("\n")}
    secrets:
${[
  keySecret("promote"),
  passphraseSecret("promote"),
  "QUARANTINE_USERNAME",
  "QUARANTINE_PASSWORD",
  "VETTED_USERNAME",
  "VETTED_PASSWORD",
]
  .map((name) => `      ${name}: \${{ secrets.${name} }}`)
  .join("\n")}
`;
}

/**
 * Names of an image's files, all layers applied. The archive is larger than what a captured output may be, so it is
 * read as it comes.
 */
async function listFiles(crane: string, image: string, env: World["env"]): Promise<string[]> {
  const child = spawn(crane, ["export", "--insecure", image, "-"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const tar = child.stdout.pipe(extract());
  const names: string[] = [];
  for await (const entry of tar) {
    names.push(entry.header.name.replace(/^\.?\//, ""));
    entry.resume();
  }
  return names;
}
