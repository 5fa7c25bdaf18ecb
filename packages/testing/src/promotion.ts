import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PromotionPlan } from "@goldenpath/core/promote/facts";
import { createPointerReader } from "@goldenpath/core/promote/in-force";
import { type PromotionPreparation, preparePromotion } from "@goldenpath/core/promote/promote";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { parsePublicKey } from "@goldenpath/core/signing/public-keys";
import { listHolding, openBundle } from "@goldenpath/core/signing/sigstore";
import { parseStatement } from "@goldenpath/core/signing/statement";
import type { Statement } from "@goldenpath/core/signing/types";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import {
  type RecordedRequest,
  type RegistryOptions,
  type RegistryServer,
  type Snapshot,
  startRegistry,
} from "@goldenpath/registry-server/server";
import { expect } from "vitest";
import { attachEvidence, type Falsehoods, pushImage, type TestImage } from "./chain.ts";
import { makeKeys, type TestKeys } from "./chain-keys.ts";
import { type ChainPolicy, type PolicyFacts, putInForce, writeChainPolicy } from "./chain-policy.ts";

export interface StandOptions {
  registry?: RegistryOptions;
  /** The vetted repositories are in a registry of their own. */
  apart?: boolean;
  /** The policy's `referrers`. */
  carry?: "all" | "signed" | "unsaid";
  /** What the policy has besides, by the prefix of quarantine. */
  policy?: (from: string, client: RegistryClient) => Promise<Pick<PolicyFacts, "signers" | "base" | "scan" | "more">>;
}

export interface PrepareOptions {
  client?: RegistryClient;
  tags?: readonly string[];
  to?: string;
  environment?: string;
  now?: Date;
  allowTagRollback?: boolean;
}

/**
 * A quarantine and a vetted registry, keys, a policy, and in vetted an image that was promoted long ago: what must be
 * as it was after a refusal.
 */
export interface Stand {
  quarantine: RegistryServer;
  /** The same one unless `apart`. */
  vetted: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  policy: ChainPolicy;
  /** Goes with the stand. */
  directory: string;
  /** Prefixes: HOST/quarantine, HOST/vetted. */
  from: string;
  to: string;
  /** Pushes an image to FROM/shop and gives it its evidence. */
  stageImage(falsehoods?: Falsehoods, content?: string): Promise<TestImage>;
  /** Runs the verb: from the image to TO/shop with tag 1.0.0, signed by the promoter, unless told otherwise. */
  promote(image: TestImage | string, inputs?: Readonly<Record<string, string>>): Promise<Execution>;
  /** The same without a door: what stands between the plan and its execution is then a test's to do. */
  prepare(image: TestImage, other?: PrepareOptions): Promise<PromotionPreparation>;
  /** Every vetted repository, as a client can see it. */
  vettedState(): Promise<Snapshot>;
  /** Requests that would change something in vetted, in their order. */
  vettedWrites(): RecordedRequest[];
  plan(execution: Execution): Promise<PromotionPlan>;
  close(): Promise<void>;
}

