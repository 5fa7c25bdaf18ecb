import { delimiter, dirname, join } from "node:path";
import { writeFleetIssues } from "@goldenpath/core/fleet/execute-issues";
import { rescanFleet } from "@goldenpath/core/fleet/execute-scan";
import { gatherRepositories } from "@goldenpath/core/fleet/gather-fleet";
import { openPlaces } from "@goldenpath/core/fleet/gather-places";
import type { WrittenIssues } from "@goldenpath/core/fleet/issues";
import { planScope } from "@goldenpath/core/fleet/looked-at";
import { describeRescan, type RescanReport } from "@goldenpath/core/fleet/rescan-facts";
import { scanners } from "@goldenpath/core/scan/scanners/table";
import { withClient } from "@goldenpath/core/verbs/open";
import { withScan } from "@goldenpath/core/verbs/scan";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { openIssues } from "@goldenpath/runner/fleet-issues";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeKevDatabase } from "../support/changed-database.ts";
import { addAll, type FleetApplication, type FleetWorld, openFleetWorld } from "../support/fleet-world.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";
import { useTools } from "../support/tools.ts";

// 300 images; what is known to be exploited is in the base under 60 of them, and in a library of 40 others. Real syft,
// grype, registry and signatures; GitHub's API is its description's stand-in, whose repositories have the lock files.

const tools = useTools("syft", "grype");
const count = 300;
const applications = Array.from({ length: count }, (_, at): FleetApplication => {
  const name = `app-${String(at).padStart(3, "0")}`;
  return { name, base: at < 60 ? "old" : "new", lodash: at >= 100 && at < 140 ? "4.17.20" : "4.17.21" };
});

let world: FleetWorld;
let github: GithubStand;
let database = "";
beforeAll(async () => {
  [world, github] = await Promise.all([openFleetWorld(), startGithub()]);
  database = await makeKevDatabase(join(world.directory, "data"), ["CVE-2023-4911", "CVE-2021-23337"]);
  await addAll(world, applications);
});
afterAll(async () => {
  await world?.close();
  await github?.close();
});

async function scan(): Promise<{ report: RescanReport; issues: WrittenIssues }> {
  const path = [...Object.values(tools).map((tool) => dirname(tool ?? "")), process.env["PATH"]].join(delimiter);
  const server = { GITHUB_API_URL: github.url, GITHUB_SERVER_URL: "https://github.com" };
  const context: Context = {
    ...{ ports: silentPorts(), run: { builderId: "local" }, signal: new AbortController().signal },
    ...{ workingDirectory: world.directory, temporaryDirectory: world.directory, now: () => new Date() },
    env: { PATH: path, HOME: world.directory, GITHUB_TOKEN: "a-token", ...server },
  };
  const inputs = {
    ...{ policy: world.policyFile, "policy-signer": undefined, "result-dir": undefined, scanner: "auto", database },
    ...{ "compare-with": undefined, "registry-identities": [], mode: "audit" as const, reports: [] },
  };
  const { policy, keys } = world;
  const report = await withScan(inputs, scanners, context, (_policy, one) =>
    withClient(context, policy, async (client) => {
      const repositories = await gatherRepositories(client, policy.policy, { named: [] });
      const places = openPlaces({ checkouts: world.checkouts, isOnline: false }, context);
      const request = { client, policy, repositories, areNamed: false, scan: one, signer: keys.scan.signer, places };
      return rescanFleet(request, context);
    }),
  );
  const { door, shut } = openIssues("a-token", context, 1);
  try {
    const place = { policy: policy.policy.name, server: server.GITHUB_SERVER_URL, sources: [] };
    const asked = { ...place, scope: planScope(policy.policy, []) };
    return { report, issues: await writeFleetIssues(report, asked, door, context.signal) };
  } finally {
    await shut();
  }
}

test("60 are named for a rebase, 40 have an issue at file and line, and the second run closes what was mended", async () => {
  world.registry.requests.length = 0;
  const first = await scan();
  const told = describeRescan(first.report) as { counts: object; rebase: Record<string, string[]> };
  expect(first.report.failures).toEqual([]);
  expect(told.counts).toEqual({ images: count, fail: 100, later: 0, pass: 200 });
  expect(told.rebase["golden-old"]).toHaveLength(60);
  const hit = first.report.images.filter(({ refused }) => refused.some(({ action }) => action === "update"));
  expect(hit).toHaveLength(40);
  for (const { refused, image } of hit) {
    const own = image.source?.repository.replace(/.*\//, "");
    expect(refused).toMatchObject([{ owner: `@acme/${own}-team`, place: { file: "package-lock.json", line: 5 } }]);
  }
  expect(first.issues).toMatchObject({ updated: [], closed: [], skipped: [], failures: [] });
  expect(first.issues.opened).toHaveLength(40);
  for (const { body } of github.issues) expect(body).toContain("<code>package-lock.json:5</code>");
  // For each image what lies beside it, and two statements more; the bases' layers are all that is read of images.
  expect(first.report.requests).toBe(world.registry.requests.length);
  expect(first.report.requests / count).toBeLessThan(40);
  const gets = world.registry.requests.filter(({ method }) => method === "GET").map(({ path }) => path);
  const layers = await Promise.all(
    hit.map(async ({ image }) => {
      const found = await world.client.fetchManifest({ ...image.repository, digest: image.digest });
      return found.kind === "image"
        ? found.manifest.layers.map(({ digest }) => `/v2/${image.repository.name}/blobs/${digest}`)
        : [];
    }),
  );
  expect(layers.flat().filter((path) => gets.includes(path))).toEqual([]);

  const mended = applications.slice(100, 130);
  await addAll(
    world,
    mended.map((each) => ({ ...each, lodash: "4.17.21" })),
  );
  const second = await scan();
  expect(second.issues.opened).toEqual([]);
  expect(second.issues.closed).toHaveLength(30);
  expect(github.issues.filter(({ state }) => state === "open").map(({ repository }) => repository)).toEqual(
    applications.slice(130, 140).map(({ name }) => `acme/${name}`),
  );
  expect(second.report.images.filter(({ evidence }) => evidence === "unchanged")).toHaveLength(count - 30);
  expect(github.faults).toEqual([]);
});
