import { importImage } from "@goldenpath/core/imports/import-image";
import { buildImportStatement } from "@goldenpath/core/imports/statement";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { isKnownError } from "@goldenpath/foundation/errors";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ImageWorld, type OriginSigner, openImageWorld, provenanceOf } from "../support/image-world.ts";
import { passed, tell } from "../support/path-world.ts";
import { useTools } from "../support/tools.ts";

// Each attack stands beside the honest twin that it differs from in one thing.
const tools = useTools("syft");
let world: ImageWorld;
let policy: LoadedPolicy;
let counter = 0;
beforeAll(async () => {
  world = await openImageWorld(tools);
  const { file: uri, text, digest } = world.policy;
  policy = { uri, digest: digest as Digest, policy: parsePolicy(Buffer.from(text), uri) };
});
afterAll(() => world?.close());

const newRepository = (): Repository => ({ registry: world.server.host, name: `builds/shop-${++counter}` });
const nameOf = (repository: Repository, { digest }: Pick<Descriptor, "digest">) =>
  `${formatRepository(repository)}@${digest}`;

/** Attaches a provenance, as a pipeline does. */
async function attachProvenance(
  repository: Repository,
  image: Descriptor,
  predicate: object = provenanceOf(),
  by: OriginSigner = "pipeline",
): Promise<void> {
  const subjects = buildSubjects(repository, [image.digest]);
  const statement = buildStatement(subjects, predicateTypes.provenance, predicate as Record<string, unknown>);
  await attachStatement(
    world.client,
    { repository, image, children: [] },
    statement,
    world.origin[by].signer,
    new Date(),
  );
}

async function takeIn(image: string) {
  const tags = `${world.server.host}/quarantine/shop-${++counter}:1`;
  const outcome = await world.build(world.policy, { image, tags });
  const isThere = (await world.client.resolve(parseReference(tags))) !== undefined;
  return { ...tell(outcome), isThere, problem: outcome.result.violations[0]?.problem ?? "" };
}
const taken = { ...passed, isThere: true };
const refused = { verdict: "fail", rules: ["build.image"], isThere: false };

