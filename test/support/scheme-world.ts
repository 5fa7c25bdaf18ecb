import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { KeySigner } from "@goldenpath/core/signing/schemes/key/sign";
import type { Signer } from "@goldenpath/core/signing/types";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, describeTarget, type Piece, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, putInForce } from "@goldenpath/testing/chain-policy";
import { renderSigners } from "@goldenpath/testing/signers";
import { pushTinyImage, pushTinyIndex, type TinyLayer, tinyLayer } from "@goldenpath/testing/tiny-image";
import { createDetachedSigner } from "./detached-scheme.ts";

/** Who signs apart from the statement; the scan's signer has a key as ever. */
const guests = ["build", "base", "promote", "second", "stranger"] as const;
export type Guest = (typeof guests)[number];
export interface DetachedKey {
  file: string;
  ed25519: string;
  signer: Signer;
}

export type SchemeOutcome = VerbOutcome & { file: string };

/**
 * A registry, a golden base in it, and a policy whose stages sign with the scheme of detached-scheme.ts, but for the
 * scan. The tables have to have that scheme.
 */
export interface SchemeWorld {
  server: RegistryServer;
  client: RegistryClient;
  keys: TestKeys;
  detachedKeys: Readonly<Record<Guest, DetachedKey>>;
  policyText: string;
  policy: ChainPolicy;
  writePolicy(text: string): Promise<ChainPolicy>;
  /** To quarantine, for two platforms, on the base. */
  pushBoth(content: string): Promise<TestImage>;
  /**
   * What is not tried out, by the code that the verbs use: the build's word by the guest, and the scan's by its key.
   */
  attachOthers(image: TestImage, age?: number): Promise<void>;
  run(verb: unknown, inputs: Readonly<Record<string, string>>): Promise<SchemeOutcome>;
  close(): Promise<void>;
}

/** `change`: makes another policy of the world's. */
export async function openSchemeWorld(change: (policy: string) => string = (policy) => policy): Promise<SchemeWorld> {
  const root = await mkdtemp(join(tmpdir(), "goldenpath-scheme-"));
  const keys = await makeKeys(root);
  const made = await Promise.all(guests.map(async (name) => [name, await makeDetachedKey(root, name)] as const));
  const detachedKeys = Object.fromEntries(made) as Record<Guest, DetachedKey>;
  const server = await startRegistry();
  const client = createRegistryClient({ ports: silentPorts(), env: {}, attempts: 1 });
  const base = await tinyLayer({ "etc/os-release": "ID=golden\n" });
  const bases = { registry: server.host, name: "bases/golden" };
  const golden = [
    await pushTinyImage(client, bases, [base]),
    await pushTinyImage(client, bases, [base], { architecture: "arm64" }),
  ];
  const policyText = change(renderPolicy(server.host, keys, detachedKeys, await pushTinyIndex(client, bases, golden)));
  let counter = 0;
  const writePolicy = async (text: string): Promise<ChainPolicy> => {
    const file = join(root, `policy-${++counter}.yaml`);
    await writeFile(file, text);
    return { policy: parsePolicy(Buffer.from(text), file), uri: file, digest: digestOf(text), file };
  };
  const policy = await writePolicy(policyText);
  await putInForce(client, `${server.host}/vetted`, policy, { keys });
  return {
    server,
    client,
    keys,
    detachedKeys,
    policyText,
    policy,
    writePolicy,
    pushBoth: (content) => pushBoth(client, { registry: server.host, name: "quarantine/shop" }, base, content),
    async attachOthers(image, age = 60_000) {
      const own = { ...keys, build: { ...keys.build, signer: detachedKeys.build.signer as KeySigner } };
      const pieces: readonly Piece[] = ["provenance", "sbom", "scan", "scanVerdict"];
      await attachEvidence({ client, image, policy, keys: own, pieces, falsehoods: { provenance: { age } } });
    },
    async run(verb, inputs) {
      const { outcome, resultFile } = await executeVerb(
        verb as Verb,
        { policy: policy.file, ...inputs },
        {
          ports: silentPorts(),
          run: { builderId: "local" },
          workingDirectory: root,
          temporaryRoot: join(root, "tmp"),
          defaultResultDirectory: join(root, `results-${++counter}`),
          env: {},
          signal: new AbortController().signal,
        },
      );
      return { ...outcome, file: resultFile };
    },
    async close() {
      await client.close();
      await server.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function pushBoth(
  client: RegistryClient,
  repository: Repository,
  base: TinyLayer,
  content: string,
): Promise<TestImage> {
  const children = [];
  for (const architecture of ["amd64", "arm64"]) {
    children.push(
      await pushTinyImage(client, repository, [base, await tinyLayer({ "app/index.js": content })], { architecture }),
    );
  }
  const digest = await pushTinyIndex(client, repository, children);
  const size = (await client.fetchManifest({ ...repository, digest })).bytes.byteLength;
  return describeTarget(repository, { mediaType: mediaTypes.ociIndex, digest, size }, children);
}

async function makeDetachedKey(root: string, name: Guest): Promise<DetachedKey> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const file = join(root, `${name}.ed25519`);
  await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return { file, ed25519: encodeKey(publicKey), signer: createDetachedSigner(privateKey) };
}
const encodeKey = (key: KeyObject): string => key.export({ type: "spki", format: "der" }).toString("base64");

function renderPolicy(
  host: string,
  keys: TestKeys,
  detachedKeys: Readonly<Record<Guest, DetachedKey>>,
  golden: Digest,
): string {
  const detached = (["build", "base", "promote", "second"] as const).map(
    (name) => `  ${name}: { kind: detached, ed25519: "${detachedKeys[name].ed25519}" }\n`,
  );
  const pinned = `${host}/buildpacks/node@${digestOf("buildpack")}`;
  return `version: 1
name: acme
serial: 7
signers:
${renderSigners({ scan: keys.scan.publicKey })}${detached.join("")}bases:
  - { name: golden, image: ${host}/bases/golden, digests: ["${golden}"] }
build:
  strategies: [buildpacks]
  isolation: [host]
  sources: ["https://github.com/acme/*"]
  builders: [{ name: node, buildpacks: ["${pinned}"], runImage: golden }]
scan: { failOn: high }
environments:
  production:
    from: ["${host}/quarantine"]
    to: ["${host}/vetted"]
    promoter: promote
    referrers: signed
    requires:
      - { stage: build, signers: [build], maxAge: 1d }
      - { stage: base, signers: [base], maxAge: 1d }
      - { stage: scan, signers: [scan], maxAge: 1d }
  staging:
    from: ["${host}/quarantine"]
    to: ["${host}/vetted"]
    promoter: promote
    referrers: all
    requires: [{ stage: base, signers: [base] }]
  running:
    from: ["${host}/vetted"]
    to: ["${host}/vetted"]
    promoter: promote
    requires: [{ stage: promote, signers: [promote], environment: production }]
`;
}
