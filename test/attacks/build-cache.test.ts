import type { CacheParts } from "@goldenpath/core/build/cache/cache";
import { readEntry } from "@goldenpath/core/build/cache/entry";
import { describeEntry } from "@goldenpath/core/build/cache/judge-entry";
import { planKey } from "@goldenpath/core/build/cache/key";
import { type CacheRequest, type OpenCache, openCache } from "@goldenpath/core/build/cache/open";
import { type CacheRun, nameTags, nameWriter } from "@goldenpath/core/build/cache/writer";
import type { Policy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Signer } from "@goldenpath/core/signing/types";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { PinnedReference, Repository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKey, makeStageKeys, policyWith, type StageKey, type StageName } from "@goldenpath/testing/signers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

// Whoever can write to the quarantine repository tries to have a build of main take what they made.
let server: RegistryServer;
let client: RegistryClient;
let keys: Record<StageName, StageKey>;
let policy: Policy;
let counter = 0;
let repository: Repository;
const warnings: string[] = [];

beforeAll(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  keys = await makeStageKeys();
  const plain = policyWith(keys, server.host).policy;
  const [production] = Object.values(plain.environments);
  if (production === undefined) throw new TypeError("it has one environment");
  const requires = [{ stage: "build" as const, signers: ["build"], maxAge: 3_600_000 }];
  policy = { ...plain, environments: { production: { ...production, requires } } };
});
afterAll(async () => {
  await client?.close();
  await server?.close();
});
afterEach(() => {
  server.faults = [];
  warnings.length = 0;
});

const onMain = {
  sourceRepository: "https://github.com/acme/shop",
  sourceRef: "refs/heads/main",
  defaultBranch: "main",
  event: "push",
  builderId: "https://github.com/goldenpath-ci/goldenpath/.github/workflows/stage-build.yml@refs/heads/main",
} satisfies CacheRun;
const onPullRequest = { ...onMain, sourceRef: "refs/pull/7/merge", event: "pull_request" } satisfies CacheRun;
const pinned = "b".repeat(64);

const context = (): Context => ({
  ports: { ...silentPorts(), log: { ...silentPorts().log, warning: (text) => void warnings.push(text) } },
  run: onMain,
  workingDirectory: "/",
  temporaryDirectory: "/tmp",
  env: {},
  signal: new AbortController().signal,
  now: () => new Date(),
});

interface Build {
  run?: CacheRun;
  mode?: "unverified" | "verified";
  builder?: string;
  /** Of the application, in its repository. */
  folder?: string;
  locks?: Record<string, string>;
}
const oneLock = { "package-lock.json": "1" };

function request({ run = onMain, mode = "verified", builder = pinned, folder = "", locks = oneLock }: Build) {
  const scope = { strategy: "buildpacks", platform: "linux/amd64", builder, source: run.sourceRepository };
  const key = planKey({ ...scope, application: { folder } }, locks);
  return {
    ...{ mode, key, strategy: "buildpacks", platform: "linux/amd64", builder: "node", repository, to: repository },
    writer: nameWriter(run, policy),
    isKept: true,
    reader: { builder, source: run.sourceRepository, policy },
    ...{ client, context: context() },
  } satisfies CacheRequest;
}
const open = (build: Build = {}): Promise<OpenCache> => openCache(request(build));

function partsOf(content: string): CacheParts {
  const bytes = Buffer.from(content);
  const descriptor = { mediaType: mediaTypes.ociLayerTar, digest: digestOf(bytes), size: bytes.length };
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return { config: { mediaType: mediaTypes.ociConfig, bytes: Buffer.from("{}") }, layers: [{ descriptor, open }] };
}

/** A build leaves something, as the verb does it. */
async function leave(content: string, build: Build = {}): Promise<PinnedReference> {
  const cache = await open(build);
  await cache.keep(() => Promise.resolve(partsOf(content)));
  if (cache.kept === undefined) throw new Error(cache.describe().join("\n"));
  return cache.kept;
}

interface Attested {
  run?: CacheRun;
  signer?: Signer;
  builder?: string;
  change?: object;
  /** Of the statement's subject. */
  name?: string;
}

/** What the job that attests says of an entry, or somebody in its place. */
async function attest(entry: PinnedReference, { run = onMain, signer, builder = pinned, change, name }: Attested = {}) {
  const found = await client.fetchManifest(entry);
  const read = readEntry(found);
  if ("problem" in read) throw new Error(read.problem);
  const predicate = { ...describeEntry(read.labels, builder, run), ...change };
  const { digest } = entry;
  const subjects = buildSubjects(repository, [digest]).map((each) => ({
    ...each,
    ...(name === undefined ? {} : { name }),
  }));
  const statement = buildStatement(subjects, predicateTypes.buildCache, predicate);
  const image = { mediaType: found.mediaType, digest, size: found.bytes.length };
  const target = { repository, image, children: [] };
  await attachStatement(client, target, statement, signer ?? keys.build.signer, new Date());
}