export async function openStand(options: StandOptions = {}): Promise<Stand> {
  const quarantine = await startRegistry(options.registry);
  const vetted = options.apart === true ? await startRegistry(options.registry) : quarantine;
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-promote-"));
  const client = connect();
  const [from, to] = [`${quarantine.host}/quarantine`, `${vetted.host}/vetted`];
  const keys = await makeKeys(directory);
  const { carry = "all" } = options;
  const referrers = carry === "unsaid" ? {} : { referrers: carry };
  const besides = await options.policy?.(from, client);
  const policy = await writeChainPolicy({ directory, keys, from, to, ...referrers, ...besides });
  await pushImage(client, `${to}/shop`, "of long ago", "0.9.0");
  await putInForce(client, to, policy, { keys });
  const world: World = { quarantine, vetted, client, keys, policy, directory, from, to };
  return {
    ...world,
    async stageImage(falsehoods, content) {
      const image = await pushImage(client, `${from}/shop`, content);
      await attachEvidence({ client, image, policy, keys, ...(falsehoods === undefined ? {} : { falsehoods }) });
      return image;
    },
    promote: (image, inputs = {}) => promoteByVerb(world, image, inputs),
    prepare: (image, other = {}) => prepareAlone(world, image, other),
    async vettedState() {
      return Object.fromEntries(
        Object.entries(await vetted.snapshot()).filter(([name]) => !name.startsWith("quarantine/")),
      );
    },
    vettedWrites: () =>
      vetted.requests.filter(
        ({ method, path }) => !["GET", "HEAD"].includes(method) && !path.startsWith("/v2/quarantine/"),
      ),
    plan: async (execution) => JSON.parse(await readFile(execution.outcome.outputs["plan"] ?? "", "utf8")),
    async close() {
      await client.close();
      await quarantine.close();
      if (vetted !== quarantine) await vetted.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What a stand holds. */
type World = Pick<Stand, "quarantine" | "vetted" | "client" | "keys" | "policy" | "directory" | "from" | "to">;

/** What a promotion runs in, at a time of its own. */
export function contextIn(directory: string, now = (): Date => new Date()): Context {
  return {
    ports: silentPorts(),
    run: { builderId: "https://github.com/acme/platform/.github/workflows/stage-promote.yml@refs/heads/main" },
    workingDirectory: directory,
    temporaryDirectory: directory,
    env: {},
    signal: new AbortController().signal,
    now,
  };
}

function promoteByVerb(
  { to, policy, keys, directory }: World,
  image: TestImage | string,
  inputs: Readonly<Record<string, string>>,
): Promise<Execution> {
  return executeVerb(
    promoteVerb,
    {
      image: typeof image === "string" ? image : image.reference,
      to: `${to}/shop`,
      tags: "1.0.0",
      environment: "production",
      policy: policy.file,
      "policy-signer": keys.platform.publicKey,
      key: keys.promote.file,
      ...inputs,
    },
    { ...contextIn(directory), temporaryRoot: directory, defaultResultDirectory: join(directory, "results") },
  );
}

function prepareAlone(
  { client, to, policy, keys, directory }: World,
  image: TestImage,
  other: PrepareOptions,
): Promise<PromotionPreparation> {
  return preparePromotion(
    other.client ?? client,
    {
      image: parseReference(image.reference),
      to: parseRepository(other.to ?? `${to}/shop`),
      tags: other.tags ?? ["1.0.0"],
      ...(other.allowTagRollback === undefined ? {} : { allowTagRollback: other.allowTagRollback }),
      environmentName: other.environment ?? "production",
      policy,
      pointers: createPointerReader(other.client ?? client, policy, keys.platform.publicKey),
    },
    { ...contextIn(directory), now: () => other.now ?? new Date() },
  );
}

/** A client that waits for nothing, and tries each request so often. */
export function connect(attempts = 2): RegistryClient {
  return createRegistryClient({ ports: silentPorts(), env: {}, attempts, sleep: async () => undefined });
}

/**
 * One referrer, read without the code that collects evidence: which of the keys made its signature, and what it states.
 */
export interface SeenStatement {
  referrer: Digest;
  signers: string[];
  statement: Statement;
}

export async function readStatements(
  stand: Pick<Stand, "client" | "keys">,
  repository: string,
  subject: Digest,
): Promise<SeenStatement[]> {
  const target = parseRepository(repository);
  const seen: SeenStatement[] = [];
  const keys = Object.entries(stand.keys).map(([name, { publicKey }]) => ({
    name,
    key: parsePublicKey(publicKey, "a test's key"),
  }));
  for (const { digest } of await stand.client.listReferrers(target, subject)) {
    const { kind, manifest } = await stand.client.fetchManifest({ ...target, digest });
    const layer = kind === "image" ? manifest.layers[0] : undefined;
    if (layer === undefined) throw new TypeError(`${digest} holds no bundle`);
    const opened = openBundle(await stand.client.fetchBlob(target, layer));
    const holding = await listHolding(opened, keys);
    const signers = holding.map(({ name }) => name);
    seen.push({ referrer: digest, signers, statement: parseStatement(opened.payload) });
  }
  return seen;
}

/** The verdicts of promote among the statements. */
export function promotionsAmong(statements: readonly SeenStatement[]): SeenStatement[] {
  return statements.filter(({ statement }) => {
    const verifier = statement.predicate["verifier"] as { id?: string } | undefined;
    return (
      statement.predicateType === predicateTypes.verificationSummary &&
      verifier?.id?.endsWith("/stages/promote") === true
    );
  });
}

/** Promotes, and holds everything to what a whole promotion leaves. */
export async function promoteWhole(stand: Stand, image: TestImage, tags = "1.0.0"): Promise<void> {
  stand.vetted.requests.length = 0;
  const { outcome, error } = await stand.promote(image, { tags });
  expect(error).toBeUndefined();
  expect(outcome.verdict).toBe("pass");
  expect(outcome.outputs).toMatchObject({ image: `${stand.to}/shop@${image.digest}`, digest: image.digest });
  expect(outcome.result).toMatchObject({
    stage: "promote",
    violations: [],
    subject: { repository: `${stand.to}/shop`, digest: image.digest },
    policy: { serial: stand.policy.policy.serial, digest: stand.policy.digest },
  });
  await expectWhole(stand, image, tags);
}

async function expectWhole(stand: Stand, image: TestImage, tag: string): Promise<void> {
  expect((await stand.vettedState())["vetted/shop"]?.tags[tag]).toBe(image.digest);
  for (const subject of [image.digest, ...image.children.map((child) => child.digest)]) {
    const source = await readStatements(stand, `${stand.from}/shop`, subject);
    const there = await readStatements(stand, `${stand.to}/shop`, subject);
    const promotions = promotionsAmong(there);
    const evidence = there.filter((each) => !promotions.includes(each)).map(({ referrer }) => referrer);
    expect(evidence.toSorted()).toEqual(source.map(({ referrer }) => referrer).toSorted());
    expect(promotions.map(({ signers }) => signers)).toEqual([["promote"]]);
    expect(promotions[0]?.statement.predicate).toMatchObject({
      verificationResult: "PASSED",
      verifiedLevels: ["GOLDENPATH_PROMOTE"],
    });
  }
}
