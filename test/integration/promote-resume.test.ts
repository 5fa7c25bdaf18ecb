import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { RecordedRequest } from "@goldenpath/registry-server/server";
import { attachEvidence, pieces, pushImage, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { connect, openStand, promotionsAmong, readStatements, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, expect, test } from "vitest";
import { dieAfter } from "../support/mortality.ts";

let stand: Stand;
afterEach(() => stand.close());

const subjectsOf = (image: TestImage): Digest[] => [
  ...new Set([image.digest, ...image.children.map(({ digest }) => digest)]),
];

/**
 * What is listed about each digest of an image at its destination: the referrers of the stages; and how many promotions
 * are signed about the image.
 */
async function listed(to: string, image: TestImage): Promise<{ evidence: string[][]; promotions: number }> {
  const evidence: string[][] = [];
  let promotions = 0;
  for (const subject of subjectsOf(image)) {
    const statements = await readStatements(stand, to, subject);
    const signed = promotionsAmong(statements);
    if (subject === image.digest) promotions = signed.length;
    expect(signed.every(({ signers }) => signers.includes("promote"))).toBe(true);
    evidence.push(
      statements
        .filter((each) => !signed.includes(each))
        .map(({ referrer }) => referrer)
        .toSorted(),
    );
  }
  return { evidence, promotions };
}

const repositoryOf = (to: string): string => to.slice(to.indexOf("/") + 1);

/**
 * Blobs and manifests that are at the destination; manifests that refer only where their subject's list names them,
 * since only a push makes it.
 */
async function committed(to: string, image: TestImage): Promise<{ blobs: Set<string>; manifests: Set<string> }> {
  const state = (await stand.vetted.snapshot())[repositoryOf(to)];
  const target = parseRepository(to);
  const own = new Set<string>(subjectsOf(image));
  const there = new Set<string>(state?.manifests.filter((digest) => own.has(digest)));
  for (const subject of subjectsOf(image))
    for (const { digest } of await stand.client.listReferrers(target, subject)) there.add(digest);
  return { blobs: new Set(state?.blobs), manifests: there };
}

interface Sent {
  blobs: string[];
  manifests: string[];
  reads: number;
}

function sentTo(to: string, requests: readonly RecordedRequest[]): Sent {
  const base = `/v2/${repositoryOf(to)}`;
  const puts = requests.filter(({ method, path }) => method === "PUT" && path.startsWith(`${base}/`));
  return {
    blobs: puts.flatMap(({ path, query }) =>
      path.includes("/blobs/uploads/") ? [new URLSearchParams(query).get("digest") ?? ""] : [],
    ),
    manifests: puts.flatMap(({ path }) =>
      path.startsWith(`${base}/manifests/sha256:`) ? [path.slice(`${base}/manifests/`.length)] : [],
    ),
    reads: requests.filter(({ method }) => method === "GET" || method === "HEAD").length,
  };
}

interface Scenario {
  what: string;
  index?: boolean;
  apart?: boolean;
  referrers?: boolean;
  processed?: boolean;
}

test.each<Scenario>([
  { what: "an image" },
  { what: "an image, the last request done and not answered", processed: true },
  { what: "an image between two registries", apart: true },
  { what: "an image without a referrers API", referrers: false },
  {
    what: "an image without a referrers API, the last request done and not answered",
    referrers: false,
    processed: true,
  },
  { what: "an index", index: true },
])(
  "$what: killed after any of its requests, the promotion leaves no tag without evidence, and goes on",
  async (given) => {
    const { index = false, apart = false, referrers = true, processed = false } = given;
    // What else refers to the image is carried in promote-referrers.test.ts; asking for it is most of the requests, and
    // none of them writes.
    stand = await openStand({ apart, registry: { referrers }, ...(index ? { carry: "signed" } : {}) });
    const { client, policy, keys, from } = stand;
    const image = await (index ? pushIndex : pushImage)(client, `${from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    const source = (await listed(`${from}/shop`, image)).evidence;
    expect(source.flat()).toHaveLength(pieces.length * subjectsOf(image).length);
    const servers = [...new Set([stand.quarantine, stand.vetted])];
    const clear = (): void => {
      for (const { requests } of servers) requests.length = 0;
    };
    const requests = (): RecordedRequest[] => servers.flatMap((server) => server.requests);
    /**
     * Prepares and executes with a client of its own, which remembers nothing of what it asked before, and tries
     * everything once.
     */
    const promote = async (to: string): Promise<unknown> => {
      const mortal = connect(1);
      try {
        const { prepared } = await stand.prepare(image, { client: mortal, to });
        await prepared?.execute(keys.promote.signer);
        return undefined;
      } catch (error) {
        return error;
      } finally {
        await mortal.close();
      }
    };

    clear();
    expect(await promote(`${stand.to}/shop-whole`)).toBeUndefined();
    const whole = sentTo(`${stand.to}/shop-whole`, requests());

    for (let after = 0; ; after++) {
      // A repository that nothing is in yet, so that there is everything to do.
      const to = `${stand.to}/shop-${after}`;
      const tagOf = async (): Promise<string | undefined> =>
        (await stand.vetted.snapshot())[repositoryOf(to)]?.tags["1.0.0"];
      const death = dieAfter(servers, after, processed);
      const error = await promote(to);
      death.revive();
      if (error === undefined) {
        // It was over before: every one of its requests was the last once.
        expect(death.count).toBeLessThanOrEqual(after);
        expect(after).toBeGreaterThan(apart ? 60 : 50);
        return;
      }
      expect(error).toBeInstanceOf(InfrastructureError);
      expect(error).toMatchObject({ code: "registry-unreachable", safeToRetry: true });
      if ((await tagOf()) !== undefined) expect(await listed(to, image)).toEqual({ evidence: source, promotions: 1 });
      const before = await committed(to, image);

      clear();
      expect(await promote(to)).toBeUndefined();
      const again = sentTo(to, requests());
      expect(again.blobs.filter((digest) => before.blobs.has(digest))).toEqual([]);
      expect(again.manifests.filter((digest) => before.manifests.has(digest))).toEqual([]);
      // No more is read than by a run that is not disturbed, but for the lists of what is there, and a promotion that
      // was signed about a child or the image.
      expect(again.reads).toBeLessThanOrEqual(whole.reads + 6 * subjectsOf(image).length);
      expect(await tagOf()).toBe(image.digest);
      expect(await listed(to, image)).toEqual({ evidence: source, promotions: 1 });
    }
  },
);

test("a run after a whole one changes nothing, whatever it was that was promoted", async () => {
  for (const [apart, referrers, index] of [
    [false, true, true],
    [true, false, false],
  ] as const) {
    stand = await openStand({ apart, registry: { referrers } });
    const { client, policy, keys, from } = stand;
    const image = await (index ? pushIndex : pushImage)(client, `${from}/shop`);
    await attachEvidence({ client, image, policy, keys });
    await (await stand.prepare(image)).prepared?.execute(keys.promote.signer);
    const state = await stand.vettedState();
    stand.vetted.requests.length = 0;
    await (await stand.prepare(image)).prepared?.execute(keys.promote.signer);
    expect(stand.vettedWrites()).toEqual([]);
    expect(await stand.vettedState()).toEqual(state);
    if (apart) return;
    await stand.close();
  }
});
