import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { Fault } from "@goldenpath/registry-server/server";
import { attachEvidence, pieces, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import {
  connect,
  openStand,
  promotionsAmong,
  readStatements,
  type Stand,
  type StandOptions,
} from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

const tagsOf = async (): Promise<Record<string, string>> => (await stand.vettedState())["vetted/shop"]?.tags ?? {};
const promotions = async (image: TestImage): Promise<number> =>
  promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest)).length;

/** Promotes in vain, and returns what was said. */
async function promoteInVain(image: TestImage, code: string, tags = "1.0.0"): Promise<string> {
  const { outcome, error } = await stand.promote(image, { tags });
  expect(isKnownError(error) && error.code).toBe(code);
  expect(outcome.verdict).toBe("error");
  expect(outcome.result.error?.wayOut).toMatch(/\S/);
  return outcome.result.error?.message ?? "";
}

describe("says what was done, and what was not", () => {
  test.each([undefined, "ecr", "harbor", "acr", "quay", "nexus"] as const)(
    "a tag that may be set once (as %s puts it)",
    async (like) => {
      stand = await openStand({
        registry: { immutableTags: [{ match: "^vetted/.*:1", ...(like === undefined ? {} : { like }) }] },
      });
      const first = await stand.stageImage(undefined, "first");
      const second = await stand.stageImage(undefined, "second");
      expect((await stand.promote(first)).outcome.verdict).toBe("pass");
      // The same again is no move.
      expect((await stand.promote(first)).outcome.verdict).toBe("pass");
      const message = await promoteInVain(second, "tag-immutable", "0.9.1\n1.0.0\nlatest");
      expect(message).toContain(
        `the image, its evidence and the promotion's statement are in ${stand.to}/shop; set: 0.9.1 (not set: 1.0.0, latest)`,
      );
      expect(await tagsOf()).toMatchObject({ "1.0.0": first.digest, "0.9.1": second.digest });
      expect(await tagsOf()).not.toHaveProperty("latest");
      expect(await promotions(second)).toBe(1);
    },
  );

  test("a quota that is used up in the middle: the next run goes on", async () => {
    stand = await openStand({ apart: true });
    const image = await stand.stageImage();
    const used = Object.values(await stand.vetted.snapshot()).flatMap(({ blobs }) => blobs).length;
    expect(used).toBeGreaterThan(0);
    stand.vetted.settings.quotas = [{ prefix: "vetted", bytes: 3000 }];
    expect(await promoteInVain(image, "quota-exceeded")).toMatch(
      /at least \d+ of \d+ missing blobs and 0 of 7 missing manifests were written to .*, and no tag was set/,
    );
    expect(Object.keys(await tagsOf())).toEqual(["0.9.0"]);
    stand.vetted.settings.quotas = [];
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
  });

  test("a registry that is read-only for a while", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    stand.vetted.settings.readOnly = true;
    expect(await promoteInVain(image, "registry-read-only")).toContain(
      "0 of 10 missing blobs and 0 of 7 missing manifests",
    );
    stand.vetted.settings.readOnly = false;
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
  });

  test.each<[string, Fault, string]>([
    [
      "the evidence",
      { method: "PUT", path: "/v2/vetted/.*/manifests/sha256:", after: 1, action: { kind: "status", status: 400 } },
      "were written to",
    ],
    [
      "the verification",
      { method: "GET", path: "/v2/vetted/.*/blobs/", action: { kind: "status", status: 400 } },
      "could not be verified there",
    ],
    [
      "the signing",
      {
        method: "PUT",
        path: "/v2/vetted/.*/manifests/sha256:",
        after: pieces.length + 1,
        action: { kind: "status", status: 400 },
      },
      "the promotion is not signed, and no tag was set",
    ],
    [
      "the tag",
      { method: "PUT", path: "/v2/vetted/.*/manifests/1.0.0", action: { kind: "status", status: 400 } },
      "no tag was set (not set: 1.0.0)",
    ],
  ])("a registry that fails at %s", async (_what, fault, state) => {
    stand = await openStand();
    const image = await stand.stageImage();
    stand.vetted.faults = [fault];
    expect(await promoteInVain(image, "registry-error")).toContain(state);
    expect(Object.keys(await tagsOf())).toEqual(["0.9.0"]);
    stand.vetted.faults = [];
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect(await promotions(image)).toBe(1);
  });

  test("an image that was taken back after the gate had passed it", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const { prepared } = await stand.prepare(image);
    const before = await stand.vettedState();
    await fetch(`${stand.quarantine.url}/v2/quarantine/shop/manifests/${image.digest}`, { method: "DELETE" });
    await expect(prepared?.execute(stand.keys.promote.signer)).rejects.toThrow(
      expect.objectContaining({
        code: "image-not-found",
        message: expect.stringContaining("was deleted after the gate had passed it"),
      }),
    );
    expect(await stand.vettedState()).toEqual(before);
  });
});

