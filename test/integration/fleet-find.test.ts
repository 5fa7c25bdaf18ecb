import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { addAll, type FleetWorld, openFleetWorld } from "../support/fleet-world.ts";

// Which images have a package or a vulnerability, by what is signed about them: real registry, client and signatures.

let world: FleetWorld;
beforeAll(async () => {
  world = await openFleetWorld({
    sources: '[{ repository: "https://github.com/acme/pay", owner: "@acme/payments" }, "https://github.com/acme/*"]',
  });
  await addAll(world, [
    { name: "shop", base: "old", lodash: "4.17.20" },
    { name: "pay", base: "old", lodash: "4.17.21" },
    { name: "mail", lodash: "4.17.20", packages: { "@acme/left": "1.0.0-rc.1" } },
    { name: "docs", packages: { "@acme/left": "2.0.0" } },
  ]);
}, 60_000);
afterAll(() => world.close());

async function find(query: string, ...more: string[]) {
  const args = ["fleet", "find", query, "--policy", world.policyFile, "--checkouts", world.checkouts];
  const { code, out, err } = await runMain(...args, ...more);
  return { code, out, err };
}
const at = (name: string): string => `${world.registry.host}/vetted/${name}`;

interface Found {
  looked: number;
  requests: number;
  rebase: Record<string, string[]>;
  hits: { repository: string; owner: string; action: string; place?: { file: string; line: number } }[];
  failures: { what: string; problem: string }[];
}
async function findJson(query: string, ...more: string[]): Promise<Found & { code: number }> {
  const { code, out } = await find(query, "--json", ...more);
  return { code, ...(JSON.parse(out) as Found) };
}

describe("what is refused", () => {
  test.each<[what: string, args: string[], says: string]>([
    ["no query", ["fleet", "find"], "expected CVE-"],
    ["neither an id nor a package", ["fleet", "find", "lodash"], "neither a vulnerability's id nor a package"],
    ["a range that is none", ["fleet", "find", "pkg:npm/lodash@<"], "range of versions"],
    ["a qualifier", ["fleet", "find", "pkg:npm/lodash?x=y"], "neither"],
    ["no policy", ["fleet", "find", "CVE-2026-1"], "--policy"],
    ["another command", ["fleet", "sink"], "expected find"],
  ])("%s", async (_what, args, says) => {
    const { code, err } = await runMain(...args);
    expect(code).toBe(2);
    expect(err).toContain(says);
  });

  test("a repository of no environment", async () => {
    const { code, err } = await find("CVE-2026-1", `${world.registry.host}/quarantine/shop`);
    expect(code).toBe(2);
    expect(err).toContain("is of no environment");
  });
});

test("a package in a range, told by owner and at file and line; the requests are counted, and no layer is among them", async () => {
  world.registry.requests.length = 0;
  const found = await findJson("pkg:npm/lodash@<4.17.21");
  expect(found).toMatchObject({ code: 0, looked: 4, failures: [], rebase: {} });
  expect(found.hits.map(({ repository, owner, action, place }) => [repository, owner, action, place])).toEqual([
    [at("mail"), "@acme/mail-team", "update", { file: "package-lock.json", line: 5 }],
    [at("shop"), "@acme/shop-team", "update", { file: "package-lock.json", line: 5 }],
  ]);
  expect(found.requests).toBe(world.registry.requests.length);
  const layers = world.registry.requests.filter(({ path }) => path.includes("/blobs/"));
  const manifests = await Promise.all(
    ["shop", "pay", "mail", "docs"].map(async (name) =>
      world.client.fetchManifest({ registry: world.registry.host, name: `vetted/${name}`, tag: "1.0.0" }),
    ),
  );
  const digests = manifests.flatMap((each) => (each.kind === "image" ? each.manifest.layers : []));
  for (const { digest } of digests) expect(layers.some(({ path }) => path.endsWith(digest))).toBe(false);
});

test("what comes with the base is one thing to rebase, and its owner is the policy's", async () => {
  const found = await findJson("pkg:deb/debian/libc6@<2.36-9+deb12u10");
  expect(found.rebase).toEqual({
    [`golden-old ${world.registry.host}/bases/golden`]: [
      expect.stringContaining(`${at("pay")}@`),
      expect.stringContaining(`${at("shop")}@`),
    ],
  });
  expect(found.hits.map(({ owner, place }) => [owner, place])).toEqual([
    ["@acme/payments", undefined],
    ["@acme/everybody", undefined],
  ]);
  const { out } = await find("pkg:deb/debian/libc6@<2.36-9+deb12u10");
  expect(out).toContain("Rebase 2 images on a newer golden-old");
});

