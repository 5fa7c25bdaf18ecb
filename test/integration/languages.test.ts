import { afterAll, beforeAll, describe, test } from "vitest";
import { expectWholePath } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

/** The languages that build in seconds; the others are in test/slow. */
const languages = ["go", "python"] as const;
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
  ["go", "go", "from Go"],
  ["python", "python", "from Python"],
] as const)("examples/apps/%s", (app, language, words) => {
  test("is built without a Dockerfile, answers in a container, and goes along the path", async () => {
    await expectWholePath(world, app, words, language);
  });
});
