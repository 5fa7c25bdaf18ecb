import { afterAll, beforeAll, describe, test } from "vitest";
import { expectWholePath } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

/** Whole paths of all that the platform builds, but for those that test/integration takes. */
const languages = ["java", "python", "ruby", "php", "node", "static"] as const;
const tools = useTools("lifecycle", "launcher", "syft", "grype");
let world: LanguageWorld;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld(languages, { ...programs, tools: Object.values(tools) });
});
afterAll(() => world?.close());

describe.each([
  ["java", "java", "from Java"],
  ["python-uv", "python", "locked by uv"],
  ["python-poetry", "python", "locked by Poetry"],
  ["ruby", "ruby", "from Ruby"],
  ["php", "php", "from PHP"],
  ["node-yarn", "node", "by yarn"],
  ["node-pnpm", "node", "installed by pnpm"],
  ["node-workspaces", "node", "from a workspace of npm"],
  ["static", "static", "from a site of files"],
] as const)("examples/apps/%s", (app, language, words) => {
  test("is built without a Dockerfile, answers in a container, and goes along the path", async () => {
    await expectWholePath(world, app, language, words);
  });
});
