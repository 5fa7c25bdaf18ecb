import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { paint, renderResultText } from "@goldenpath/core/report/terminal";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { copyManifest } from "@goldenpath/registry-client/copy";
import { type Digest, parseDigest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  parseReference,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import type { BundleRun } from "./bundle.ts";
import type { Demo } from "./machine.ts";
import { application, judgeAndSign, mustPass, type Promoted, readPolicy, vulnerabilityData } from "./path.ts";

interface Refusal {
  title: string;
  /** The rule that has to refuse it. */
  rule: string;
  attempt(demo: Demo, promoted: Promoted): Promise<BundleRun>;
}

const refusals: readonly Refusal[] = [
  { title: "An image that stands on a base that nobody approved", rule: "base.approved", attempt: tryForeignBase },
  { title: "An image with a vulnerable dependency", rule: "scan.severity", attempt: tryVulnerable },
  { title: "An image that was never scanned", rule: "gate.missing", attempt: tryUnscanned },
  { title: "A scan that was signed with another stage's key", rule: "gate.signer", attempt: tryWrongKey },
];

/**
 * Four images that are refused, each by its rule; how many. A refusal that does not come, or that leaves a trace in
 * vetted, ends the demo as an error.
 */
export async function showRefusals(demo: Demo, promoted: Promoted): Promise<number> {
  const vetted = await vettedOf(demo);
  // Two at a time, since they have nothing to do with each other; told one after another.
  const told = await inPairs(refusals, async ({ attempt }) => {
    const lines: string[] = [];
    const run = await attempt(
      { ...demo, say: (line) => void lines.push(line), step: demo.stepTo((line) => void lines.push(line)) },
      promoted,
    );
    return { lines, result: run.result };
  });
  for (const [index, { title, rule }] of refusals.entries()) {
    const { lines = [], result } = told[index] ?? {};
    demo.say(paint(demo.style, "bold", `\n▸ Refused: ${title}`));
    for (const line of lines) demo.say(line);
    if (result !== undefined) demo.say(renderResultText(result, demo.style).trimEnd());
    if (result?.verdict !== "fail" || !result.violations.some((violation) => violation.rule === rule))
      throw new Error(`rule ${rule} should have refused this`);
  }
  if (!isDeepStrictEqual(vetted, await vettedOf(demo))) throw new Error("the vetted registry changed");
  demo.say("\nThe vetted repository is as it was before these four.");
  return refusals.length;
}

async function inPairs<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all([lane(), lane()]);
  return results;
}

async function vettedOf(demo: Demo): Promise<unknown> {
  return Object.entries(await demo.registry.snapshot()).filter(([name]) => name.startsWith("vetted/"));
}

async function tryForeignBase(demo: Demo): Promise<BundleRun> {
  const image = await buildOnce(demo, "web-foreign-base", demo.platform.foreignPolicy);
  return demo.step("foreign-base", "enforce-golden-base", { image });
}

async function tryVulnerable(demo: Demo): Promise<BundleRun> {
  const image = await buildOnce(demo, "web-vulnerable", demo.platform.policy);
  return demo.step("vulnerable-scan", "scan", { image, database: vulnerabilityData });
}

/**
 * Builds an application that is to be refused, or takes what an earlier run of the demo pushed to quarantine from the
 * same sources.
 */
async function buildOnce(demo: Demo, name: string, policy: string): Promise<string> {
  const repository = parseRepository(`${demo.registry.host}/quarantine/${name}`);
  const made = join(demo.directory, `${name}.json`);
  const key = createHash("sha256").update(policy);
  for (const file of (await readdir(application(name))).sort())
    key.update(file).update(await readFile(join(application(name), file)));
  const sources = key.digest("hex");
  const earlier = JSON.parse(await readFile(made, "utf8").catch(() => "{}")) as { sources?: string; digest?: string };
  if (earlier.sources === sources && earlier.digest !== undefined) {
    const reference = { ...repository, digest: parseDigest(earlier.digest) };
    if ((await demo.client.resolve(reference)) !== undefined) {
      demo.say("  in quarantine from an earlier run (--fresh builds it again)");
      return formatReference(reference);
    }
  }
  const tags = `${repository.registry}/${repository.name}:demo`;
  const built = await mustPass(
    demo,
    demo.step(`${name}-build`, "detect-and-build", { context: application(name), tags, policy }),
  );
  await writeFile(made, JSON.stringify({ sources, digest: built.outputs["digest"] }));
  return built.outputs["image"] ?? "";
}

async function tryUnscanned(demo: Demo, promoted: Promoted): Promise<BundleRun> {
  const image = await copyWithoutScan(demo, promoted, "web-unscanned");
  return promote(demo, "unscanned", image);
}

async function tryWrongKey(demo: Demo, promoted: Promoted): Promise<BundleRun> {
  const image = await copyWithoutScan(demo, promoted, "web-forged");
  // The build stage's key is a key of the policy, and speaks for the build alone.
  await judgeAndSign(
    demo,
    "forged",
    "scan",
    demo.step("forged-scan", "scan", { image, database: vulnerabilityData }),
    image,
    "build",
  );
  return promote(demo, "forged", image);
}

/**
 * The same image under another name in quarantine, with all its evidence but the scan's: signed statements are about a
 * digest, and may be carried anywhere.
 */
async function copyWithoutScan(demo: Demo, promoted: Promoted, name: string): Promise<string> {
  const source = parseReference(promoted.quarantine);
  const from: Repository = { registry: source.registry, name: source.name };
  const to = parseRepository(`${demo.registry.host}/quarantine/${name}`);
  await copyManifest(demo.client, from, to, promoted.digest);
  const { policy } = await readPolicy(demo);
  const { statements } = await collectEvidence(demo.client, from, promoted.digest, policy.signers, { now: new Date() });
  const others: Digest[] = statements
    .filter((statement) => !statement.signers.includes("scan"))
    .map((statement) => statement.referrer.digest);
  for (const digest of others) await copyManifest(demo.client, from, to, digest);
  return formatReference({ ...to, digest: promoted.digest });
}

function promote(demo: Demo, name: string, image: string): Promise<BundleRun> {
  const to = `${demo.registry.host}/vetted/web`;
  return demo.step(`${name}-promote`, "promote", {
    image,
    to,
    tags: "1.0.1",
    environment: "production",
    key: demo.platform.keys.promote.file,
  });
}
