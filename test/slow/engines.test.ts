import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePlayground, removePlayground, runBuild } from "../integration/build-fixtures.ts";
import { examples } from "../support/golden-platform.ts";
import { expectRest } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// Whole paths of what the example platform's builder image builds by the other engine, and by nobody of the machine.
const tools = useTools("lifecycle", "launcher", "pack", "syft", "grype");
const app = join(examples, "apps/go");
/** An ordinary user without an entry in /etc/passwd. */
const ordinary = { uid: 54_322, gid: 54_322 };
let world: LanguageWorld;
let playground: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) }, { packBy: tools });
  playground = makePlayground(tools);
});
afterAll(async () => {
  await world?.close();
  if (playground !== undefined) removePlayground(playground);
  rmSync(`/var/tmp/goldenpath-${ordinary.uid}`, { recursive: true, force: true });
});

test("by pack, over a Docker daemon", async () => {
  const tags = `${world.registry.host}/quarantine/by-pack:1`;
  const built = await world.build(app, undefined, {}, { engine: "pack", tags });
  expect(built.verdict, built.log.join("\n")).toBe("pass");
  expect(built.result.notes).toContain("built by pack, each phase in a container of a Docker daemon");
  await expectRest(world, built.outputs["image"] ?? "", "from Go", "by-pack");
});

test("by the lifecycle, as a user without root", async () => {
  writeFileSync(join(playground, "policy.yaml"), world.policy);
  cpSync(app, join(playground, "app"), { recursive: true });
  const tags = `${world.registry.host}/quarantine/without-root:1`;
  const inputs = { policy: "policy.yaml", context: "app", builder: "all", engine: "lifecycle", tags };
  const run = { sourceRepository: "https://github.com/acme/shop", sourceCommit: "c".repeat(40) };
  const built = await runBuild(playground, { inputs, user: ordinary, run });
  expect(built.verdict, built.log.join("\n")).toBe("pass");
  await expectRest(world, built.outputs["image"] ?? "", "from Go", "without-root");
});
