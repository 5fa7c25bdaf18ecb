import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

/** `goldenpath base of`: what images stand on, by their layers, and in how many requests. */

let stand: LayerStand;
let policy: string;
const layer = (text: string): TestLayer => gzipLayer(tarOf({ name: `srv/${text}`, content: text }));
const [v1, v2, over, app] = ["run 1", "run 2", "over", "app"].map(layer) as [
  TestLayer,
  TestLayer,
  TestLayer,
  TestLayer,
];

beforeAll(async () => {
  stand = await startLayerStand();
  const digests = [];
  for (const version of [v1, v2]) digests.push((await stand.push([version], "bases/run")).split("@")[1]);
  const [, ended] = (await stand.push([over], "bases/over")).split("@");
  policy = join(stand.directory, "bases.yaml");
  await writeFile(
    policy,
    `version: 1\nname: acme\nserial: 1\nbases:\n  - { name: run, image: "${stand.server.host}/bases/run", digests: ${JSON.stringify(digests)} }\n  - { name: over, image: "${stand.server.host}/bases/over", digests: ["${ended}"], until: 2020-01-01 }\n`,
  );
});
afterAll(() => stand.stop());
beforeEach(() => {
  stand.server.requests.length = 0;
});

async function of(...args: string[]) {
  const { code, out } = await runMain("base", "of", ...args, "--policy", policy, "--json");
  return { code, ...(JSON.parse(out) as { images: Record<string, unknown>[]; unread: { asked: string }[] }) };
}

describe("what an image stands on", () => {
  test("none, an ended one, an older and the newest version are told apart", async () => {
    const images = [];
    for (const layers of [[app], [over, app], [v1, app], [v2, app]]) images.push(await stand.push(layers, "vetted/a"));
    const { code, images: found } = await of(...images);
    expect(code).toBe(1);
    expect(found.map(({ standing, versionsBehind }) => [standing, versionsBehind])).toEqual([
      ["none", undefined],
      ["expired", undefined],
      ["behind", 1],
      ["current", undefined],
    ]);
    expect((await of(images[3] as string)).code).toBe(0);
    expect((await of(images[2] as string)).code).toBe(0);
  });

  test("a config that describes a base's layers over others is false", async () => {
    const image = await stand.push([{ ...layer("other"), diffId: v2.diffId }, app], "vetted/lie");
    const { code, images } = await of(image);
    expect({ code, standing: images[0]?.["standing"] }).toEqual({ code: 1, standing: "false" });
  });

  test("what can't be looked at is listed, and the rest is too", async () => {
    const good = await stand.push([v2, app], "vetted/a");
    const { code, images, unread } = await of(`${stand.server.host}/vetted/a:missing`, good);
    expect(code).toBe(2);
    expect(unread.map(({ asked }) => asked)).toEqual([`${stand.server.host}/vetted/a:missing`]);
    expect(images.map(({ standing }) => standing)).toEqual(["current"]);
  });

  test("one whose layer can't be read is listed, and the rest is too", async () => {
    const good = await stand.push([v2, app], "vetted/a");
    // Of other bytes than the base's, so that its content has to be looked at.
    const gone = { ...v2, bytes: Buffer.from("recompressed") };
    const { code, images, unread } = await of(await stand.push([gone, app], "vetted/gone"), good);
    expect({ code, unread: unread.length }).toEqual({ code: 2, unread: 1 });
    expect(images.map(({ standing }) => standing)).toEqual(["current"]);
  });

  test("a repository without images is an error", async () => {
    const { code, err } = await runMain("base", "of", `${stand.server.host}/vetted/none`, "--policy", policy);
    expect(code).toBe(2);
    expect(err).toMatch(/vetted\/none/);
  });

  test("a repository is all images of its tags, and no evidence", async () => {
    const { client, server } = stand;
    const [, digest = ""] = (await stand.push([v2, app], "vetted/tags")).split("@");
    const repository = { registry: server.host, name: "vetted/tags" };
    const { bytes, mediaType } = await client.fetchManifest({ ...repository, digest: digest as never });
    for (const tag of ["b", "a"]) await client.pushManifest(repository, bytes, mediaType, tag);
    const layer = Buffer.from("{}");
    const descriptor = { mediaType: "application/vnd.dsse.envelope.v1+json", digest: digestOf(layer), size: 2 };
    await client.pushBlob(repository, descriptor, () => layer);
    const config = { ...descriptor, mediaType: "application/vnd.oci.image.config.v1+json" };
    const evidence = { schemaVersion: 2, mediaType, config, layers: [descriptor] };
    const tag = `${digest.replace(":", "-")}.att`;
    await client.pushManifest(repository, Buffer.from(JSON.stringify(evidence)), mediaType, tag);
    const { images } = await of(`${server.host}/vetted/tags`);
    expect(images.map(({ asked }) => asked)).toEqual([`${server.host}/vetted/tags:a@${digest}`]);
  });

  test("40 images take two requests each, and none for a layer", async () => {
    const images = [];
    for (let index = 0; index < 40; index += 1)
      images.push(await stand.push([v2, layer(`app ${index}`)], "vetted/many"));
    stand.server.requests.length = 0;
    const { code } = await of(...images);
    expect(code).toBe(0);
    const asked = stand.server.requests.filter(({ path }) => path.includes("/vetted/many/"));
    expect(asked).toHaveLength(80);
  });
});
