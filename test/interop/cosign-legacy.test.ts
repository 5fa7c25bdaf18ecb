import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { attestationTag, nameCosignTag, signatureTag } from "@goldenpath/core/signing/cosign-tags";
import { loadSigner } from "@goldenpath/core/signing/keys";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { checkByHand } from "@goldenpath/core/signing/schemes/find";
import { withLegacy } from "@goldenpath/core/signing/schemes/key/sign";
import type { Statement } from "@goldenpath/core/signing/types";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import {
  type EvidenceRegistry,
  encode,
  startEvidenceRegistry,
  statementAbout,
  verdictAbout,
} from "@goldenpath/testing/evidence-registry";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

// cosign's older form: attestations and signatures under tags, which admission engines read that know no bundles.

const run = promisify(execFile);
const tools = useTools("cosign");
const password = "correct horse battery";

let directory: string;
let registry: EvidenceRegistry;
let own: StageKey;
let other: StageKey;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-legacy-"));
  registry = await startEvidenceRegistry(true);
  [own, other] = [await makeKey(), await makeKey()];
  await writeFile(join(directory, "own.pub"), own.publicKeyPem);
  await writeFile(join(directory, "other.pub"), other.publicKeyPem);
  await writeFile(join(directory, "predicate.json"), '{"found":"something"}');
});
afterAll(async () => {
  await registry?.close();
  await rm(directory, { recursive: true, force: true });
});

async function cosign(...args: string[]): Promise<string> {
  const env = { HOME: directory, PATH: process.env["PATH"], COSIGN_PASSWORD: password };
  return (await run(tools.cosign, args, { cwd: directory, env })).stdout;
}
const older = ["--new-bundle-format=false", "--insecure-ignore-tlog"];
const nameOf = (repository: Repository, digest: Digest): string => `${formatRepository(repository)}@${digest}`;
const verifySignature = (key: string, name: string) => cosign("verify", "--key", key, ...older, name);
const verifyAttestation = (key: string, name: string, type: string = predicateTypes.base) =>
  cosign("verify-attestation", "--key", key, ...older, "--type", type, name);
const tagsOf = async (repository: Repository, digest: Digest) =>
  Promise.all(
    [attestationTag, signatureTag].map((kind) =>
      registry.client.resolve({ ...repository, tag: nameCosignTag(digest, kind) }),
    ),
  );

