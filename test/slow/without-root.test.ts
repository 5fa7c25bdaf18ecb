import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePlayground, removePlayground, runBuild } from "../integration/build-fixtures.ts";
import { examples } from "../support/golden-platform.ts";
import { expectRest } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A whole path of what the example platform's builder image builds where the job is not root's.
const tools = useTools("lifecycle", "launcher", "syft", "grype");
const app = join(examples, "apps/go");
/** An ordinary user without an entry in /etc/passwd. */
const ordinary = { uid: 54_322, gid: 54_322 };
let world: LanguageWorld;
let playground: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) });
  playground = makePlayground(tools);
});
afterAll(async () => {
  await world?.close();
  if (playground !== undefined) removePlayground(playground);
  rmSync(`/var/tmp/goldenpath-${ordinary.uid}`, { recursive: true, force: true });
});

test("an application is built by the lifecycle as a user without root, answers, and goes along the path", async () => {
  writeFileSync(join(playground, "policy.yaml"), world.policy);
  cpSync(app, join(playground, "app"), { recursive: true });
  const tags = `${world.registry.host}/quarantine/without-root:1`;
  const inputs = { policy: "policy.yaml", context: "app", builder: "all", engine: "lifecycle", tags };
  const run = { sourceRepository: "https://github.com/acme/shop", sourceCommit: "c".repeat(40) };
  // How the machine reaches registries of packages: what a job's environment has.
  const reach = Object.entries(process.env).filter(([name]) => /_proxy$|_CERTS?(?:_FILE)?$/i.test(name));
  const env = Object.fromEntries(reach.map(([name, value]) => [name, value ?? ""]));
  const built = await runBuild(playground, { inputs, user: ordinary, run }, env);
  expect(built.verdict, built.log.join("\n")).toBe("pass");
  await expectRest(world, built.outputs["image"] ?? "", "from Go", "without-root");
});
