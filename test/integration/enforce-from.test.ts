import { readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { TestImage } from "@goldenpath/testing/chain";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FleetWorld, openFleetWorld } from "../support/fleet-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import { useTools } from "../support/tools.ts";

// A rule that warns until a day, over that day: scanned by real syft and grype and signed before it, asked for before and
// after. Only the clock that goldenpath is given is not this machine's.

const tools = useTools("syft", "grype");
const day = 86_400_000;
/** One moment for all of it: midnight may come while this runs. */
const start = Date.now();
/** The day on which scan.severity begins to refuse. */
const from = new Date(start + 3 * day).toISOString().slice(0, 10);

let world: FleetWorld;
let image: TestImage;
beforeAll(async () => {
  // After the last section: a key of its own.
  world = await openFleetWorld({ environment: `enforceFrom: { scan.severity: ${from} }\n` });
  // Of lodash 4.17.20 a vulnerability of severity high is known, and the policy refuses those.
  image = await world.add({ name: "shop", lodash: "4.17.20", without: ["scan", "promotion"] });
}, 120_000);
afterAll(() => world?.close());

/** The world's policy with another line in the place of its days, in a file of its own. */
async function policyWith(line: string): Promise<string> {
  const file = join(world.directory, `policy-${line.replaceAll(/[^a-z0-9]+/g, "-")}.yaml`);
  await writeFile(file, (await readFile(world.policyFile, "utf8")).replace(/^enforceFrom: .*\n/m, line));
  return file;
}

async function run(verb: Verb<never>, policy: string, inputs: Record<string, string>, days = 0) {
  const path = [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter);
  const { outcome, resultFile } = await executeVerb(
    verb as unknown as Verb,
    { policy, image: image.reference, ...inputs },
    {
      ...{ ports: silentPorts(), run: { builderId: "local" }, signal: new AbortController().signal },
      ...{
        workingDirectory: world.directory,
        temporaryRoot: world.directory,
        env: { PATH: path, HOME: world.directory },
      },
      defaultResultDirectory: join(world.directory, "results"),
      now: () => new Date(start + days * day),
    },
  );
  return { outcome, resultFile, rules: outcome.result.violations.map(({ rule }) => rule) };
}
const scan = (policy: string, days = 0) => run(scanVerb as never, policy, { database: exampleDatabase }, days);
const verify = async (policy: string, days: number) => {
  const { outcome, rules } = await run(verifyVerb as never, policy, { environment: "production" }, days);
  return { verdict: outcome.verdict, rules };
};

test("without a day for the rule, and on the day itself, the image is refused", async () => {
  for (const [policy, days] of [
    [await policyWith(""), 0],
    [await policyWith(`enforceFrom: { base.expired: ${from} }\n`), 0],
    [world.policyFile, 3],
  ] as const) {
    const { outcome, rules } = await scan(policy, days);
    expect([outcome.verdict, new Set(rules)]).toEqual(["fail", new Set(["scan.severity"])]);
    expect(outcome.result.violations[0]).not.toHaveProperty("enforcedFrom");
  }
}, 120_000);

test("a pass with a warning that was signed before the day opens the gate until then, and not from then on", async () => {
  const policy = world.policyFile;
  expect(await verify(policy, 0)).toEqual({ verdict: "fail", rules: ["gate.missing"] });
  const { outcome, resultFile } = await scan(policy);
  expect(outcome.verdict).toBe("pass");
  expect(outcome.result.violations).toMatchObject([{ rule: "scan.severity", enforcedFrom: from }]);
  expect(outcome.summary).toContain("**1 warning that will fail:**");
  expect(outcome.summary).toContain(`lodash 4.17.20 | ${from} |`);
  const signed = await run(signVerb as never, policy, { results: resultFile, key: world.keys.scan.file });
  expect(signed.outcome.result.error).toBeUndefined();

  expect(await verify(policy, 0)).toEqual({ verdict: "pass", rules: [] });
  expect(await verify(policy, 2)).toEqual({ verdict: "pass", rules: [] });
  expect(await verify(policy, 3)).toEqual({ verdict: "fail", rules: ["gate.deferred"] });
  expect(await verify(policy, 4)).toEqual({ verdict: "fail", rules: ["gate.deferred"] });
}, 120_000);