describe("what is signed with legacy: true", () => {
  test("is signed by nobody where a stage failed or only found something, and is where it passed", async () => {
    const { repository, image } = await registry.newImage();
    const name = nameOf(repository, image.digest);
    const attach = (statement: Statement) =>
      attachStatement(
        registry.client,
        { repository, image, children: [] },
        statement,
        withLegacy(own.signer),
        new Date(),
      );
    await attach(statementAbout(repository, [image.digest]));
    await attach(verdictAbout(repository, [image.digest], false));
    // Both are there, for whoever reads what they say.
    await verifyAttestation("own.pub", name);
    await verifyAttestation("own.pub", name, predicateTypes.verificationSummary);
    await expect(verifySignature("own.pub", name)).rejects.toThrow(/no signatures found/);
    await attach(verdictAbout(repository, [image.digest], true));
    await verifySignature("own.pub", name);
  });

  test("is checked with the command that an export gives, without a registry, for this image and this key alone", async () => {
    const { repository, image } = await registry.newImage();
    const statement = statementAbout(repository, [image.digest]);
    const target = { repository, image, children: [] };
    await attachStatement(registry.client, target, statement, withLegacy(own.signer), new Date());
    const signers = { stage: { kind: "legacy", publicKey: own.publicKeyPem } } as const;
    const { statements } = await collectEvidence(registry.client, repository, image.digest, signers, {
      now: new Date(),
    });
    const [found] = statements;
    if (found === undefined) throw new Error("it is not verified");
    const bytes = await registry.client.fetchBlob(repository, found.bundle);
    const check = async (subject: Digest, publicKey = own.publicKeyPem): Promise<string> => {
      const stage = { ...signers.stage, publicKey };
      const files = { file: "01.json", image: "image.json" };
      const piece = { signer: "stage", ...files, bytes, subject, predicateType: predicateTypes.base };
      const { argv = [], files: written = {} } = checkByHand({ stage }, piece) ?? {};
      await mkdir(join(directory, "trust"), { recursive: true });
      for (const [name, content] of Object.entries(written)) await writeFile(join(directory, name), content);
      return cosign(...argv.slice(1));
    };
    await expect(check((await registry.newImage()).image.digest)).rejects.toThrow(/digest/);
    await expect(check(image.digest, other.publicKeyPem)).rejects.toThrow(/signature/);
    await check(image.digest);
  });

  test("is beside the bundles, on the index and each child, and cosign verifies it by its older flags", async () => {
    const { repository, image, children } = await registry.newIndex();
    const digests = [image.digest, ...children.map(({ digest }) => digest)];
    const statement = verdictAbout(repository, digests, true);
    const verifyVerdict = (key: string, name: string) =>
      verifyAttestation(key, name, predicateTypes.verificationSummary);
    const attach = (key: StageKey) =>
      attachStatement(registry.client, { repository, image, children }, statement, withLegacy(key.signer), new Date());
    await attachStatement(registry.client, { repository, image, children }, statement, own.signer, new Date());
    for (const digest of digests) {
      expect(await tagsOf(repository, digest)).toEqual([undefined, undefined]);
      await expect(verifySignature("own.pub", nameOf(repository, digest))).rejects.toThrow(/no signatures found/);
      await expect(verifyVerdict("own.pub", nameOf(repository, digest))).rejects.toThrow(/no matching attestations/);
    }
    // The bundle is there already, and is not signed again for its older form.
    expect((await attach(own)).existed).toBe(true);
    for (const digest of digests) {
      const name = nameOf(repository, digest);
      const [signed] = JSON.parse(await verifySignature("own.pub", name));
      expect(signed.critical).toMatchObject({
        identity: { "docker-reference": formatRepository(repository) },
        image: { "docker-manifest-digest": digest },
      });
      await verifyVerdict("own.pub", name);
      await expect(verifySignature("other.pub", name)).rejects.toThrow(/no matching signatures/);
      await expect(verifyVerdict("other.pub", name)).rejects.toThrow(/no matching attestations/);
      await expect(verifyAttestation("own.pub", name, "vuln")).rejects.toThrow(/none of the attestations matched/);
    }
    const before = await Promise.all(digests.map((digest) => tagsOf(repository, digest)));
    await attach(own);
    expect(await Promise.all(digests.map((digest) => tagsOf(repository, digest)))).toEqual(before);
    await attach(other);
    for (const key of ["own.pub", "other.pub"]) {
      await verifySignature(key, nameOf(repository, image.digest));
      await verifyVerdict(key, nameOf(repository, image.digest));
    }
    // And by default it reads the bundles.
    await cosign(
      "verify-attestation",
      "--key",
      "own.pub",
      "--insecure-ignore-tlog",
      "--type",
      predicateTypes.verificationSummary,
      nameOf(repository, image.digest),
    );
  });

  test("is whole where stages write beside each other", async () => {
    const { repository, image } = await registry.newImage();
    const types = [predicateTypes.base, predicateTypes.vulnerabilities, predicateTypes.cyclonedx];
    const attach = async (type: string) => {
      const statement = statementAbout(repository, [image.digest], type);
      await attachStatement(
        registry.client,
        { repository, image, children: [] },
        statement,
        withLegacy((await makeKey()).signer),
        new Date(),
      );
    };
    await Promise.all(types.map(attach));
    const tag = nameCosignTag(image.digest, attestationTag);
    const found = await registry.client.fetchManifest({ ...repository, tag });
    expect(
      found.kind === "image" && found.manifest.layers.map((layer) => layer.annotations?.["predicateType"]).toSorted(),
    ).toEqual(types.toSorted());
  });

  test("leaves alone what is not cosign's under its tags", async () => {
    const { repository, image } = await registry.newImage();
    const theirs = (await registry.client.fetchManifest({ ...repository, digest: image.digest })).bytes;
    await registry.client.pushManifest(
      repository,
      theirs,
      mediaTypes.ociManifest,
      nameCosignTag(image.digest, attestationTag),
    );
    const statement = statementAbout(repository, [image.digest]);
    const attaching = attachStatement(
      registry.client,
      { repository, image, children: [] },
      statement,
      withLegacy(own.signer),
      new Date(),
    );
    await expect(attaching).rejects.toMatchObject({ code: "legacy-tag-taken" });
    expect((await tagsOf(repository, image.digest))[0]).toBe(image.digest);
  });
});

