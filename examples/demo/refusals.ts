import { isDeepStrictEqual } from "node:util";
import { parseReference, parseRepository } from "@goldenpath/core/oci/reference";
import { copyManifest } from "@goldenpath/core/registry/copy";
import { paint, renderResultText } from "@goldenpath/core/report/terminal";
import type { BundleRun } from "./bundle.ts";
import type { Demo } from "./machine.ts";
import { application, mustPass, type Promoted, vulnerabilityData } from "./path.ts";

/** Four images that are refused, each by its rule; how many. A refusal that does not come, or that leaves a trace in vetted, ends the demo as an error. */
export async function showRefusals(demo: Demo, promoted: Promoted): Promise<number> {
  const refusals = [
    { title: "An image that stands on a base that nobody approved", rule: "base.approved", attempt: tryForeignBase },
    { title: "An image with a vulnerable dependency", rule: "scan.severity", attempt: tryVulnerable },
    { title: "An image that was never scanned", rule: "gate.missing", attempt: tryUnscanned },
    { title: "A scan that was signed with another stage's key", rule: "gate.signer", attempt: tryWrongKey },
  ];
  for (const { title, rule, attempt } of refusals) {
    demo.say(paint(demo.style, "bold", `\n▸ Refused: ${title}`));
    const before = await vettedOf(demo);
    const { result } = await attempt(demo, promoted);
    demo.say(renderResultText(result, demo.style).trimEnd());
    if (result.verdict !== "fail" || !result.violations.some((violation) => violation.rule === rule))
      throw new Error(`rule ${rule} should have refused this`);
    if (!isDeepStrictEqual(before, await vettedOf(demo))) throw new Error("the vetted registry changed");
    demo.say("  vetted is as it was");
  }
  return refusals.length;
}

async function vettedOf(demo: Demo): Promise<unknown> {
  return Object.entries(await demo.registry.snapshot()).filter(([name]) => name.startsWith("vetted/"));
}

async function tryForeignBase(demo: Demo): Promise<BundleRun> {
  const tags = `${demo.registry.host}/quarantine/web-foreign-base:demo`;
  const built = await mustPass(
    demo,
    demo.step("foreign-build", "detect-and-build", { context: application("web-foreign-base"), tags, policy: demo.platform.foreignPolicy }),
  );
  return demo.step("foreign-base", "enforce-golden-base", { image: built.outputs["image"] ?? "" });
}

async function tryVulnerable(demo: Demo): Promise<BundleRun> {
  const tags = `${demo.registry.host}/quarantine/web-vulnerable:demo`;
  const built = await mustPass(demo, demo.step("vulnerable-build", "detect-and-build", { context: application("web-vulnerable"), tags }));
  return demo.step("vulnerable-scan", "scan", { image: built.outputs["image"] ?? "", database: vulnerabilityData });
}

async function tryUnscanned(demo: Demo, promoted: Promoted): Promise<BundleRun> {
  const image = await copyToQuarantine(demo, promoted, "web-unscanned");
  await attestBuildAndBase(demo, "unscanned", image);
  return promote(demo, "unscanned", image);
}

async function tryWrongKey(demo: Demo, promoted: Promoted): Promise<BundleRun> {
  const image = await copyToQuarantine(demo, promoted, "web-forged");
  await attestBuildAndBase(demo, "forged", image);
  const scan = await mustPass(demo, demo.step("forged-scan", "scan", { image, database: vulnerabilityData }));
  // The build stage's key is a key of the policy, and speaks for the build alone.
  await mustPass(
    demo,
    demo.step("forged-scan-sign", "sign", { image, results: scan.outputs["result"] ?? "", key: demo.platform.keys.build.file }),
  );
  return promote(demo, "forged", image);
}

/** The same image under another name in quarantine, without any of its evidence. */
async function copyToQuarantine(demo: Demo, promoted: Promoted, name: string): Promise<string> {
  const from = parseReference(promoted.quarantine);
  const to = parseRepository(`${demo.registry.host}/quarantine/${name}`);
  await copyManifest(demo.client, { registry: from.registry, name: from.name }, to, promoted.digest);
  return `${to.registry}/${to.name}@${promoted.digest}`;
}

async function attestBuildAndBase(demo: Demo, name: string, image: string): Promise<void> {
  const { keys } = demo.platform;
  await mustPass(demo, demo.step(`${name}-attest`, "sign", { image, stage: "build", key: keys.build.file }));
  const base = await mustPass(demo, demo.step(`${name}-base`, "enforce-golden-base", { image }));
  await mustPass(demo, demo.step(`${name}-base-sign`, "sign", { image, results: base.outputs["result"] ?? "", key: keys.base.file }));
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
