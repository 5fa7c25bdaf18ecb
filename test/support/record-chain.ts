// Records a chain of evidence as the code of its day makes it: test/fixtures/recorded-chain was made by this, once, and
// is not made again.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { activatePolicy } from "@goldenpath/core/policy/activate";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { findPointerRepository, pointerTag } from "@goldenpath/core/policy/pointer";
import { createPointerReader } from "@goldenpath/core/promote/in-force";
import { preparePromotion } from "@goldenpath/core/promote/promote";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { attachEvidence, inRepository, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys } from "@goldenpath/testing/chain-keys";
import { writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { contextIn } from "@goldenpath/testing/promotion";
import {
  type RecordedManifest,
  recordedAt,
  recordedHost,
  recordedPolicyUri,
  relocate,
  writeLayout,
} from "./recorded-chain.ts";

const target = process.argv[2];
if (target === undefined) throw new Error("usage: record-chain.ts DIRECTORY");

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    super(...((given.length === 0 ? [recordedAt.getTime()] : given) as [number]));
  }
  static override now = (): number => recordedAt.getTime();
} as DateConstructor;

const server = await startRegistry();
const client = relocate(createRegistryClient({ ports: silentPorts(), env: {} }), server.host);
const directory = await mkdtemp(join(tmpdir(), "goldenpath-record-"));
try {
  const [from, to] = [`${recordedHost}/quarantine`, `${recordedHost}/vetted`];
  const keys = await makeKeys(directory);
  const { file } = await writeChainPolicy({
    directory,
    keys,
    from,
    to,
    remark: "The policy of a chain that was recorded.",
  });
  const text = `${await readFile(file, "utf8")}  running:
    from: ["${to}"]
    to: ["${to}"]
    promoter: promote
    requires:
      - { stage: promote, signers: [promote], environment: production }
      - { stage: scan, signers: [scan], maxAge: 7d }
`;
  const bytes = new TextEncoder().encode(text);
  const policy = { policy: parsePolicy(bytes, "policy.yaml"), uri: recordedPolicyUri, digest: digestOf(bytes), file };
  await writeFile(join(target, "policy.yaml"), bytes);
  await writeFile(join(target, "platform.pub"), keys.platform.publicKey);

  const pointer = findPointerRepository(parseRepository(`${to}/shop`));
  await activatePolicy(client, {
    next: policy,
    bytes,
    repository: pointer,
    signer: keys.platform.signer,
    isFirst: true,
    now: recordedAt,
  });
  const image = await pushIndex(client, `${from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  const { prepared } = await preparePromotion(
    client,
    {
      image: parseReference(image.reference),
      to: parseRepository(`${to}/shop`),
      tags: ["1.0.0"],
      environmentName: "production",
      policy,
      pointers: createPointerReader(client, policy, keys.platform.publicKey),
    },
    contextIn(directory, () => recordedAt),
  );
  await prepared?.execute(keys.promote.signer);
  const inForce = await client.fetchManifest({ ...pointer, tag: pointerTag });
  const artifact = await listTagged(client, pointer);
  await writeLayout(target, client, [
    ...(await listImage(client, image)),
    ...(await listImage(client, inRepository(image, `${to}/shop`), "1.0.0")),
    ...artifact.filter(({ tag }) => tag !== pointerTag),
    { repository: pointer, descriptor: { ...inForce, size: inForce.bytes.byteLength }, tag: pointerTag },
  ]);
} finally {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
}

/** What it needs before itself, and what refers to it after. */
async function listImage(
  from: RegistryClient,
  { repository, digest }: TestImage,
  tag?: string,
): Promise<RecordedManifest[]> {
  const root = await from.fetchManifest({ ...repository, digest });
  const children = root.kind === "index" ? root.manifest.manifests : [];
  const own = { mediaType: root.mediaType, digest, size: root.bytes.byteLength };
  const subjects = [...children, own];
  const referrers = (
    await Promise.all(subjects.map((subject) => from.listReferrers(repository, subject.digest)))
  ).flat();
  return [
    ...children.map((descriptor) => ({ repository, descriptor })),
    { repository, descriptor: own, ...(tag === undefined ? {} : { tag }) },
    ...referrers.map((descriptor) => ({ repository, descriptor })),
  ];
}

async function listTagged(from: RegistryClient, repository: Repository): Promise<RecordedManifest[]> {
  const tags = await from.listTags(repository);
  return Promise.all(
    tags.map(async (tag) => {
      const { mediaType, digest, bytes } = await from.fetchManifest({ ...repository, tag });
      return { repository, descriptor: { mediaType, digest, size: bytes.byteLength }, tag };
    }),
  );
}
