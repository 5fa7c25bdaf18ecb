import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { ListOptions } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { makeKey } from "@goldenpath/testing/signers";
import { beforeAll, describe, expect, test } from "vitest";
import type { Policy } from "../policy/schema.ts";
import { encodeBundleReferrer } from "./bundle-layer.ts";
import { type CollectOptions, collectEvidence, dropUncertified } from "./collect.ts";
import { predicateTypes, unknownKeyReason } from "./predicates.ts";
import type { EvidenceSource } from "./read-referrer.ts";
import { signStatement } from "./schemes/key/sign.ts";
import { buildStatement, buildSubjects } from "./statement.ts";
import type { WorkflowIdentity } from "./workflow-identity.ts";

// What a list of referrers comes to, with a registry that is a map: the real ones are in test/integration.

const repository = { registry: "registry.example", name: "quarantine/shop" };
const subject = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("image"), size: 5 };
const now = new Date("2026-11-26T12:00:00Z");
const past = new Date("2026-11-25T12:00:00Z");
const type = "application/vnd.dev.sigstore.bundle.v0.3+json";

let base: Awaited<ReturnType<typeof makeKey>>;
let scan: Awaited<ReturnType<typeof makeKey>>;
let signers: Policy["signers"];
beforeAll(async () => {
  [base, scan] = [await makeKey(), await makeKey()];
  signers = { base: { publicKey: base.publicKeyPem }, scan: { publicKey: scan.publicKeyPem } } as never;
});

class Registry {
  readonly manifests = new Map<Digest, Uint8Array>();
  readonly blobs = new Map<Digest, Uint8Array>();
  listed: Digest[] = [];
  /** What the registry itself lists something as. */
  types = new Map<Digest, string>();
  read: Digest[] = [];
  /** What lies under any tag, and which were asked for. */
  tagged: Digest | undefined;
  tags: string[] = [];

  add(bundle: Uint8Array, of: Descriptor = subject, label: string = predicateTypes.base): Digest {
    const blob = { mediaType: type, digest: digestOf(bundle), size: bundle.byteLength };
    const manifest = encodeBundleReferrer(of, blob, label, "2026-11-26T00:00:00Z");
    this.blobs.set(blob.digest, bundle);
    this.manifests.set(digestOf(manifest), manifest);
    this.listed.push(digestOf(manifest));
    return digestOf(manifest);
  }

  client(): EvidenceSource["client"] {
    return {
      listReferrers: async (_repository: unknown, digest: Digest, { choose }: ListOptions = {}) => {
        if (digest !== subject.digest) return [];
        const listed = this.listed.map((each) => {
          const artifactType = this.types.get(each);
          return { ...subject, digest: each, ...(artifactType === undefined ? {} : { artifactType }) };
        });
        return choose?.(listed) ?? listed;
      },
      fetchManifest: async ({ digest = this.tagged, tag }: { digest?: Digest; tag?: string }) => {
        if (tag !== undefined) this.tags.push(tag);
        if (digest === undefined) throw new UserError("no such tag", { code: "image-not-found" });
        this.read.push(digest);
        const bytes = this.manifests.get(digest);
        if (bytes === undefined) throw new InfrastructureError("away", { code: "registry-unreachable" });
        const manifest = JSON.parse(new TextDecoder().decode(bytes));
        return { kind: "image", mediaType: manifest.mediaType, digest, bytes, manifest };
      },
      fetchBlob: async (_repository: unknown, { digest }: Descriptor) => this.blobs.get(digest) ?? new Uint8Array(),
    } as unknown as EvidenceSource["client"];
  }
}

const sign = (found: string, key = base, digest = subject.digest): Promise<Uint8Array> =>
  signStatement(buildStatement(buildSubjects(repository, [digest]), predicateTypes.base, { found }), key.signer);
const collect = (registry: Registry, options: Partial<CollectOptions> = {}, by = signers) =>
  collectEvidence(registry.client(), repository, subject.digest, by, { now, ...options });