describe("what the destination says of itself is not taken for it", () => {
  test.each<[string, StandOptions]>([
    ["that lists evidence which was deleted", { registry: { referrers: false } }],
    ["that lists evidence which was deleted, between registries", { apart: true, registry: { referrers: false } }],
  ])("a registry %s gets it again", async (_what, options) => {
    stand = await openStand(options);
    const image = await stand.stageImage();
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    const there = await stand.client.listReferrers(parseRepository(`${stand.to}/shop`), image.digest);
    const lost = there[2]?.digest ?? expect.unreachable();
    await fetch(`${stand.vetted.url}/v2/vetted/shop/manifests/${lost}`, { method: "DELETE" });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect((await stand.vettedState())["vetted/shop"]?.manifests).toContain(lost);
  });

  test("a verdict that was deleted there is brought again, also where an older one passes as well", async () => {
    stand = await openStand({ registry: { referrers: false } });
    const { client, policy, keys } = stand;
    const image = await stand.stageImage({ scanVerdict: { age: 7_200_000 } });
    const again = await attachEvidence({ client, image, policy, keys, pieces: ["scan", "scanVerdict"] });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    const lost = again.get("scanVerdict")?.referrer.digest ?? expect.unreachable();
    await fetch(`${stand.vetted.url}/v2/vetted/shop/manifests/${lost}`, { method: "DELETE" });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect((await stand.vettedState())["vetted/shop"]?.manifests).toContain(lost);
  });

  test("an index that is there, and a child of it is not: it is brought again", async () => {
    stand = await openStand();
    const { client, policy, keys } = stand;
    const image = await pushIndex(client, `${stand.from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    const lost = image.children[1]?.digest ?? expect.unreachable();
    await fetch(`${stand.vetted.url}/v2/vetted/shop/manifests/${lost}`, { method: "DELETE" });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect((await stand.vettedState())["vetted/shop"]?.manifests).toContain(lost);
  });

  test.each([false, true])("a config that is gone is brought again (two registries: %s)", async (apart) => {
    stand = await openStand({ apart });
    const image = await stand.stageImage();
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    const { manifest } = await stand.client.fetchManifest({ ...image.repository, digest: image.digest });
    const config = "config" in manifest ? (manifest.config as { digest: string }).digest : expect.unreachable();
    await fetch(`${stand.vetted.url}/v2/vetted/shop/blobs/${config}`, { method: "DELETE" });
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect((await stand.vettedState())["vetted/shop"]?.blobs).toContain(config);
  });
});

describe.each<[string, StandOptions]>([
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
  [
    "without a referrers API or conditions",
    { apart: true, registry: { referrers: false, conditions: false, etags: false } },
  ],
])("two promotions of one image at once, %s", (_where, options) => {
  test.each([
    ["under one tag", ["1.0.0"], ["1.0.0"]],
    ["under two", ["1.0.0", "latest"], ["2.0.0"]],
  ])("%s: both end well", async (_what, one, other) => {
    stand = await openStand(options);
    const { client, policy, keys } = stand;
    const image = await pushIndex(client, `${stand.from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    // Clients that know nothing of each other, as two processes do.
    const clients = [connect(), connect()];
    try {
      const prepared = await Promise.all(
        [one, other].map((tags, at) => stand.prepare(image, { client: clients[at] ?? client, tags })),
      );
      const outcomes = await Promise.all(prepared.map((each) => each.prepared?.execute(keys.promote.signer)));
      expect(outcomes.map((outcome) => outcome?.gate.verdict)).toEqual(["pass", "pass"]);
    } finally {
      for (const each of clients) await each.close();
    }
    for (const tag of [...one, ...other]) expect((await tagsOf())[tag]).toBe(image.digest);
    for (const subject of [image.digest, ...image.children.map(({ digest }) => digest)]) {
      const statements = await readStatements(stand, `${stand.to}/shop`, subject);
      const signed = promotionsAmong(statements);
      expect(statements.length - signed.length).toBe(pieces.length);
      expect(signed.length).toBeGreaterThanOrEqual(1);
      expect(signed.length).toBeLessThanOrEqual(2);
    }
  });
});

test("two promotions of two images under one tag: one of them is told", async () => {
  stand = await openStand();
  const images = [await stand.stageImage(undefined, "first"), await stand.stageImage(undefined, "second")];
  const prepared = await Promise.all(images.map((image) => stand.prepare(image)));
  const outcomes = await Promise.allSettled(prepared.map((each) => each.prepared?.execute(stand.keys.promote.signer)));
  const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  expect(refused).toEqual([expect.objectContaining({ code: "tag-moved" })]);
  expect(refused[0]).toBeInstanceOf(InfrastructureError);
  expect(refused[0].message).toContain("no tag was set");
  const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
  expect((await tagsOf())["1.0.0"]).toBe(images[winner]?.digest);
});
