import { attachEvidence, inRepository, pushImage } from "@goldenpath/testing/chain";
import { promotionsAmong, readStatements } from "@goldenpath/testing/promotion";
import { describe, expect, test } from "vitest";
import { counter, day, fresh, nextImages, stand, useRefusals } from "../support/refused-promotion.ts";

useRefusals();

describe("a tag that somebody moves while the promotion runs", () => {
  /** What another one puts there meanwhile; returns its digest. */
  async function moveTag(tag: string): Promise<string> {
    return (await pushImage(stand.client, `${stand.to}/shop`, `somebody else's ${counter}`, tag)).digest;
  }
  // Of what somebody else put there nothing is signed, so that its age is unknown.
  const tagOf = async (tag: string): Promise<string | undefined> =>
    (await stand.vettedState())["vetted/shop"]?.tags[tag];

  test("a new tag is left to the one who set it", async () => {
    const { prepared } = await stand.prepare(await fresh(), { tags: ["new"] });
    const theirs = await moveTag("new");
    await expect(prepared?.execute(stand.keys.promote.signer)).rejects.toThrow(
      expect.objectContaining({ code: "tag-moved" }),
    );
    expect(await tagOf("new")).toBe(theirs);
  });

  test("a tag that was to move is left where it was put, and none of the others is set", async () => {
    await moveTag("latest");
    const { prepared } = await stand.prepare(await fresh(), { tags: ["first", "latest"], allowTagRollback: true });
    nextImages();
    const theirs = await moveTag("latest");
    await expect(prepared?.execute(stand.keys.promote.signer)).rejects.toThrow(
      expect.objectContaining({ code: "tag-moved" }),
    );
    expect(await tagOf("latest")).toBe(theirs);
    expect(await tagOf("first")).toBeUndefined();
  });

  test("a tag that is gone is not set again", async () => {
    await moveTag("gone");
    const { prepared } = await stand.prepare(await fresh(), { tags: ["gone"], allowTagRollback: true });
    await fetch(`${stand.vetted.url}/v2/vetted/shop/manifests/gone`, { method: "DELETE" });
    await expect(prepared?.execute(stand.keys.promote.signer)).rejects.toThrow(
      expect.objectContaining({ code: "tag-moved" }),
    );
    expect(await tagOf("gone")).toBeUndefined();
  });

  test("a tag that another run of the same promotion has set is as it should be", async () => {
    const image = await fresh();
    const { prepared } = await stand.prepare(image, { tags: ["same"] });
    const other = await stand.prepare(image, { tags: ["same"] });
    await other.prepared?.execute(stand.keys.promote.signer);
    await prepared?.execute(stand.keys.promote.signer);
    expect(await tagOf("same")).toBe(image.digest);
  });
});

describe("a destination that says otherwise than the source", () => {
  test("it does not list what was copied to it: nothing is signed, and no tag is set", async () => {
    // From this one the client knows that the repository keeps referrers, and takes its word for the next.
    await (await stand.prepare(await fresh())).prepared?.execute(stand.keys.promote.signer);
    nextImages();
    const image = await fresh();
    stand.vetted.faults = [
      {
        method: "GET",
        path: `/v2/vetted/shop/referrers/${image.digest}`,
        action: { kind: "subject-without-referrers" },
      },
    ];
    try {
      const { prepared } = await stand.prepare(image, { tags: ["short"] });
      await expect(prepared?.execute(stand.keys.promote.signer)).rejects.toThrow(
        expect.objectContaining({ code: "destination-differs" }),
      );
    } finally {
      stand.vetted.faults = [];
    }
    expect(promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest))).toEqual([]);
    expect((await stand.vettedState())["vetted/shop"]?.tags).not.toHaveProperty("short");
  });

  test("it was scanned there since, and failed: the policy refuses, nothing is signed, and no tag moves", async () => {
    const { client, policy, keys } = stand;
    const image = await fresh({ scanVerdict: { age: day } });
    expect((await stand.promote(image, { tags: "1.0.0" })).outcome.verdict).toBe("pass");
    const there = inRepository(image, `${stand.to}/shop`);
    await attachEvidence({
      client,
      image: there,
      policy,
      keys,
      pieces: ["scan", "scanVerdict"],
      falsehoods: { scanVerdict: { failed: true } },
    });
    const before = await stand.vettedState();
    stand.vetted.requests.length = 0;
    const { outcome, error } = await stand.promote(image, { tags: "1.0.1" });
    expect(error).toBeUndefined();
    expect(outcome.verdict).toBe("fail");
    expect(outcome.result.violations.map(({ rule }) => rule)).toEqual(["gate.failed"]);
    expect(outcome.outputs["image"]).toBeUndefined();
    expect(await stand.vettedState()).toEqual(before);
    expect(stand.vettedWrites()).toEqual([]);
  });
});