describe("an attestation of cosign in its older form", () => {
  let key: string;
  beforeAll(async () => {
    await cosign("generate-key-pair", "--output-key-prefix", "theirs");
    const context = { ports: silentPorts(), env: { COSIGN_PASSWORD: password }, workingDirectory: directory };
    key = (await loadSigner({ key: "theirs.key" }, context)).publicKeyPem;
  });
  const attest = async (repository: Repository, image: Descriptor) => {
    const type = ["--type", predicateTypes.base, "--predicate", "predicate.json"];
    const flags = ["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false", "--yes"];
    await cosign("attest", "--key", "theirs.key", ...flags, ...type, nameOf(repository, image.digest));
    const tag = nameCosignTag(image.digest, attestationTag);
    const found = await registry.client.fetchManifest({ ...repository, tag });
    if (found.kind !== "image") throw new Error("no manifest");
    return { tag, manifest: found.manifest };
  };
  const collect = async (
    repository: Repository,
    digest: Digest,
    signers: object = { theirs: { kind: "legacy", publicKey: key } },
  ) => {
    const { statements, rejected } = await collectEvidence(registry.client, repository, digest, signers as never, {
      now: new Date(),
    });
    return {
      by: statements.map(({ signers: names, statement }) => [statement.predicateType, ...names]),
      why: rejected.map(({ reason }) => reason),
    };
  };

  test("is its signer's evidence where the policy says so, and nobody's else", async () => {
    const { repository, image } = await registry.newImage();
    await attest(repository, image);
    expect(await collect(repository, image.digest)).toEqual({ by: [[predicateTypes.base, "theirs"]], why: [] });
    expect(
      (await collect(repository, image.digest, { own: { kind: "legacy", publicKey: own.publicKeyPem } })).by,
    ).toEqual([]);
    // A signer whose word are bundles has said nothing.
    expect((await collect(repository, image.digest, { theirs: { publicKey: key } })).by).toEqual([]);
    expect(
      (await collect(repository, image.digest, { theirs: { kind: "legacy", publicKey: key, until: new Date(0) } })).by,
    ).toEqual([]);
  });

  test("of ours is read as well, and a bundle is not what such a signer makes", async () => {
    const { repository, image } = await registry.newImage();
    const statement = statementAbout(repository, [image.digest]);
    const target = { repository, image, children: [] };
    await attachStatement(registry.client, target, statement, own.signer, new Date());
    const signers = { own: { kind: "legacy", publicKey: own.publicKeyPem } };
    expect((await collect(repository, image.digest, signers)).by).toEqual([]);
    await attachStatement(registry.client, target, statement, withLegacy(own.signer), new Date());
    expect((await collect(repository, image.digest, signers)).by).toEqual([[predicateTypes.base, "own"]]);
  });

  type Layer = Descriptor & { annotations?: Record<string, string> };
  type Parts = { config: Descriptor; layers: Layer[]; annotations?: Record<string, string>; artifactType?: string };
  const json = async (
    repository: Repository,
    change: (value: Record<string, unknown>) => unknown,
    blob: Descriptor,
  ) => {
    const value = JSON.parse(Buffer.from(await registry.client.fetchBlob(repository, blob)).toString());
    const changed = change(value) ?? value;
    const bytes = typeof changed === "string" ? new TextEncoder().encode(changed) : encode(changed);
    return { ...blob, ...(await registry.pushBlob(repository, bytes, blob.mediaType)) };
  };
  type Change = (parts: Parts, repository: Repository) => Promise<void> | void;
  const envelope =
    (change: (value: Record<string, unknown>) => unknown): Change =>
    async ({ layers }, repository) => {
      const [first] = layers;
      if (first !== undefined) layers[0] = await json(repository, change, first);
    };
  type Value = Record<string, unknown>;
  const set =
    (name: string, value: unknown) =>
    (object: object): void => {
      Object.assign(object, { [name]: value });
    };
  const changeConfig =
    (name: string, value: unknown): Change =>
    async (parts, repository) =>
      set("config", await json(repository, set(name, value), parts.config))(parts);
  const lengthen = (value: Value): void => {
    const payload = Buffer.from(String(value["payload"]), "base64");
    set("payload", Buffer.from(`${payload} `).toString("base64"))(value);
  };

  test.each<[string, Change]>([
    ["another payload type", envelope(set("payloadType", "text/plain"))],
    ["a payload that was changed", envelope(lengthen)],
    ["no signature", envelope(set("signatures", []))],
    [
      "a bad signature beside the good one",
      envelope((value) => set("signatures", [...(value["signatures"] as unknown[]), { sig: "AAAA" }])(value)),
    ],
    ["something beside the envelope", envelope(set("more", "x"))],
    ["a key twice", envelope((value) => JSON.stringify(value).replace("{", '{"payloadType":"x",'))],
    [
      "a layer of another type",
      ({ layers }) => void layers.push({ ...(layers[0] as Layer), mediaType: mediaTypes.ociLayerTar }),
    ],
    ["an annotation of somebody's", ({ layers }) => set("run.me", "x")(layers[0]?.annotations ?? {})],
    ["an annotation on the whole", set("annotations", { "run.me": "x" })],
    ["the type of an artifact", set("artifactType", "application/x")],
    ["a config that can be run", changeConfig("config", { Entrypoint: ["/x"] })],
    ["a config of a platform", changeConfig("os", "linux")],
  ])("counts for nothing with %s, and as it was for what it is", async (_what, change) => {
    const { repository, image } = await registry.newImage();
    const { tag, manifest } = await attest(repository, image);
    const parts = structuredClone(manifest) as unknown as Parts;
    const push = (content: object) =>
      registry.client.pushManifest(repository, encode(content), mediaTypes.ociManifest, tag);
    await push(parts);
    expect((await collect(repository, image.digest)).by).toEqual([[predicateTypes.base, "theirs"]]);
    await change(parts, repository);
    await push(parts);
    const after = await collect(repository, image.digest);
    expect(after.by).toEqual([]);
    expect(after.why).toHaveLength(1);
  });

  test("of another image counts for nothing under this one's tag", async () => {
    const [one, two] = [await registry.newImage(), await registry.newImage("amd64")];
    const { manifest } = await attest(one.repository, one.image);
    const beside = await registry.newImage("arm64", one.repository);
    await registry.client.pushManifest(
      one.repository,
      encode(manifest),
      mediaTypes.ociManifest,
      nameCosignTag(beside.image.digest, attestationTag),
    );
    expect(await collect(one.repository, beside.image.digest)).toEqual({
      by: [],
      why: ["its statement is about another image"],
    });
    expect((await collect(one.repository, one.image.digest)).by).toHaveLength(1);
    expect(await collect(two.repository, two.image.digest)).toEqual({ by: [], why: [] });
  });
});
