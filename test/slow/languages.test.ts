import { afterAll, beforeAll, describe, test } from "vitest";
import { expectWholePath } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

const tools = useTools("lifecycle", "launcher", "syft", "grype");
let world: LanguageWorld;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) });
});
afterAll(() => world?.close());

/** Whole paths by the builder image, which finds out for itself what an application is written in. */
describe.each([
  ["go", "from Go"],
  ["python", "from Python"],
  ["java", "from Java"],
  ["python-uv", "locked by uv"],
  ["python-poetry", "locked by Poetry"],
  ["ruby", "from Ruby"],
  ["php", "from PHP"],
  ["node-yarn", "by yarn"],
  ["node-pnpm", "installed by pnpm"],
  ["node-workspaces", "from a workspace of npm"],
  ["static", "from a site of files"],
] as const)("examples/apps/%s", (app, words) => {
  test("is built without a Dockerfile, answers in a container, and goes along the path", async () => {
    await expectWholePath(world, app, words);
  });
});