describe("a provenance", () => {
  test.each<[string, (repository: Repository, image: Descriptor) => Promise<unknown>, string]>([
    [
      "by a signer of the policy who is asked for something else",
      (at, image) => attachProvenance(at, image, provenanceOf(), "auditor"),
      "nothing is signed about",
    ],
    [
      "by another builder",
      (at, image) => attachProvenance(at, image, provenanceOf({ id: "https://ci.evil.example/builders/v3" })),
      "of a build by https://ci.evil.example",
    ],
    [
      "of a build type that the policy does not name",
      (at, image) =>
        attachProvenance(at, image, provenanceOf({ type: "https://ci.acme.example/build-types/script/v1" })),
      "of build type",
    ],
    [
      "of a source that the policy does not take",
      (at, image) => attachProvenance(at, image, provenanceOf({ repository: "https://github.com/evil/shop" })),
      "was built from https://github.com/evil/shop",
    ],
    [
      "of a repository whose name begins like it",
      (at, image) => attachProvenance(at, image, provenanceOf({ repository: "https://github.com/acme-evil/shop" })),
      "was built from https://github.com/acme-evil/shop",
    ],
    [
      "of a repository below it",
      (at, image) => attachProvenance(at, image, provenanceOf({ repository: "https://github.com/acme/shop/x" })),
      "was built from https://github.com/acme/shop/x",
    ],
  ])("%s lets nothing in", async (_what, attack, problem) => {
    const repository = newRepository();
    const [honest, attacked] = [await world.pushUpstream(repository), await world.pushUpstream(repository)];
    await attachProvenance(repository, honest);
    await attack(repository, attacked);
    expect(await takeIn(nameOf(repository, honest))).toMatchObject(taken);
    const outcome = await takeIn(nameOf(repository, attacked));
    expect(outcome).toMatchObject(refused);
    expect(outcome.problem).toContain(problem);
  });

  test("of another image, put beside this one, lets nothing in", async () => {
    const repository = newRepository();
    const [honest, attacked] = [await world.pushUpstream(repository), await world.pushUpstream(repository)];
    await attachProvenance(repository, honest);
    const [referrer] = await world.client.listReferrers(repository, honest.digest);
    const { bytes, mediaType } = await world.client.fetchManifest({
      ...repository,
      digest: referrer?.digest as Digest,
    });
    const moved = JSON.parse(Buffer.from(bytes).toString());
    moved.subject = { mediaType: attacked.mediaType, digest: attacked.digest, size: attacked.size };
    await world.client.pushManifest(repository, Buffer.from(JSON.stringify(moved)), mediaType);
    expect(await world.client.listReferrers(repository, attacked.digest)).toHaveLength(1);
    expect(await takeIn(nameOf(repository, attacked))).toMatchObject(refused);
    expect(await takeIn(nameOf(repository, honest))).toMatchObject(taken);
  });

  test("of one child lets no index in that has another one; of each child it does", async () => {
    const repository = newRepository();
    const { index, children } = await world.pushUpstreamIndex(repository);
    const [first, second] = children as [Descriptor, Descriptor];
    await attachProvenance(repository, first);
    const outcome = await takeIn(nameOf(repository, index));
    expect(outcome).toMatchObject(refused);
    expect(outcome.problem).toContain(`nothing is signed about ${second.digest}, unlike others of the image`);
    await attachProvenance(repository, second);
    expect(await takeIn(nameOf(repository, index))).toMatchObject(taken);
  });

  test("does not follow a tag: without a digest nothing is taken in", async () => {
    const repository = newRepository();
    const honest = await world.pushUpstream(repository, "1");
    await attachProvenance(repository, honest);
    const byTag = await takeIn(`${formatRepository(repository)}:1`);
    expect(byTag).toMatchObject({ verdict: "error", error: "input-invalid", isThere: false });
    // The tag is for people: whatever it points at by now, the digest is what is taken.
    await world.pushUpstream(repository, "1");
    expect(await takeIn(`${formatRepository(repository)}:1@${honest.digest}`)).toMatchObject(taken);
  });

  test("can't be asked for where the strategy builds, nor left in a layout", async () => {
    const repository = newRepository();
    const honest = await world.pushUpstream(repository);
    await attachProvenance(repository, honest);
    const others: Record<string, string>[] = [{ strategy: "buildpacks" }, { push: "false" }];
    for (const more of others) {
      const tags = `${world.server.host}/quarantine/x:1`;
      const outcome = await world.build(world.policy, { image: nameOf(repository, honest), tags, ...more });
      expect(tell(outcome)).toEqual({ verdict: "error", rules: [], error: "input-invalid" });
    }
  });
});

