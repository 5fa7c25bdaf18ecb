import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ActivationRequest, activatePolicy } from "@goldenpath/core/policy/activate";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { findPointerRepository, pointerTag } from "@goldenpath/core/policy/pointer";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { stages } from "@goldenpath/core/stages";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { TestKeys } from "./chain-keys.ts";
import { renderSigners } from "./signers.ts";

export interface ChainPolicy extends LoadedPolicy {
  /** Where the policy is on disk: `uri` as well. */
  file: string;
}

export interface PolicyFacts {
  /** In which a file of its own is made. */
  directory: string;
  keys: TestKeys;
  /** Prefix of the repositories that images come from, and of those that they go to. */
  from: string;
  to: string;
  serial?: number;
  /** Older versions whose evidence counts, in YAML: `[{ serial: 4, digest: … }]`. */
  accepts?: string;
  /** Makes it other bytes, and so another policy. */
  remark?: string;
  /** `build.sources` in YAML; absent: the repositories of acme. */
  sources?: string;
  /** More signers, in YAML: a line for each, two blanks in. */
  signers?: string;
  /** What goes along besides the evidence; absent: the policy's default. */
  referrers?: "all" | "signed";
  /** The version of base golden; absent: one that is nowhere. */
  base?: Digest;
  /** More of `scan`, in YAML: a line for each, two blanks in. */
  scan?: string;
  /** Sections besides, in YAML. */
  more?: string;
}

/** Writes a policy file that requires all of the evidence, each stage's by its own key. */
export async function writeChainPolicy(facts: PolicyFacts): Promise<ChainPolicy> {
  const file = join(await mkdtemp(join(facts.directory, "policy-")), "policy.yaml");
  const text = renderChainPolicy(facts);
  await writeFile(file, text);
  const bytes = new TextEncoder().encode(text);
  return { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes), file };
}

/** Puts a policy in force for what is promoted to `to`, by the platform's signer or another. */
export async function putInForce(
  client: RegistryClient,
  to: string,
  policy: ChainPolicy,
  {
    keys,
    ...more
  }: { keys: TestKeys } & Partial<
    Pick<ActivationRequest, "signer" | "aliases" | "revoke" | "now" | "previousSigners" | "isFirst">
  >,
): Promise<Repository> {
  const repository = findPointerRepository(parseRepository(`${to}/any`));
  const bytes = await readFile(policy.file);
  const isFirst = await client.fetchManifest({ ...repository, tag: pointerTag }).then(
    () => false,
    () => true,
  );
  await activatePolicy(client, {
    next: policy,
    bytes,
    repository,
    signer: keys.platform.signer,
    isFirst,
    now: new Date(),
    ...more,
  });
  return repository;
}

function renderChainPolicy({
  keys,
  from,
  to,
  serial = 5,
  accepts,
  remark = "a policy for tests",
  referrers,
  signers: moreSigners = "",
  sources,
  base = digestOf("base"),
  scan = "",
  more = "",
}: PolicyFacts): string {
  const signers = Object.fromEntries(stages.map((stage) => [stage, keys[stage].publicKey]));
  return `# ${remark}
version: 1
name: acme
serial: ${serial}
${accepts === undefined ? "" : `accepts: ${accepts}\n`}signers:
${renderSigners(signers)}${moreSigners}bases:
  - name: golden
    image: ${from}-bases/golden
    digests: ["${base}"]
build:
  strategies: [buildpacks]
  isolation: [host]
  sources: ${sources ?? '["https://github.com/acme/*"]'}
  builders:
    - name: node
      buildpacks: ["${from}-bases/node@${digestOf("buildpack")}"]
      runImage: golden
scan:
  failOn: high
${scan}${more}environments:
  production:
    from: ["${from}"]
    to: ["${to}"]
    promoter: promote
${referrers === undefined ? "" : `    referrers: ${referrers}\n`}    requires:
      - { stage: build, signers: [build], maxAge: 30d }
      - { stage: base, signers: [base], maxAge: 7d }
      - { stage: scan, signers: [scan], maxAge: 7d }
  staging:
    from: ["${from}"]
    to: ["${to}"]
    promoter: promote
    requires:
      - { stage: scan, signers: [scan], maxAge: 7d }
`;
}