/** Puts an entry under both tags that a build of main looks at. */
async function moveTags(entry: PinnedReference, build: Build = {}): Promise<void> {
  const { bytes, mediaType } = await client.fetchManifest(entry);
  for (const tag of nameTags("protected", request(build).key))
    await client.pushManifest(repository, bytes, mediaType, tag);
}

/** The layer that a build would get; what is said where it gets none. */
async function taken(build: Build = {}): Promise<string> {
  const cache = await open(build);
  const [layer] = cache.found?.manifest.layers ?? [];
  if (cache.found === undefined || layer === undefined) return cache.describe().join("\n");
  return Buffer.from(await cache.found.read(layer, 1000)).toString();
}

const fresh = (): void => {
  repository = { registry: server.host, name: `quarantine/shop-${++counter}` };
};

describe("a cache that is verified", () => {
  test("counts with the statement of the job that attests, and not without", async () => {
    fresh();
    const entry = await leave("honest");
    expect(await taken()).toMatch(/is not used: nobody attested it/);
    await attest(entry);
    expect(await taken()).toBe("honest");
    expect(await taken({ locks: { "package-lock.json": "2" } })).toBe("honest");
  });

  test("is not taken from a pull request, whatever it is tagged", async () => {
    fresh();
    const poisoned = await leave("poisoned", { run: onPullRequest });
    await attest(poisoned, { run: onPullRequest });
    expect(await taken()).toMatch(/there is none/);
    await moveTags(poisoned);
    expect(await taken()).toMatch(/is not used: it is of writer '[0-9a-f]{12}', and not 'protected'/);
    // With the labels of main, which anybody can write.
    const forged = await leave("poisoned");
    await attest(forged, { run: onPullRequest });
    expect(await taken()).toMatch(/written on refs\/pull\/7\/merge, which is not protected/);
    await attest(forged, { run: { ...onPullRequest, sourceRef: onMain.sourceRef } });
    expect(await taken()).toMatch(/written on refs\/heads\/main, which is not protected/);
    const honest = await leave("honest");
    await attest(honest);
    expect(await taken()).toBe("honest");
  });

  test("is not taken where another than the job that attests has signed for it", async () => {
    fresh();
    const entry = await leave("honest");
    await attest(entry, { signer: (await makeKey()).signer });
    expect(await taken()).toMatch(
      /its statement counts for nothing: it is signed with a key that is not in this policy/,
    );
    await attest(entry, { signer: keys.scan.signer });
    expect(await taken()).toMatch(/attested by scan, and build speaks for builds/);
    await attest(entry);
    expect(await taken()).toBe("honest");
  });

  test("is not taken from another repository", async () => {
    fresh();
    const other = { ...onMain, sourceRepository: "https://github.com/acme/other" };
    const entry = await leave("of another", { run: other });
    await attest(entry, { run: other });
    await moveTags(entry);
    expect(await taken()).toMatch(/is not used: it is of another source, or of another version of the builder/);
    const forged = await leave("of another");
    await attest(forged, { run: other });
    expect(await taken()).toMatch(
      /written for https:\/\/github.com\/acme\/other, and this is https:\/\/github.com\/acme\/shop/,
    );
    expect(await taken({ run: other })).toBe("of another");
    await attest(forged);
    expect(await taken()).toBe("of another");
  });

  test("is not taken from another application of the same repository", async () => {
    fresh();
    const entry = await leave("of the shop", { folder: "shop" });
    await attest(entry);
    expect(await taken({ folder: "admin" })).toMatch(/there is none/);
    await moveTags(entry, { folder: "admin" });
    expect(await taken({ folder: "admin" })).toMatch(/is not used: it is of another source/);
    expect(await taken({ folder: "shop" })).toBe("of the shop");
  });

  test("is not taken under a statement about another place", async () => {
    fresh();
    const entry = await leave("honest");
    await attest(entry, { name: `${server.host}/quarantine/other` });
    await attest(entry, { name: "" });
    expect(await taken()).toMatch(
      /is about localhost:\d+\/quarantine\/other, and it lies in localhost:\d+\/quarantine\/shop-\d+/,
    );
    await attest(entry);
    expect(await taken()).toBe("honest");
  });

  test("is not taken from another version of the builder", async () => {
    fresh();
    const old = "a".repeat(64);
    const entry = await leave("of an old builder", { builder: old });
    await attest(entry, { builder: old });
    expect(await taken({ builder: old })).toBe("of an old builder");
    await moveTags(entry);
    expect(await taken()).toMatch(/another version of the builder/);
    const forged = await leave("of an old builder");
    await attest(forged, { builder: old });
    expect(await taken()).toMatch(/written with builder 'node' in another version than the policy's/);
    await attest(forged);
    expect(await taken()).toBe("of an old builder");
  });

  test("is not taken under a statement about another entry, or about another key", async () => {
    fresh();
    const honest = await leave("honest");
    await attest(honest, { change: { group: "c".repeat(64) } });
    await attest(honest, { change: { key: "c".repeat(64) } });
    expect(await taken()).toMatch(/its statement is about another key/);
    await attest(honest);
    const poisoned = await leave("poisoned");
    // The honest one's referrer, hung on the other.
    const [referrer] = await client.listReferrers(repository, honest.digest);
    const found =
      referrer === undefined ? undefined : await client.fetchManifest({ ...repository, digest: referrer.digest });
    if (found === undefined) return expect.unreachable();
    const size = (await client.fetchManifest(poisoned)).bytes.length;
    const subject = { mediaType: mediaTypes.ociManifest, digest: poisoned.digest, size };
    const moved = Buffer.from(JSON.stringify({ ...found.manifest, subject }));
    await client.pushManifest(repository, moved, mediaTypes.ociManifest);
    expect(await taken()).toMatch(
      /is not used: its statement counts for nothing: its statement is about another image/,
    );
    await moveTags(honest);
    expect(await taken()).toBe("honest");
  });

  test("is one digest from the look at it on: a tag that moves in between moves nothing", async () => {
    fresh();
    const honest = await leave("honest");
    await attest(honest);
    const cache = await open();
    await moveTags(await leave("poisoned"));
    const [layer] = cache.found?.manifest.layers ?? [];
    if (layer === undefined) return expect.unreachable();
    expect(Buffer.from((await cache.found?.read(layer, 1000)) ?? []).toString()).toBe("honest");
    expect(await taken()).toMatch(/nobody attested it/);
  });

  test("is not taken where what is tagged is no cache, or refers to an image", async () => {
    fresh();
    const entry = await leave("honest");
    await attest(entry);
    const { manifest } = await client.fetchManifest(entry);
    const put = async (change: object): Promise<void> => {
      const bytes = Buffer.from(JSON.stringify({ ...manifest, ...change }));
      const digest = await client.pushManifest(repository, bytes, mediaTypes.ociManifest);
      await moveTags({ ...repository, digest });
    };
    await put({ artifactType: "application/vnd.example" });
    expect(await taken()).toMatch(/it is no cache of a build/);
    await put({ subject: { mediaType: mediaTypes.ociManifest, digest: entry.digest, size: 1 } });
    expect(await taken()).toMatch(/it refers to another image/);
    await put({ annotations: {} });
    expect(await taken()).toMatch(/what it says of itself can't be read/);
    await moveTags(entry);
    expect(await taken()).toBe("honest");
  });
});

describe("a cache that is not verified", () => {
  const mode = "unverified";

  test("keeps what a pull request leaves to itself, and gives it main's", async () => {
    fresh();
    await leave("of main", { mode });
    expect(await taken({ mode, run: onPullRequest })).toBe("of main");
    await leave("of the pull request", { mode, run: onPullRequest });
    expect(await taken({ mode, run: onPullRequest })).toBe("of the pull request");
    expect(await taken({ mode, run: { ...onPullRequest, sourceRef: "refs/pull/8/merge" } })).toBe("of main");
    expect(await taken({ mode })).toBe("of main");
  });

  test("passes over what is tagged for something else", async () => {
    fresh();
    const poisoned = await leave("poisoned", { mode, run: onPullRequest });
    await moveTags(poisoned);
    expect(await taken({ mode })).toMatch(/it is of writer/);
    await leave("honest", { mode });
    expect(await taken({ mode })).toBe("honest");
  });

  test("costs nothing but time where it can't be read, and warns where it can't be written", async () => {
    fresh();
    await leave("honest", { mode });
    server.faults = [{ method: "GET", path: /\/manifests\//, action: { kind: "status", status: 500 } }] as never;
    expect(await taken({ mode })).toMatch(/could not be read/);
    server.faults = [{ method: "PUT", path: /\/manifests\/cache-/, action: { kind: "status", status: 403 } }] as never;
    const cache = await open({ mode });
    await cache.keep(() => Promise.resolve(partsOf("more")));
    expect(cache.kept).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/^cache: what this build left is not kept: /)]);
    server.faults = [];
    expect(await taken({ mode })).toBe("honest");
  });
});
