// What bench sign measures of ours, as a program of its own: node sign-run.ts SPEC.json, bundled as the actions are
import { readFile } from "node:fs/promises";
import { runGate } from "@goldenpath/core/gate/verify";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { attachStatements } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { mapConcurrently, settleAll } from "@goldenpath/foundation/concurrency";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { parseReference } from "@goldenpath/registry-client/oci/reference";

export interface SignSpec {
  does: "sign" | "verify" | "gates";
  images: readonly string[];
  /** For `sign` and `verify`: a predicate's type and a key pair in files, for each stage. */
  stages: readonly { type: string; key: string; publicKey: string }[];
  /** For `gates`. */
  policy?: string;
  /** For `gates`: how many images at the same time. */
  abreast?: number;
}

const spec = JSON.parse(await readFile(process.argv[2] ?? "", "utf8")) as SignSpec;
const context = {
  ports: silentPorts(),
  env: {},
  workingDirectory: process.cwd(),
  signal: new AbortController().signal,
};
const client = createRegistryClient(context);
const predicate = { found: "something" };

async function sign(name: string): Promise<void> {
  const reference = parseReference(name);
  const found = await client.fetchManifest(reference);
  const image = { mediaType: found.mediaType, digest: found.digest, size: found.bytes.byteLength };
  const pieces = spec.stages.map(async ({ type, key }) => ({
    target: { image, children: [] },
    statement: buildStatement(buildSubjects(reference, [image.digest]), type, predicate),
    signer: await loadSigner({ key }, context),
  }));
  await attachStatements(client, reference, await Promise.all(pieces), new Date());
}

/** By its digest an image is asked for together with what refers to it, as the gate does. */
async function verify(name: string): Promise<void> {
  const reference = parseReference(name);
  const { digest } = reference;
  if (digest === undefined) throw new Error(`${name} has no digest`);
  const keys = spec.stages.map(async ({ type, publicKey }) => [type, { publicKey: await readFile(publicKey, "utf8") }]);
  const signers = Object.fromEntries(await Promise.all(keys));
  const [{ statements }] = await settleAll(
    collectEvidence(client, reference, digest, signers, { now: new Date() }),
    client.fetchManifest(reference),
  );
  const told = statements.map(({ statement, signers: names }) => `${names} ${statement.predicateType}`);
  const wanted = spec.stages.map(({ type }) => `${type} ${type}`);
  if (told.toSorted().join() !== wanted.toSorted().join()) throw new Error(`verified ${told.join(", ")}`);
}

async function gate(names: readonly string[]): Promise<void> {
  const policy = await loadPolicy(spec.policy ?? "", context);
  await mapConcurrently(spec.abreast ?? 1, names, async (name) => {
    const { violations } = await runGate(client, parseReference(name), "production", policy, new Date());
    if (violations.length > 0) throw new Error(`${name}: ${violations.map(({ problem }) => problem).join("; ")}`);
  });
}

if (spec.does === "gates") await gate(spec.images);
else for (const image of spec.images) await (spec.does === "sign" ? sign : verify)(image);
await client.close();