test("statements of the policy's signers are evidence, others are rejected with the reason", async () => {
  const registry = new Registry();
  registry.add(await sign("one"));
  registry.add(await sign("two", scan));
  const strangers = registry.add(await sign("three", await makeKey()));
  const another = { ...subject, digest: digestOf("another") };
  const elsewhere = registry.add(await sign("four"), another);
  const { statements, lapsed, rejected } = await collect(registry);
  expect(statements.map(({ signers: names, statement }) => [names, statement.predicate["found"]])).toEqual([
    [["base"], "one"],
    [["scan"], "two"],
  ]);
  expect(lapsed).toEqual([]);
  expect(rejected).toEqual([
    expect.objectContaining({ referrer: strangers, reason: unknownKeyReason, isByNobody: true }),
    { subject: subject.digest, referrer: elsewhere, reason: "its manifest refers to another image" },
  ]);
});

test("what has lapsed is told as such, once for each bundle", async () => {
  const registry = new Registry();
  const bundle = await sign("one");
  registry.add(bundle);
  registry.add(bundle, subject, predicateTypes.vulnerabilities);
  const ended = { ...signers, base: { ...signers["base"], until: past } } as Policy["signers"];
  const found = await collect(registry, {}, ended);
  expect(found.statements).toEqual([]);
  expect(found.lapsed).toHaveLength(1);
  expect(found.rejected).toHaveLength(2);
  expect((await collect(registry)).statements).toHaveLength(1);
});

test("where nobody signs, whatever is there is nobody's", async () => {
  const registry = new Registry();
  const referrer = registry.add(await sign("one"));
  expect(await collect(registry, {}, {})).toEqual({
    statements: [],
    lapsed: [],
    rejected: [expect.objectContaining({ referrer, reason: unknownKeyReason })],
  });
});

test("what lies under a tag is looked for where somebody signs so, or nobody at all, and told with it", async () => {
  const registry = new Registry();
  const referrer = registry.add(await sign("one"));
  registry.listed = [];
  registry.tagged = referrer;
  await expect(collect(registry)).resolves.toEqual({ statements: [], lapsed: [], rejected: [] });
  expect(registry.tags).toEqual([]);
  const tag = `sha256-${subject.digest.slice("sha256:".length)}.att`;
  const legacy = { old: { kind: "legacy", publicKey: base.publicKeyPem } } as unknown as Policy["signers"];
  for (const by of [legacy, {}]) {
    registry.tags = [];
    const { rejected } = await collect(registry, {}, by);
    expect(registry.tags).toContain(tag);
    expect(rejected).toContainEqual({ subject: subject.digest, referrer, reason: expect.any(String), tag });
  }
  registry.listed = [digestOf("not a bundle")];
  registry.manifests.set(digestOf("not a bundle"), registry.manifests.get(referrer) ?? new Uint8Array());
  registry.tagged = undefined;
  const [listed] = (await collect(registry, {}, legacy)).rejected;
  expect(listed).toStrictEqual({ subject: subject.digest, referrer: digestOf("not a bundle"), reason: listed?.reason });
});

test("what an index names is read where somebody signs so, or nobody at all", async () => {
  const registry = new Registry();
  const referrer = registry.add(await sign("one"));
  registry.listed = [];
  expect(await collect(registry, { named: [referrer] })).toEqual({ statements: [], lapsed: [], rejected: [] });
  expect(registry.read).toEqual([]);
  expect((await collect(registry, { named: [referrer] }, {})).rejected).toEqual([
    expect.objectContaining({ referrer }),
  ]);
});

test("a signer who is known by certificates speaks by one alone", () => {
  const by = { run: { kind: "keyless" }, base: { publicKey: "a key" } } as unknown as Policy["signers"];
  const names = ["run", "base", "toString"];
  const signed = { payload: new Uint8Array(), signers: names, bundle: subject };
  expect(dropUncertified(signed, by).signers).toEqual(["base", "toString"]);
  const identity = { issuer: "https://issuer.example" } as WorkflowIdentity;
  expect(dropUncertified({ ...signed, identity }, by).signers).toEqual(names);
});

