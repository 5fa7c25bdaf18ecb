import type { PromotionPlan } from "@goldenpath/core/promote/facts";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, describeTarget, pieces, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { connect, openStand, type Stand, type StandOptions } from "@goldenpath/testing/promotion";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterEach, describe, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

async function stageImage(): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const target = parseRepository(`${stand.from}/shop`);
  const layers = await Promise.all(["base", "runtime", "application"].map((name) => tinyLayer({ "srv/name": name })));
  const { mediaType, digest, size } = await pushTinyImage(client, target, layers);
  const image = describeTarget(target, { mediaType, digest, size }, []);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

async function stageIndex(): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const image = await pushIndex(client, `${stand.from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

/** Promotes with a client that knows nothing yet, and returns what the plan expected and what the registries saw. */
async function promoteCounted(
  image: TestImage,
  to = `${stand.to}/new`,
): Promise<{ plan: PromotionPlan; requests: number; lines: string[] }> {
  const seen = [...new Set([stand.quarantine, stand.vetted])];
  for (const { requests } of seen) requests.length = 0;
  const client = connect();
  try {
    const { prepared } = await stand.prepare(image, { client, to });
    await prepared?.execute(stand.keys.promote.signer);
    const lines = seen.flatMap(({ requests }) =>
      requests.map(({ method, path, query }) => `${method} ${path} ${query.slice(0, 20)}`),
    );
    return { plan: prepared?.plan ?? expect.unreachable(), requests: lines.length, lines };
  } finally {
    await client.close();
  }
}

function expectLeast({ plan, requests, lines }: Awaited<ReturnType<typeof promoteCounted>>): void {
  const least = plan.requests.spent + plan.requests.ahead;
  expect(requests, lines.join("\n")).toBeGreaterThanOrEqual(least);
  expect(requests, `least ${JSON.stringify(plan.requests)}\n${lines.join("\n")}`).toBeLessThanOrEqual(least * 1.1);
}

/**
 * Counted by hand, by what `countRequests` says of it: three layers and a config, six statements with a bundle each and
 * the empty config of all; and the policy in force.
 */
describe("an image of three layers with six statements", () => {
  const statements = pieces.length;
  const source = 2 + 2 * statements + (1 + statements) + 1;
  const inForce = 1;
  const verification = 2 + 1 + 2 * statements;

  test("within one registry", async () => {
    stand = await openStand();
    const counted = await promoteCounted(await stageImage());
    expect(counted.plan.requests).toEqual({
      spent: inForce + source + 2,
      copy: 1 + 4 + (statements + 1) + (1 + statements),
      verify: verification,
      sign: 3,
      tags: 2,
      ahead: 1 + 4 + (statements + 1) + (1 + statements) + verification + 3 + 2,
    });
    expectLeast(counted);
  });

  test("between two registries", async () => {
    stand = await openStand({ apart: true });
    const counted = await promoteCounted(await stageImage());
    const blobs = 4 + statements + 1;
    expect(counted.plan.requests).toMatchObject({
      spent: inForce + source + 2 + blobs,
      // The layers, and the empty config, have not been read.
      copy: 1 + 3 * 4 + 2 * (1 + statements) + (1 + statements),
      verify: verification,
    });
    expectLeast(counted);
  });

  test.each<[string, StandOptions]>([
    ["within one registry", {}],
    ["between two registries", { apart: true }],
  ])("%s, a second time", async (_where, options) => {
    stand = await openStand(options);
    const image = await stageImage();
    await promoteCounted(image);
    const counted = await promoteCounted(image);
    expect(counted.plan.requests).toMatchObject({ spent: inForce + source + 2 + 1, copy: 0, sign: 0, tags: 1 });
    expectLeast(counted);
    expect(counted.lines.filter((line) => !/^(?:GET|HEAD) /.test(line))).toEqual([]);
  });
});

test.each<[string, StandOptions]>([
  ["within one registry", {}],
  ["between two registries", { apart: true }],
])("an index %s", async (_where, options) => {
  stand = await openStand(options);
  expectLeast(await promoteCounted(await stageIndex()));
});

test("nothing is read twice at the source, and nothing twice for the verification", async () => {
  stand = await openStand({ apart: true });
  await promoteCounted(await stageIndex());
  for (const { requests } of [stand.quarantine, stand.vetted]) {
    const reads = requests
      .filter(({ method, path }) => method === "GET" && path.includes("sha256:"))
      .map(({ path }) => path);
    // The first promise of a repository to list what was pushed is checked, and then it is asked for the verification.
    const again = reads.filter((path, index) => reads.indexOf(path) !== index && !path.includes("/referrers/"));
    expect(again).toEqual([]);
  }
});
