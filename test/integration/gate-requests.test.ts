import { runGate } from "@goldenpath/core/gate/verify";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { pushIndex } from "@goldenpath/testing/chain";
import { connect, openStand, type Stand } from "@goldenpath/testing/promotion";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let stand: Stand;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand.close());

/** What the gate asked for, in this order, without what is in the way of it. */
async function asked(image: string): Promise<string[]> {
  const { requests } = stand.quarantine;
  const client = connect();
  try {
    const before = requests.length;
    await runGate(client, parseReference(image), "production", stand.policy, new Date());
    return requests.slice(before).map(({ path }) => path.replace("/v2/quarantine/shop", ""));
  } finally {
    await client.close();
  }
}

describe("the gate asks", () => {
  test("for an image by its digest together with what refers to it, and for each once", async () => {
    const image = await stand.stageImage();
    // Far enough away that what is asked at once is there before the first answer.
    stand.quarantine.settings.latency = 50;
    const paths = await asked(image.reference).finally(() => {
      stand.quarantine.settings.latency = 0;
    });
    expect(paths.slice(0, 2).toSorted()).toEqual([`/manifests/${image.digest}`, `/referrers/${image.digest}`]);
    expect(new Set(paths).size).toBe(paths.length);
    // The image, its config, its list, and six statements with their bundles.
    expect(paths).toHaveLength(3 + 6 * 2);
  });

  test("what a tag points at first", async () => {
    const { repository, digest } = await stand.stageImage({}, "tagged");
    const { bytes, mediaType } = await stand.client.fetchManifest({ ...repository, digest });
    await stand.client.pushManifest(repository, bytes, mediaType, "1.0.0");
    const [first, ...others] = await asked(`${stand.from}/shop:1.0.0`);
    expect(first).toBe("/manifests/1.0.0");
    expect(others).toContain(`/referrers/${digest}`);
  });

  test("about an index and each of its children, once", async () => {
    const index = await pushIndex(stand.client, `${stand.from}/shop`);
    const paths = await asked(index.reference);
    for (const { digest } of [index, ...index.children])
      expect(paths.filter((path) => path === `/referrers/${digest}`)).toHaveLength(1);
  });

  test("and an image that is not there is told as such, whatever refers to it", async () => {
    const image = await stand.stageImage({}, "gone");
    await stand.client.deleteManifest(image.repository, image.digest);
    await expect(asked(image.reference)).rejects.toMatchObject({ code: "image-not-found" });
  });
});
