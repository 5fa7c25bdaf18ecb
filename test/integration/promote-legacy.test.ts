import { attachStatement } from "@goldenpath/core/signing/attach";
import { attestationTag, nameCosignTag } from "@goldenpath/core/signing/cosign-tags";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { withLegacy } from "@goldenpath/core/signing/schemes/key/sign";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { openStand, type Stand } from "@goldenpath/testing/promotion";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { afterEach, expect, test } from "vitest";

// Evidence of a signer of kind legacy, under cosign's tag, where promote itself speaks in that form as well.

let stand: Stand;
let pipeline: StageKey;
let policy: ChainPolicy;
let image: TestImage;
afterEach(() => stand?.close());

async function open(apart: boolean): Promise<void> {
  stand = await openStand({ apart });
  const { client, directory, keys, from, to } = stand;
  pipeline = await makeKey();
  const signers = renderSigners({ pipeline: pipeline.publicKeyPem }).replace(
    "pipeline:\n",
    "pipeline:\n    kind: legacy\n",
  );
  policy = await writeChainPolicy({ directory, keys, from, to, serial: 6, signers });
  await putInForce(client, to, policy, { keys });
  image = await pushImage(client, `${from}/shop`);
  await attachEvidence({ client, image, policy, keys });
}

async function state(said: string): Promise<void> {
  const subjects = buildSubjects(image.repository, [image.digest]);
  const statement = buildStatement(subjects, predicateTypes.base, { said });
  const target = { repository: image.repository, image: image.image, children: [] };
  await attachStatement(stand.client, target, statement, withLegacy(pipeline.signer), new Date());
}

const tag = (): string => nameCosignTag(image.digest, attestationTag);
async function listThere(): Promise<(string | undefined)[]> {
  const found = await stand.client.fetchManifest({ ...parseRepository(`${stand.to}/shop`), tag: tag() });
  return found.kind === "image" ? found.manifest.layers.map(({ annotations }) => annotations?.["predicateType"]) : [];
}
const promote = async () => {
  stand.vetted.requests.length = 0;
  const { outcome } = await stand.promote(image, { policy: policy.file, legacy: "true" });
  return outcome.result.error ?? outcome.verdict;
};

test.each([
  ["within one registry", false],
  ["between two", true],
])("what it states later goes along as well, %s", async (_where, apart) => {
  await open(apart);
  await state("first");
  expect(await promote()).toBe("pass");
  const { base, verificationSummary } = predicateTypes;
  expect(await listThere()).toEqual([base, verificationSummary]);
  expect(await promote()).toBe("pass");
  expect(stand.vettedWrites()).toEqual([]);
  await state("second");
  expect(await promote()).toBe("pass");
  expect(await listThere()).toEqual([base, verificationSummary, base]);
  expect(await promote()).toBe("pass");
  expect(stand.vettedWrites()).toEqual([]);
});

test("and where something else is under the tag, that stays, and nothing is promoted", async () => {
  await open(false);
  await state("first");
  const { mediaType } = image.image;
  const there = parseRepository(`${stand.to}/shop`);
  const { client } = stand;
  await client.pushManifest(there, (await client.fetchManifest({ ...there, tag: "0.9.0" })).bytes, mediaType, tag());
  const before = await client.resolve({ ...there, tag: tag() });
  expect(await promote()).toMatchObject({ code: "destination-differs" });
  expect(await client.resolve({ ...there, tag: tag() })).toBe(before);
});
