import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findOrigin, type OriginRule } from "@goldenpath/core/origin/judge-origin";
import { slsaGeneratorType } from "@goldenpath/core/origin/read-slsa-v02";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { attestationTag, nameCosignTag } from "@goldenpath/core/signing/cosign-tags";
import { checkByHand } from "@goldenpath/core/signing/schemes/find";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const tools = useTools("cosign");

// Provenance that slsa-github-generator signed for a public repository: vectors/README.md says whose it is. It lies in a
// registry as cosign left it, under a tag. The image itself is not there: nothing of it is asked for.

interface Vector {
  image: Digest;
  manifest: string;
  config: string;
  envelope: string;
}
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, "vectors/slsa-github-generator.json"), "utf8"),
) as Readonly<Record<"v2.1.0" | "v1.10.0", Vector>>;
const seeds = JSON.parse(readFileSync(createRequire(import.meta.url).resolve("@sigstore/tuf/seeds.json"), "utf8"));
const publicRoot = JSON.stringify(
  JSON.parse(Buffer.from(seeds["https://tuf-repo-cdn.sigstore.dev"].targets["trusted_root.json"], "base64").toString()),
);

let registry: RegistryServer;
let client: RegistryClient;
beforeAll(async () => {
  registry = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
});
afterAll(async () => {
  await client?.close();
  await registry?.close();
});

const workflow =
  "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml";
const signer = {
  kind: "legacy-keyless",
  workflow,
  at: "refs/tags/v2.1.0",
  ownerId: "80431187",
  repositories: "https://github.com/slsa-framework/example-package",
  refs: "refs/heads/main",
};

/** What the vector counts for under a policy whose one signer is such a workflow. */
async function collect(vector: Vector, change: Partial<typeof signer> = {}, about = vector.image, more = "") {
  const { kind, at, ownerId, repositories, refs, workflow: file } = { ...signer, ...change };
  const text = `version: 1
name: acme
serial: 1
sigstore:
  public: { trustedRoot: '${publicRoot}' }
signers:
  generator:
    kind: ${kind}
    sigstore: public
    workflow: ${file}
    at: ["${at}"]
    ownerId: "${ownerId}"
    repositories: ["${repositories}"]
    refs: ["${refs}"]
${more}`;
  const repository = { registry: registry.host, name: `shop-${Math.random().toString(36).slice(2)}` };
  const { config, layers } = JSON.parse(vector.manifest);
  await client.pushBlob(repository, config, () => Buffer.from(vector.config));
  await client.pushBlob(repository, layers[0], () => Buffer.from(vector.envelope));
  const tag = nameCosignTag(about, attestationTag);
  await client.pushManifest(repository, Buffer.from(vector.manifest), mediaTypes.ociManifest, tag);
  const { signers } = parsePolicy(Buffer.from(text), "policy.yaml");
  const evidence = await collectEvidence(client, repository, about, signers, { now: new Date() });
  return { repository, evidence, signers };
}

const real = vectors["v2.1.0"];

/** With something else in its layer's annotations. */
function annotate(vector: Vector, change: (annotations: Record<string, string>) => Record<string, string>): Vector {
  const manifest = JSON.parse(vector.manifest);
  const [layer] = manifest.layers;
  return {
    ...vector,
    manifest: JSON.stringify({ ...manifest, layers: [{ ...layer, annotations: change(layer.annotations) }] }),
  };
}
const annotationsOf = (vector: Vector): Record<string, string> => JSON.parse(vector.manifest).layers[0].annotations;
const names = {
  entry: "dev.sigstore.cosign/bundle",
  certificate: "dev.sigstore.cosign/certificate",
} as const;

