import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { summaryExtension } from "@goldenpath/core/signing/verification-summary";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWorld, readCaller, type World } from "../support/e2e-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";

const application = (name: string): string => join(projectRoot, "examples/apps", name);

describe("five callers of one wrapper, and a change of the policy", () => {
  const tools = useTools("act", "cosign", "crane", "lifecycle", "launcher", "syft", "grype");
  let world: World;

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    world = await openWorld({ act: tools.act, cosign: tools.cosign, git: await requireCommand("git", suite) });
  });
  afterAll(() => world?.close());

  const names = ["shop", "cart", "search", "mail", "billing"];
  /** Under which policies promote has signed what a tag points at: the same application makes the same image. */
  const serialsOf = async (name: string, tag: string): Promise<unknown[]> => {
    const digest = (await world.vetted.snapshot())[`vetted/${name}`]?.tags[tag];
    const image = `${world.vetted.host}/vetted/${name}@${digest}`;
    const key = world.platform.keys.promote.publicKeyFile;
    const args = [
      "verify-attestation",
      "--key",
      key,
      "--insecure-ignore-tlog",
      "--type",
      predicateTypes.verificationSummary,
      image,
    ];
    const { stdout } = await runProcess(tools.cosign, args, { env: world.env, timeoutMs: 60_000 });
    const payloads = stdout.split("\n").filter((line) => line.startsWith("{"));
    return payloads.map((line) => {
      const { payload } = JSON.parse(line) as { payload: string };
      const { predicate } = JSON.parse(Buffer.from(payload, "base64").toString()) as {
        predicate: Record<string, { policySerial: number }>;
      };
      return predicate[summaryExtension]?.policySerial;
    });
  };

  test("the next run of each is under the new policy, with nothing of theirs edited", async () => {
    const caller = readCaller();
    const runAll = async (): Promise<Map<string, string>> => {
      const commits = new Map<string, string>();
      for (const name of names) {
        const run = await world.run(name, application("web"), caller);
        expect({ name, exitCode: run.exitCode, log: run.exitCode === 0 ? "" : run.log }).toEqual({
          name,
          exitCode: 0,
          log: "",
        });
        commits.set(name, run.commit);
      }
      return commits;
    };
    for (const [name, commit] of await runAll()) expect(await serialsOf(name, commit)).toEqual([1]);
    await world.changePolicy(2);
    for (const [name, commit] of await runAll()) expect(await serialsOf(name, commit)).toContain(2);
    // Ten runs of the whole path.
  }, 1_800_000);
});