describe("an import", () => {
  const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

  async function importFrom(
    source: string,
    { by = "importer" as OriginSigner, until = inDays(1), note = (): void => undefined, now = new Date() } = {},
  ): Promise<string> {
    const to = `${world.server.host}/quarantine/redis-${++counter}`;
    const request = { source: parseReference(source), to: [`${to}:1`], reason: "sessions", owner: "team-shop", until };
    try {
      const means = { policy, signer: world.origin[by].signer, now, note };
      const { image } = await importImage(world.client, request, means);
      return `${to}@${image.reference.digest}`;
    } catch (error) {
      if (!isKnownError(error)) throw error;
      expect((await world.server.snapshot())[to.slice(to.indexOf("/") + 1)]).toBeUndefined();
      return error.code;
    }
  }
  const attest = async (image: string) => {
    const { result, ...outcome } = await world.attest(world.policy, image);
    return { ...tell({ ...outcome, result }), problem: result.violations[0]?.problem ?? "" };
  };

  test("is signed by who imports, and by nobody else", async () => {
    await world.pushUpstream(world.vendor, "7");
    const source = `${formatRepository(world.vendor)}:7`;
    expect(await importFrom(source, { by: "pipeline" })).toBe("import-signer");
    expect(await importFrom(source)).toContain("@sha256:");
  });

  test("by another signer of the policy, attached by hand, counts for nothing", async () => {
    const repository = { registry: world.server.host, name: `quarantine/by-hand-${++counter}` };
    const image = await world.pushUpstream(repository);
    const sign = async (by: OriginSigner) => {
      const source = { repository: world.vendor, digest: image.digest };
      const about = { repository, digest: image.digest, children: [image.digest] };
      const why = { reason: "x", owner: "y", until: inDays(1) };
      const statement = buildImportStatement({ image: about, source, policy, importedOn: new Date(), ...why });
      await attachStatement(
        world.client,
        { repository, image, children: [] },
        statement,
        world.origin[by].signer,
        new Date(),
      );
    };
    await sign("pipeline");
    await sign("auditor");
    const before = await attest(nameOf(repository, image));
    expect(before).toMatchObject({ verdict: "fail", rules: ["build.image"] });
    expect(before.problem).toContain("nothing is signed about");
    await sign("importer");
    expect(await attest(nameOf(repository, image))).toMatchObject(passed);
  });

  test("takes only from repositories that the policy names, not from those that are called alike", async () => {
    for (const name of ["upstream/redis2", "upstream/redis/x", "upstream/redi", "upstream-redis", "redis"]) {
      const alike = { registry: world.server.host, name };
      await world.pushUpstream(alike, "7");
      expect(await importFrom(`${formatRepository(alike)}:7`), name).toBe("origin-unproven");
    }
    await world.pushUpstream(world.vendor, "7");
    expect(await importFrom(`${formatRepository(world.vendor)}:7`)).toContain("@sha256:");
  });

  test("has an end that is a day to come", async () => {
    await world.pushUpstream(world.vendor, "7");
    for (const until of [inDays(-1), "never", "", "2999-99-99"])
      expect(await importFrom(`${formatRepository(world.vendor)}:7`, { until }), until).toBe("import-incomplete");
    expect(await importFrom(`${formatRepository(world.vendor)}:7`, { until: inDays(0) })).toContain("@sha256:");
  });

  test("that is over lets nothing be attested, and does again once it is renewed", async () => {
    const old = await world.pushUpstream(world.vendor, "6");
    const source = `${formatRepository(world.vendor)}@${old.digest}`;
    const monthAgo = new Date(Date.now() - 30 * 86_400_000);
    const image = await importFrom(source, { now: monthAgo, until: inDays(-1) });
    const over = await attest(image);
    expect(over).toMatchObject({ verdict: "fail", rules: ["build.image"] });
    expect(over.problem).toContain(`held until ${inDays(-1)}`);
    const { registry, name, digest } = parseReference(image);
    const renewed = { reason: "sessions", owner: "team-shop", until: inDays(1) };
    const request = { source: parseReference(source), to: [`${registry}/${name}:1`], ...renewed };
    const more = { policy, signer: world.origin.importer.signer, now: new Date(), note: () => undefined };
    await importImage(world.client, request, more);
    expect(await attest(`${registry}/${name}@${digest}`)).toMatchObject(passed);
  });

  test("is of what the tag was when it was resolved, whoever moves it meanwhile", async () => {
    const first = await world.pushUpstream(world.vendor, "moving");
    const other = await world.pushUpstream(world.vendor);
    const { bytes, mediaType } = await world.client.fetchManifest({ ...world.vendor, digest: other.digest });
    const moves: Promise<unknown>[] = [];
    const note = (): void => void moves.push(world.client.pushManifest(world.vendor, bytes, mediaType, "moving"));
    const image = await importFrom(`${formatRepository(world.vendor)}:moving`, { note });
    await Promise.all(moves);
    expect(await world.client.resolve({ ...world.vendor, tag: "moving" })).toBe(other.digest);
    expect(image.endsWith(first.digest)).toBe(true);
    expect(await attest(image)).toMatchObject(passed);
  });

  test("of one index says nothing of another that has its children", async () => {
    const { index, children } = await world.pushUpstreamIndex(world.vendor);
    const image = await importFrom(nameOf(world.vendor, index));
    const repository = parseReference(image);
    const twin = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: children, annotations: { a: "b" } };
    const bytes = Buffer.from(JSON.stringify(twin));
    await world.client.pushManifest(repository, bytes, mediaTypes.ociIndex);
    const outcome = await attest(`${formatRepository(repository)}@${digestOf(bytes)}`);
    expect(outcome).toMatchObject({ verdict: "fail", rules: ["build.image"] });
    expect(outcome.problem).toContain(`and this image is ${digestOf(bytes)}`);
    expect(await attest(image)).toMatchObject(passed);
  });
});
