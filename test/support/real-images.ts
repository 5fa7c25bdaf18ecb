import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey } from "@goldenpath/testing/signers";
import { exampleDatabase } from "./scan-world.ts";

/** What is approved to build on, and what the policy says besides. */
export interface Approval {
  /** `HOST/NAME@sha256:…` */
  base: string;
  /** Kinds of blind spots that are not held against an image. */
  allowBlindSpots?: readonly string[];
}

/** What both stages say of one image, each as one line: `pass`, or all that is wrong. */
export interface Judgement {
  base: string;
  scan: string;
}

/** A registry for images that real tools make, and the stages that look at them. */
export interface ImageCourt {
  registry: RegistryServer;
  client: RegistryClient;
  /** Goes with the court. */
  directory: string;
  /** `HOST/NAME:TAG` → `HOST/NAME@sha256:…` */
  pin(tag: string): Promise<string>;
  judge(image: string, approval: Approval): Promise<Judgement>;
  close(): Promise<void>;
}

export const passed: Judgement = { base: "pass", scan: "pass" };

export async function openImageCourt(tools: Readonly<Record<"syft" | "grype", string>>): Promise<ImageCourt> {
  const registry = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {} });
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-real-"));
  const keys = await Promise.all([makeKey(), makeKey()]);
  const path = [dirname(tools.syft), dirname(tools.grype), process.env["PATH"]].join(delimiter);

  async function run(verb: Verb, inputs: Record<string, string>): Promise<string> {
    const { outcome } = await executeVerb(verb, inputs, {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: directory,
      defaultResultDirectory: join(directory, "results"),
      env: { ...process.env, PATH: path, HOME: directory },
      signal: new AbortController().signal,
    });
    const { violations, error } = outcome.result;
    const said = violations.map(({ rule, thing, problem }) => `${rule}: ${thing}: ${problem}`);
    return [outcome.verdict, ...said, ...(error === undefined ? [] : [error.message])].join("\n");
  }

  return {
    registry,
    client,
    directory,
    async pin(tag) {
      const reference = parseReference(tag);
      return `${reference.registry}/${reference.name}@${await client.resolve(reference)}`;
    },
    async judge(image, { base, allowBlindSpots = [] }) {
      const policy = join(await mkdtemp(join(directory, "policy-")), "policy.yaml");
      await writeFile(policy, renderPolicy(base, allowBlindSpots, keys));
      return {
        base: await run(enforceVerb as unknown as Verb, { policy, image }),
        scan: await run(scanVerb as unknown as Verb, { policy, image, database: exampleDatabase }),
      };
    },
    async close() {
      await client.close();
      await registry.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * The examples' advisories are few, but some are of the packages here: only what is critical counts, since how an image
 * is read is what is looked at.
 */
function renderPolicy(
  base: string,
  allowBlindSpots: readonly string[],
  keys: readonly { publicKeyPem: string }[],
): string {
  const pems = keys.map(({ publicKeyPem }) => publicKeyPem.trim().replace(/^/gm, "      "));
  const [repository = "", digest = ""] = base.split("@");
  const allowed = allowBlindSpots.length === 0 ? "" : `\n  allowBlindSpots: [${allowBlindSpots.join(", ")}]`;
  return samplePolicyText
    .replaceAll(/ {6}-----BEGIN[\s\S]*?-----END PUBLIC KEY-----/g, () => pems.shift() ?? "")
    .replace(
      /^bases:\n[\s\S]*?(?=^build:)/m,
      `bases:\n  - name: golden\n    image: ${repository}\n    digests: [${digest}]\n`,
    )
    .replace(/^exceptions:\n[\s\S]*?(?=^environments:)/m, "")
    .replace("runImage: golden-run", "runImage: golden")
    .replace("failOn: high", `failOn: critical\n  databaseMaxAge: unlimited${allowed}`);
}
