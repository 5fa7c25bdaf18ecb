import { InfrastructureError } from "@goldenpath/core/errors";
import { parseRepository } from "@goldenpath/core/oci/reference";
import type { Fault } from "@goldenpath/registry/server";
import { afterEach, expect, test } from "vitest";
import { attachEvidence, pieces, pushImage, pushIndex, type TestImage } from "../support/chain.ts";
import { connect, openStand, promotionsAmong, readStatements, type Stand } from "../support/promotion.ts";

let stand: Stand;
afterEach(() => stand.close());

/** What is listed about an image at its destination: the referrers of the stages, and how many promotions are signed. */
async function listed(to: string, image: TestImage): Promise<{ evidence: string[]; promotions: number }> {
  const statements = await readStatements(stand, to, image.digest);
  const promotions = promotionsAmong(statements);
  const evidence = statements.filter((each) => !promotions.includes(each)).map(({ referrer }) => referrer);
  return { evidence: evidence.toSorted(), promotions: promotions.length };
}

/** From the write after the first `count` on, none gets through: as if whoever promotes had been killed there. */
function dieAfter(count: number, processed: boolean): Fault {
  return { method: ["POST", "PUT", "PATCH", "DELETE"], path: "^/v2/vetted/", after: count, action: { kind: "reset", processed } };
}

test.each([
  { what: "an image", index: false, referrers: true, apart: false, processed: false },
  { what: "an image, whose last write was done and not answered", index: false, referrers: true, apart: false, processed: true },
  { what: "an index", index: true, referrers: true, apart: false, processed: false },
  { what: "an image between two registries", index: false, referrers: true, apart: true, processed: false },
  { what: "an image without a referrers API", index: false, referrers: false, apart: false, processed: false },
  {
    what: "an image without a referrers API, whose last write was done and not answered",
    index: false,
    referrers: false,
    apart: false,
    processed: true,
  },
])("$what: killed after any of its writes, the promotion leaves no tag without evidence, and goes on", async (given) => {
  stand = await openStand({ apart: given.apart, registry: { referrers: given.referrers } });
  const { client, policy, keys, from } = stand;
  const image = await (given.index ? pushIndex : pushImage)(client, `${from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  const source = (await client.listReferrers(image.repository, image.digest)).map(({ digest }) => digest).toSorted();
  expect(source).toHaveLength(pieces.length);

  let deaths = 0;
  for (let isWhole = false; !isWhole; ) {
    // A repository that nothing is in yet, so that there is everything to do.
    const to = `${stand.to}/shop-${deaths}`;
    const tag = { ...parseRepository(to), tag: "1.0.0" };
    // A client of its own, which remembers nothing of what it asked before, and tries everything once.
    const mortal = connect(1);
    const { prepared } = await stand.prepare(image, { client: mortal, to });
    stand.vetted.faults = [dieAfter(deaths, given.processed)];
    const error = await prepared?.execute(keys.promote.signer).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    stand.vetted.faults = [];
    await mortal.close();
    if (error === undefined) {
      isWhole = true;
    } else {
      expect(error).toBeInstanceOf(InfrastructureError);
      expect(error).toMatchObject({ code: "registry-unreachable", safeToRetry: true });
      if ((await client.resolve(tag)) !== undefined) expect(await listed(to, image)).toEqual({ evidence: source, promotions: 1 });
      const again = connect();
      await (await stand.prepare(image, { client: again, to })).prepared?.execute(keys.promote.signer);
      await again.close();
      deaths++;
    }
    expect(await client.resolve(tag)).toBe(image.digest);
    expect(await listed(to, image)).toEqual({ evidence: source, promotions: 1 });
    // A run after that has nothing to do; asked now and then, since it is the same question each time.
    if (!isWhole && deaths % 5 !== 0) continue;
    const after = await stand.vettedState();
    stand.vetted.requests.length = 0;
    await (await stand.prepare(image, { to })).prepared?.execute(keys.promote.signer);
    expect(stand.vettedWrites()).toEqual([]);
    expect(await stand.vettedState()).toEqual(after);
  }
  // The image's blobs and manifests, six bundles and their referrers, the promotion's, and the tag: fewer and something was not tried.
  expect(deaths).toBeGreaterThan(20);
});
