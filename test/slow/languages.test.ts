import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { gradleFiles, makeGradle } from "../support/gradle.ts";
import { mainClass, page, springBootVersion, writeApplication } from "../support/java.ts";
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
  ["java-war", "from a war, by Apache Tomcat"],
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

/** Gradle's engine is its own; what starts it was made for these tests, where Gradle's distributions can't be had. */
test("an application is built by its Gradle wrapper, with a plugin of Maven Central, answers, and goes along the path", async () => {
  for (const name of ["mvn", "javac"]) await requireCommand(name);
  const folder = await mkdtemp(join(tmpdir(), "goldenpath-gradle-app-"));
  try {
    await writeApplication(join(folder, "shop"), {
      ...gradleFiles(await makeGradle()),
      "settings.gradle": "rootProject.name = 'shop'\n",
      "build.gradle": `buildscript {
  repositories { mavenCentral() }
  dependencies { classpath 'org.springframework.boot:spring-boot-gradle-plugin:${springBootVersion}' }
}
apply plugin: 'java'
apply plugin: 'org.springframework.boot'
`,
      "src/main/java/example/Main.java": mainClass(),
    });
    await expectWholePath(world, join(folder, "shop"), page);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