describe("slsa-github-generator's provenance of an image", () => {
  test.each<[string, Partial<typeof signer>, RegExp]>([
    ["another version of it", { at: "refs/tags/v2.0.0" }, /the workflow was .*v2\.1\.0, .*refs\/tags\/v2\.0\.0 counts/],
    ["another file", { workflow: workflow.replace("container", "generic") }, /not by a version of/],
    ["another owner", { ownerId: "1" }, /owner with the ID 80431187, and not 1/],
    ["other repositories", { repositories: "https://github.com/acme/*" }, /it ran for .*example-package, and not for/],
    ["another branch", { refs: "refs/heads/next" }, /it ran on refs\/heads\/main, and not on/],
  ])("counts for nothing where the policy names %s", async (_what, change, says) => {
    const { evidence } = await collect(real, change);
    expect(evidence.statements).toEqual([]);
    expect(evidence.rejected).toMatchObject([{ reason: expect.stringMatching(says) }]);
  });

  test.each<[string, () => Vector, RegExp]>([
    [
      "another time of the log",
      () =>
        annotate(real, (all) => ({
          ...all,
          [names.entry]: (all[names.entry] ?? "").replace('"integratedTime":1740520687', '"integratedTime":1740520688'),
        })),
      /does not hold/,
    ],
    [
      "another image's entry of the log",
      () => annotate(real, (all) => ({ ...all, [names.entry]: annotationsOf(vectors["v1.10.0"])[names.entry] ?? "" })),
      /does not hold/,
    ],
    [
      "another image's certificate",
      () =>
        annotate(real, (all) => ({
          ...all,
          [names.certificate]: annotationsOf(vectors["v1.10.0"])[names.certificate] ?? "",
        })),
      /does not hold/,
    ],
    [
      "a second certificate behind the first",
      () =>
        annotate(real, (all) => ({
          ...all,
          [names.certificate]: `${all[names.certificate]}${annotationsOf(vectors["v1.10.0"])[names.certificate]}`,
        })),
      /it has no certificate/,
    ],
    [
      "no entry of a log",
      () => annotate(real, ({ [names.entry]: _entry, ...all }) => all),
      /does not hold|verified time|log/,
    ],
    ["an entry with more in it", () => annotate(real, (all) => ({ ...all, [names.entry]: '{"a":1}' })), /malformed/],
    ["no certificate", () => annotate(real, ({ [names.certificate]: _certificate, ...all }) => all), /no certificate/],
    ["an annotation of nobody's", () => annotate(real, (all) => ({ ...all, "x.example/more": "1" })), /annotations/],
    [
      "another payload",
      () => {
        const envelope = JSON.parse(real.envelope);
        const payload = Buffer.from(envelope.payload, "base64")
          .toString()
          .replace('"github_event_name":"workflow', '"github_event_name":"pull');
        const text = JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString("base64") });
        const manifest = JSON.parse(real.manifest);
        const layer = { ...manifest.layers[0], digest: digestOf(Buffer.from(text)), size: Buffer.byteLength(text) };
        return { ...real, envelope: text, manifest: JSON.stringify({ ...manifest, layers: [layer] }) };
      },
      /does not hold/,
    ],
  ])("counts for nothing with %s", async (_what, spoil, says) => {
    const { evidence } = await collect(spoil());
    expect(evidence.statements).toEqual([]);
    expect(evidence.rejected).toMatchObject([{ reason: expect.stringMatching(says) }]);
  });

  test("is checked by cosign with the command that an export gives, without a registry, and for no other image", async () => {
    const { evidence, signers } = await collect(real);
    const [statement] = evidence.statements;
    if (statement === undefined) throw new Error("it is not verified");
    const check = (subject = real.image) =>
      checkByHand(signers, {
        ...{ signer: "generator", file: "evidence/01.json", image: "image/manifest.json" },
        ...{ bytes: Buffer.from(real.envelope), subject },
        ...{ predicateType: statement.statement.predicateType, annotations: annotationsOf(real) },
      });
    const folder = await mkdtemp(join(tmpdir(), "goldenpath-by-hand-"));
    try {
      for (const [name, content] of Object.entries(check()?.files ?? {})) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), content);
      }
      // Nothing leads out of this machine.
      const env = { HOME: folder, HTTPS_PROXY: "http://127.0.0.1:1" };
      const run = async (subject = real.image) => {
        const { exitCode, stderr } = await runProcess(tools.cosign, check(subject)?.argv.slice(1) ?? [], {
          env,
          cwd: folder,
        });
        return { exitCode, stderr };
      };
      expect(await run(vectors["v1.10.0"].image)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/digest/),
      });
      expect(await run()).toMatchObject({ exitCode: 0 });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("counts for nothing under another image's tag", async () => {
    const { evidence } = await collect(real, {}, vectors["v1.10.0"].image);
    expect(evidence.statements).toEqual([]);
    expect(evidence.rejected).toHaveLength(1);
  });

  test("keeps its certificate and its time beside a signer whose keys read the same tag", async () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString().trim().replaceAll(/^/gm, "      ");
    const other = `  other:\n    kind: legacy\n    publicKey: |\n${pem}\n`;
    const alone = await collect(real);
    const beside = await collect(real, {}, real.image, other);
    expect(beside.evidence).toEqual(alone.evidence);
    expect(alone.evidence.statements).toMatchObject([
      { identity: { sourceRef: "refs/heads/main" }, time: expect.any(Date) },
    ]);
  });

  test("keeps them where the same envelope is listed twice, first without what proves it", async () => {
    const alone = await collect(real);
    const manifest = JSON.parse(real.manifest);
    const [layer] = manifest.layers;
    const { [names.certificate]: _certificate, ...bare } = layer.annotations;
    for (const layers of [
      [{ ...layer, annotations: bare }, layer],
      [layer, { ...layer, annotations: bare }],
      [{ ...layer, annotations: {} }, layer, layer],
    ]) {
      const { evidence } = await collect({ ...real, manifest: JSON.stringify({ ...manifest, layers }) });
      const [{ identity, time, signers } = {}, ...others] = evidence.statements;
      expect(others).toEqual([]);
      expect({ identity, time, signers }).toEqual({
        identity: alone.evidence.statements[0]?.identity,
        time: alone.evidence.statements[0]?.time,
        signers: ["generator"],
      });
      expect(identity).toBeDefined();
    }
  });

  test("is not read as a bundle's signer's", async () => {
    const { evidence } = await collect(real, { kind: "keyless" });
    expect(evidence.statements).toEqual([]);
  });

  test.each([
    {
      vector: vectors["v2.1.0"],
      rule: {},
      source: {
        version: "4d329c75e7ec1725f7c9ce917a8799d408d06be3",
        ref: "refs/heads/main",
        event: "workflow_dispatch",
      },
    },
    {
      vector: vectors["v1.10.0"],
      rule: { at: "refs/tags/v1.10.0", refs: "refs/tags/*" },
      source: { version: "d37a7f740ee7404914456f24dcd90e865a0509e8", ref: "refs/tags/v13.0.30", event: "push" },
    },
  ])("says where the image is from: $source.ref", async ({ vector, rule, source }) => {
    const { repository, evidence } = await collect(vector, rule);
    expect(evidence.rejected).toEqual([]);
    const view = { repository, digest: vector.image, children: [], statements: evidence.statements, now: new Date() };
    const builder = (builders: string[]): OriginRule[] => [
      { name: "generator", provenance: { signers: ["generator"], builders, buildTypes: [slsaGeneratorType] } },
    ];
    expect(findOrigin(view, builder([`${workflow}@refs/tags/v0.0.1`]))).toHaveProperty("objections");
    expect(findOrigin(view, builder([`${workflow}@refs/tags/*`]))).toMatchObject({
      source: { repository: "https://github.com/slsa-framework/example-package", ...source },
      builders: ["generator"],
    });
  });
});