test("scopes, versions before a release, and all of a package", async () => {
  const names = async (query: string): Promise<string[]> =>
    (await findJson(query)).hits.map(({ repository }) => repository.replace(/.*\//, ""));
  expect(await names("pkg:npm/@acme/left@<1.0.0")).toEqual(["mail"]);
  expect(await names("pkg:npm/%40acme/left@>=1.0.0,<3")).toEqual(["docs"]);
  expect(await names("pkg:npm/@acme/left")).toEqual(["docs", "mail"]);
  expect(await names("pkg:npm/left")).toEqual([]);
});

describe("what can't be told makes the answer none that is whole, and what was found is shown all the same", () => {
  test.each<[what: string, add: Parameters<FleetWorld["add"]>[0], says: string]>([
    ["an image without an SBOM", { name: "bare", without: ["sbom"] }, "no SBOM of the image is signed"],
  ])("%s", async (_what, application, says) => {
    await world.add(application);
    const found = await findJson("pkg:npm/lodash@<4.17.21", at("shop"), at(application.name));
    expect(found.code).toBe(2);
    expect(found.hits).toHaveLength(1);
    expect(found.failures).toEqual([
      { what: expect.stringContaining(at(application.name)), problem: expect.stringContaining(says) },
    ]);
  });

  test("an SBOM that nobody of the policy signed", async () => {
    const image = await world.add({ name: "forged", without: ["sbom"] });
    const sbom = { bomFormat: "CycloneDX", specVersion: "1.6", metadata: { timestamp: new Date().toISOString() } };
    const subjects = buildSubjects(image.repository, [image.digest]);
    await world.sign(image, buildStatement(subjects, predicateTypes.cyclonedx, sbom), "stranger");
    const found = await findJson("pkg:npm/lodash", at("forged"));
    expect(found).toMatchObject({ code: 2, hits: [], failures: [{ problem: expect.stringContaining("no SBOM") }] });
  });

  test("a repository without an image, and a tag whose manifest is broken", async () => {
    world.registry.faults = [
      { path: "/vetted/mail/manifests/1.0.0$", action: { kind: "replace", body: '{"schemaVersion":2,"mediaType":"x' } },
    ];
    const found = await findJson("pkg:npm/lodash", at("shop"), at("nothing"), at("mail"));
    world.registry.faults = [];
    expect(found.code).toBe(2);
    expect(found.hits.map(({ repository }) => repository)).toEqual([at("shop")]);
    expect(found.failures.toSorted((a, b) => (a.what < b.what ? -1 : 1))).toEqual([
      { what: `${at("mail")}:1.0.0`, problem: expect.stringContaining("1.0.0") },
      { what: at("nothing"), problem: "no tag of it points at an image" },
    ]);
  });

  test("a registry that shows a repository to others alone, beside one that answers", async () => {
    world.registry.faults = [{ path: "/vetted/mail/", action: { kind: "status", status: 403 } }];
    const found = await findJson("pkg:npm/lodash", at("shop"), at("mail"));
    world.registry.faults = [];
    expect(found).toMatchObject({ code: 2, looked: 1, failures: [{ what: at("mail") }] });
    expect(found.hits).toHaveLength(1);
  });
});

test("the repository of the policy in force is no application's", async () => {
  const { keys, policy, policyFile: file, client } = world;
  await putInForce(client, `${world.registry.host}/vetted`, { ...policy, file }, { keys });
  const found = await findJson("pkg:npm/lodash");
  expect(found.failures.filter(({ what }) => what.includes("goldenpath-policy"))).toEqual([]);
});

test("repositories come from a file, or from the catalogue of the registry; one that shows none says so", async () => {
  const file = join(world.directory, "repositories.txt");
  await writeFile(file, `# ours\n${at("shop")}\n${at("mail")} # too\n`);
  expect((await findJson("pkg:npm/lodash", "--repositories", file)).looked).toBe(2);
  await writeFile(file, "# none\n");
  expect((await find("pkg:npm/lodash", "--repositories", file)).err).toContain("nothing is listed");
  for (const status of [401, 404]) {
    world.registry.faults = [{ path: "_catalog", action: { kind: "status", status } }];
    const { code, err } = await find("pkg:npm/lodash");
    world.registry.faults = [];
    expect(code).toBe(2);
    expect(err).toContain("does not list its repositories");
    expect(err).toContain("--repositories FILE");
  }
});
