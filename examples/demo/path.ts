import { join } from "node:path";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { deriveChain } from "@goldenpath/core/report/chain";
import { paint, renderChainText, renderResultText } from "@goldenpath/core/report/terminal";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { type Digest, parseDigest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { BundleRun } from "./bundle.ts";
import type { Demo } from "./machine.ts";

const root = join(import.meta.dirname, "../..");

export interface Promoted {
  /** In quarantine, HOST/NAME@sha256:… */
  quarantine: string;
  /** In vetted. */
  image: string;
  digest: Digest;
}

export const vulnerabilityData = join(root, "examples/vulnerability-data/grype-db");

export function application(name: string): string {
  return join(root, "examples/apps", name);
}

/** Runs a step that has to pass; otherwise shows why it did not, and stops the demo. */
export async function mustPass(demo: Demo, run: Promise<BundleRun>): Promise<BundleRun> {
  const done = await run;
  if (done.result.verdict === "pass") return done;
  demo.say(renderResultText(done.result, demo.style));
  throw new Error(
    `${done.action} was expected to pass and did not; its log:\n${done.log.split("\n").slice(-25).join("\n")}`,
  );
}

/**
 * Evidence of earlier demo runs goes, so that this run's chain is this run's: quarantine keeps its images (their layers
 * are reused), vetted starts empty.
 */
async function clearEarlierRuns(demo: Demo): Promise<void> {
  for (const [name, contents] of Object.entries(await demo.registry.snapshot())) {
    const keepTagged = name.startsWith("quarantine/");
    if (!keepTagged && !name.startsWith("vetted/")) continue;
    const kept = new Set(keepTagged ? Object.values(contents.tags) : []);
    for (const digest of contents.manifests) {
      if (!kept.has(digest)) await fetch(`${demo.registry.url}/v2/${name}/manifests/${digest}`, { method: "DELETE" });
    }
  }
}

/** Commit → vetted image, one way through each stage. */
export async function walkPath(demo: Demo): Promise<Promoted> {
  const { platform, registry } = demo;
  await clearEarlierRuns(demo);
  await demo.activate();
  demo.say(paint(demo.style, "bold", "\n▸ The path of examples/apps/web"));
  const built = await mustPass(
    demo,
    demo.step("web-build", "detect-and-build", {
      context: application("web"),
      tags: `${registry.host}/quarantine/web:demo`,
    }),
  );
  const quarantine = built.outputs["image"] ?? "";
  // Three jobs side by side, as in the workflow: each sees the digest and nothing of the others, and signs with its own
  // key.
  await Promise.all([
    mustPass(demo, demo.step("web-attest", "attest", { image: quarantine, key: platform.keys.build.file })),
    judgeAndSign(demo, "web", "base", demo.step("web-base", "enforce-golden-base", { image: quarantine }), quarantine),
    judgeAndSign(
      demo,
      "web",
      "scan",
      demo.step("web-scan", "scan", { image: quarantine, database: vulnerabilityData }),
      quarantine,
    ),
  ]);
  await mustPass(demo, demo.step("web-verify", "verify", { image: quarantine, environment: "production" }));
  const promoted = await mustPass(
    demo,
    demo.step("web-promote", "promote", {
      image: quarantine,
      to: `${registry.host}/vetted/web`,
      tags: "1.0.0",
      environment: "production",
      key: platform.keys.promote.file,
    }),
  );
  const image = promoted.outputs["image"] ?? "";
  await mustPass(demo, demo.step("web-report", "report", { image }));
  demo.say("");
  demo.say(await renderChain(demo, image));
  return { quarantine, image, digest: parseDigest(promoted.outputs["digest"] ?? "") };
}

/** A stage that judges and then signs its result, in the same job; `signer` is whose key it signs with. */
export async function judgeAndSign(
  demo: Demo,
  name: string,
  stage: "base" | "scan",
  judged: Promise<BundleRun>,
  image: string,
  signer: "base" | "scan" | "build" = stage,
): Promise<void> {
  const { outputs } = await mustPass(demo, judged);
  await mustPass(
    demo,
    demo.step(`${name}-${stage}-sign`, "sign", {
      image,
      results: outputs["result"] ?? "",
      key: demo.platform.keys[signer].file,
    }),
  );
}

async function renderChain(demo: Demo, image: string): Promise<string> {
  const reference = parseReference(image);
  const repository: Repository = { registry: reference.registry, name: reference.name };
  const { policy } = await readPolicy(demo);
  const digest = parseDigest(reference.digest ?? "");
  const evidence = await collectEvidence(demo.client, repository, digest, policy.signers, { now: new Date() });
  return renderChainText(deriveChain(formatRepository(repository), digest, evidence, policy), demo.style);
}

export async function readPolicy(demo: Demo): Promise<LoadedPolicy> {
  return loadPolicy(demo.platform.policyFile, {
    ports: demo.ports,
    workingDirectory: root,
    env: process.env,
    signal: new AbortController().signal,
  });
}
