import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { examples } from "../support/golden-platform.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// The same commit twice, in two places, by the example platform's builder image: the same digest.
const tools = useTools("lifecycle", "launcher");
let world: LanguageWorld;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) });
});
afterAll(() => world?.close());

test.each([
  ...["go", "python", "java", "python-uv", "python-poetry", "ruby", "php"],
  ...["node-yarn", "node-pnpm", "node-workspaces", "static", "web"],
])("examples/apps/%s", async (app) => {
  const built = await world.build(join(examples, "apps", app), undefined, {}, { "verify-reproducible": "true" });
  expect(built.result, built.log.slice(-40).join("\n")).toMatchObject({ verdict: "pass", violations: [] });
  expect(built.result.notes).toContain("built twice, in two places: the same digest");
});