test("a policy's key that is none is told with its signer's name", async () => {
  await expect(collect(new Registry(), {}, { base: { publicKey: "none" } } as never)).rejects.toMatchObject({
    message: expect.stringContaining("the public key of signer 'base' in the policy"),
  });
});

test("a registry that can't be asked is an error, and nothing is missing", async () => {
  const registry = new Registry();
  registry.add(await sign("one"));
  registry.listed.push(digestOf("gone"));
  await expect(collect(registry)).rejects.toMatchObject({ code: "registry-unreachable" });
});

test("of a long list that the registry makes, nothing is asked for that it lists by a type of no scheme", async () => {
  const registry = new Registry();
  registry.add(await sign("one"));
  for (let at = 0; at < 500; at++) {
    const digest = digestOf(`an SBOM ${at}`);
    registry.listed.push(digest);
    registry.types.set(digest, "application/vnd.example.sbom");
  }
  expect((await collect(registry)).statements).toHaveLength(1);
  expect(registry.read).toHaveLength(1);
  // Of a shorter one, all is.
  registry.listed.pop();
  await expect(collect(registry)).rejects.toMatchObject({ code: "registry-unreachable" });
});

describe("more than is read is an error", () => {
  const tooMuch = (says: string) => ({
    code: "too-much-evidence",
    message: `registry.example/quarantine/shop@${subject.digest} has ${says}`,
    safeToRetry: false,
    wayOut: expect.stringContaining("oras discover"),
  });

  test("of referrers, before any is read; each counts once", async () => {
    const registry = new Registry();
    for (const found of ["one", "two", "three"]) registry.add(await sign(found));
    registry.listed.push(...registry.listed);
    await expect(collect(registry, { referrers: 2 })).rejects.toMatchObject(
      tooMuch("3 referrers, and 2 are read at most"),
    );
    expect(registry.read).toEqual([]);
    expect((await collect(registry, { referrers: 3 })).statements).toHaveLength(3);
    expect(registry.read).toHaveLength(3);
  });

  test("of what is read, whosever it is, each blob of a referrer once", async () => {
    const registry = new Registry();
    const bundle = await sign("one", await makeKey());
    const referrer = registry.add(bundle);
    const readBytes = bundle.byteLength + (registry.manifests.get(referrer)?.byteLength ?? 0);
    // Two schemes read it.
    const legacy = { kms: { kind: "kms", key: "x", publicKey: scan.publicKeyPem } } as unknown as Policy["signers"];
    const by = { ...signers, ...legacy } as Policy["signers"];
    await expect(collect(registry, { readBytes: readBytes - 1 }, by)).rejects.toMatchObject(
      tooMuch(`more than ${readBytes - 1} bytes of manifests and bundles`),
    );
    await expect(collect(registry, { reads: 1 }, by)).rejects.toMatchObject(
      tooMuch("more than 1 manifests and bundles"),
    );
    await expect(collect(registry, { readBytes, reads: 2 }, by)).resolves.toBeDefined();
  });

  test("of bundles, of which each counts once, whether or not it has lapsed", async () => {
    const registry = new Registry();
    const [one, two] = [await sign("one"), await sign("two", scan)];
    registry.add(one);
    registry.add(one, subject, predicateTypes.vulnerabilities);
    registry.add(two);
    const evidenceBytes = one.byteLength + two.byteLength;
    const ended = { ...signers, scan: { ...signers["scan"], until: past } } as Policy["signers"];
    for (const by of [signers, ended]) {
      await expect(collect(registry, { evidenceBytes: evidenceBytes - 1 }, by)).rejects.toMatchObject(
        tooMuch(`more than ${evidenceBytes - 1} bytes of bundles`),
      );
      await expect(collect(registry, { evidenceBytes }, by)).resolves.toBeDefined();
    }
    // What is nobody's is not held.
    registry.add(await sign("three", await makeKey()));
    await expect(collect(registry, { evidenceBytes })).resolves.toBeDefined();
  });
});
