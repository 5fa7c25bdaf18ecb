import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { buildReferrer, encodeText } from "@goldenpath/registry-client/testing";
import { promoteWhole } from "@goldenpath/testing/promotion";
import { describe, expect, test } from "vitest";
import {
  attach,
  attachAsCosign,
  attachLayer,
  listedThere,
  notation,
  openReferrerStand,
  plain,
  promoteBeside,
  stand,
  stands,
  useReferrerStand,
  vetted,
} from "../support/referrer-stand.ts";

useReferrerStand();

test("a quarantine that can't be asked what refers to a statement is an error, and nothing is written", async () => {
  await openReferrerStand();
  const image = await stand.stageImage();
  const [statement] = await stand.client.listReferrers(image.repository, image.digest);
  stand.quarantine.faults = [
    { path: `/quarantine/shop/referrers/${statement?.digest}`, action: { kind: "status", status: 403 } },
  ];
  stand.vetted.requests.length = 0;
  expect((await stand.promote(image)).outcome.result.error?.code).toBe("registry-unauthorized");
  expect(stand.vettedWrites()).toEqual([]);
});

test.each([
  ["with `referrers: signed`", "signed"],
  ["without a word about referrers", "unsaid"],
] as const)("%s nothing goes along but the evidence, and nothing else is asked for", async (_what, carry) => {
  await openReferrerStand({ carry });
  const image = await stand.stageImage();
  const signature = await attach(image, image.image);
  await attachAsCosign(image, "sig");
  stand.quarantine.requests.length = 0;
  await promoteBeside(image);
  const { manifests, tags } = await vetted();
  expect(manifests).not.toContain(signature.digest);
  expect(Object.keys(tags)).toEqual(["0.9.0", "1.0.0"]);
  const asked = stand.quarantine.requests.filter(({ path }) =>
    /^\/v2\/quarantine\/.*\/(?:referrers|tags)\//.test(path),
  );
  expect(asked.map(({ path }) => path)).toEqual([`/v2/quarantine/shop/referrers/${image.digest}`]);
});

describe.each(stands)("%s", (_where, options) => {
  test("signatures of others, on the image, on a statement, and on a signature, arrive after what they are about", async () => {
    await openReferrerStand(options);
    const image = await stand.stageImage();
    const [statement] = await stand.client.listReferrers(image.repository, image.digest);
    if (statement === undefined) throw new TypeError("no statement");
    const onImage = await attach(image, image.image);
    const onStatement = await attach(image, statement);
    const onSignature = await attach(image, onStatement);
    const deeper = await attach(image, onSignature);
    const tooDeep = await attach(image, deeper);
    const { referrer: byOthers } = await attachStatement(
      stand.client,
      image,
      buildStatement(buildSubjects(image.repository, [image.digest]), predicateTypes.vulnerabilities, { scanner: {} }),
      stand.keys.stranger.signer,
      new Date(),
    );
    stand.vetted.requests.length = 0;
    expect((await promoteBeside(image)).size).toBe(0);
    const puts = stand
      .vettedWrites()
      .filter(({ method, path }) => method === "PUT" && path.includes("/manifests/"))
      .map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
    const order = [image.digest, statement.digest, onStatement.digest, onSignature.digest, deeper.digest].map(
      (digest) => puts.indexOf(digest),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order[0]).toBeGreaterThanOrEqual(0);
    expect(puts).not.toContain(tooDeep.digest);
    expect(puts.at(-1)).toBe("1.0.0");
    expect(await listedThere(image.digest)).toEqual(expect.arrayContaining([onImage.digest, byOthers.digest]));
    expect(await listedThere(statement.digest)).toEqual([onStatement.digest]);
    expect(await listedThere(onStatement.digest)).toEqual([onSignature.digest]);

    stand.vetted.requests.length = 0;
    await promoteBeside(image);
    expect(stand.vettedWrites()).toEqual([]);
    // One that came later is brought, and nothing else.
    const late = await attach(image, onSignature, notation, "late");
    await promoteBeside(image);
    expect(await listedThere(onSignature.digest)).toEqual(expect.arrayContaining([deeper.digest, late.digest]));
    const sent = stand.vettedWrites().filter(({ method, path }) => method === "PUT" && /manifests\/sha256:/.test(path));
    expect(sent.map(({ path }) => path.slice(path.lastIndexOf("/") + 1))).toEqual([late.digest]);
  });

  test("what cosign attached under tags arrives under the same", async () => {
    await openReferrerStand(options);
    const image = await stand.stageImage();
    const signature = await attachAsCosign(image, "sig");
    const attestation = await attachAsCosign(image, "att", encodeText('{"payloadType":"x"}'));
    expect((await promoteBeside(image)).size).toBe(0);
    expect((await vetted()).tags).toMatchObject({
      [`${fallbackTag(image.digest)}.sig`]: signature,
      [`${fallbackTag(image.digest)}.att`]: attestation,
    });
    stand.vetted.requests.length = 0;
    await promoteBeside(image);
    expect(stand.vettedWrites()).toEqual([]);
  });
});

test("what is listed at the destination already is set under cosign's tag as well", async () => {
  await openReferrerStand();
  const image = await stand.stageImage();
  const tag = `${fallbackTag(image.digest)}.sbom`;
  const { bytes, descriptor } = buildReferrer(plain(image.image), "application/x.both");
  const at = async (...target: [] | [string]): Promise<Digest> =>
    stand.client.pushManifest(image.repository, bytes, mediaTypes.ociManifest, ...target);
  await attach(image, image.image);
  await at();
  await promoteBeside(image);
  await at(tag);
  await promoteBeside(image);
  expect((await vetted()).tags).toHaveProperty([tag], descriptor.digest);
  expect(await listedThere(image.digest)).toContain(descriptor.digest);
  stand.vetted.requests.length = 0;
  await promoteBeside(image);
  expect(stand.vettedWrites()).toEqual([]);
});

test("a layer of an artifact that calls itself foreign and has addresses is copied: only an image's is in no registry", async () => {
  await openReferrerStand({ apart: true });
  const image = await stand.stageImage();
  const described = { mediaType: "application/x.foreign.y", urls: ["https://example.org/layer"] };
  const { digest, layer } = await attachLayer(image, "somewhere else", described);
  expect([...(await promoteBeside(image)).keys()]).toEqual([]);
  const { manifests, blobs } = await vetted();
  expect(manifests).toContain(digest);
  expect(blobs).toContain(layer);
});

test("an account that may pull and not list tags finds what cosign attached all the same", async () => {
  await openReferrerStand();
  const image = await stand.stageImage();
  const signature = await attachAsCosign(image, "sig");
  stand.quarantine.faults = [{ path: "/quarantine/shop/tags/list", action: { kind: "status", status: 403 } }];
  await promoteBeside(image);
  expect((await vetted()).tags[`${fallbackTag(image.digest)}.sig`]).toBe(signature);
});

test("the evidence alone makes a whole promotion", async () => {
  await openReferrerStand({ carry: "signed" });
  await promoteWhole(stand, await stand.stageImage());
});
