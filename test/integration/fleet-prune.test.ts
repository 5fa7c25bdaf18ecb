import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { buildReferrer, pushBuilt } from "@goldenpath/registry-client/testing";
import type { TestImage } from "@goldenpath/testing/chain";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { addAll, type FleetWorld, openFleetWorld } from "../support/fleet-world.ts";

// What may go of what was promoted: real registry, client and signatures. That nothing is taken away is looked at.

let world: FleetWorld;
let images: TestImage[] = [];
let strangers: string[] = [];
let running = "";
beforeAll(async () => {
  world = await openFleetWorld();
  images = await addAll(world, [
    { name: "shop", lodash: "1.0.0", age: 4000, tags: ["1.0.0"] },
    { name: "shop", lodash: "2.0.0", age: 3900, tags: ["2.0.0"] },
    { name: "shop", lodash: "3.0.0", age: 10, tags: ["3.0.0", "prod"] },
    { name: "shop", lodash: "4.0.0", age: 4100, tags: ["0.1.0"], without: ["promotion"] },
  ]);
  strangers = await addStrangers(images[2]);
  running = join(world.directory, "running.txt");
  await writeFile(running, `registry.k8s.io/pause:3.9\n${images[2]?.digest}\n`);
}, 60_000);
afterAll(() => world?.close());

/** What refers to an image's evidence, and what refers to that: nothing that a signer of the policy made. */
async function addStrangers(image: TestImage | undefined): Promise<string[]> {
  const repository = parseRepository(`${world.registry.host}/vetted/shop`);
  const [evidence] = image === undefined ? [] : await world.client.listReferrers(repository, image.digest);
  if (evidence === undefined) throw new Error("the image has no evidence");
  const type = "application/vnd.example.stranger";
  const first = await pushBuilt(world.client, repository, buildReferrer(evidence, type));
  return [first.digest, (await pushBuilt(world.client, repository, buildReferrer(first, type))).digest];
}

const prune = (...more: string[]) => runMain("fleet", "prune", "--policy", world.policyFile, ...more);

test.each<[what: string, args: () => string[], says: string]>([
  ["no list of what runs", () => [], "--running FILE"],
  ["a list that is not there", () => ["--running", "/nowhere"], "can't be read"],
  ["rules without a place for them", () => ["--running", running, "--rules", "ecr"], "--out DIR"],
  [
    "rules of another registry",
    () => ["--running", running, "--rules", "quay", "--out", "x"],
    "harbor, ecr, gar, acr, ghcr",
  ],
  ["no number", () => ["--running", running, "--rollbacks", "many"], "expected a number"],
])("%s is refused", async (_what, args, says) => {
  const { code, err } = await prune(...args());
  expect(code).toBe(2);
  expect(err).toContain(says);
});

test("what is old, does not run and is no target may go; nothing is taken away, and rules keep the rest", async () => {
  world.registry.requests.length = 0;
  const rules = join(world.directory, "rules");
  const { code, out } = await prune(
    ...["--running", running, "--rollbacks", "2", "--json", "--rules", "gar", "--out", rules],
  );
  expect(code).toBe(0);
  const told = JSON.parse(out);
  expect(told.mayGo).toMatchObject([{ tags: ["1.0.0"] }]);
  expect(told.kept.map(({ tags, keptFor }: { tags: string[]; keptFor: string[] }) => [tags[0], keptFor[0]])).toEqual([
    ["0.1.0", "no promotion says how it came in: look at it first"],
    ["2.0.0", "a rollback in production may go to it"],
    ["3.0.0", "it runs"],
  ]);
  expect(world.registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
  const [file = ""] = await readdir(rules);
  const [rule] = JSON.parse(await readFile(join(rules, file), "utf8"));
  expect(rule.condition.versionNamePrefixes).toContain(images[2]?.digest);
  expect(rule.condition.versionNamePrefixes).not.toContain(images[0]?.digest);
  // With the evidence of its signers: seven statements each; and what refers to one of these, whoever made it.
  expect(rule.condition.versionNamePrefixes.length).toBeGreaterThan(3 * 6);
  expect(rule.condition.versionNamePrefixes).toEqual(expect.arrayContaining(strangers));
});

test.each([
  ["of repositories that the catalogue shows nobody", [], "lists no repository below"],
  ["that may be empty somewhere else", ["--may-be-empty", "host.example/else"], "none of environments.*.to"],
])("a fleet %s is an error", async (_what, more, says) => {
  world.registry.faults = [{ path: "/_catalog", action: { kind: "status", status: 200, body: '{"repositories":[]}' } }];
  const find = (...own: string[]) => runMain("fleet", "find", "CVE-2026-1", "--policy", world.policyFile, ...own);
  const { code, err } = await find(...more);
  const told = await find("--may-be-empty", `${world.registry.host}/vetted`, "--json");
  world.registry.faults = [];
  expect(code).toBe(2);
  expect(err).toContain(says);
  // As somebody has said that there is nothing yet.
  expect(told.code).toBe(0);
  expect(JSON.parse(told.out)).toMatchObject({ looked: 0, hits: [], failures: [] });
});

test("as long as something can't be looked at, or runs and is not there, no rules are written", async () => {
  const rules = join(world.directory, "none");
  const args = ["--running", running, "--rules", "harbor", "--out", rules];
  world.registry.faults = [{ path: "/shop/manifests/1.0.0$", action: { kind: "status", status: 403 } }];
  const blind = await prune(...args);
  world.registry.faults = [];
  expect(blind.code).toBe(2);
  expect(blind.out).toContain("Not known of");
  const gone = join(world.directory, "gone.txt");
  await writeFile(gone, `${world.registry.host}/vetted/shop:9.9.9\n`);
  const absent = await prune("--running", gone, "--rules", "harbor", "--out", rules);
  expect(absent.code).toBe(2);
  expect(absent.out).toContain("shop:9.9.9");
  await expect(readdir(rules)).rejects.toThrow("ENOENT");
});
