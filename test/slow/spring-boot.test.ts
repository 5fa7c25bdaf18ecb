import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Docker, startDockerd } from "../support/dockerd.ts";
import { makeGradle, springByGradle } from "../support/gradle.ts";
import {
  fillRepository,
  type JavaFiles,
  mirrorSettings,
  page,
  springApplication,
  springModules,
  writeApplication,
} from "../support/java.ts";
import { javaPath, makeJavaLayer } from "../support/java-root.ts";
import { goldenLayer, openPathWorld, type PathPolicy, type PathWorld, passed, tell } from "../support/path-world.ts";
import { pushSpringBuilder } from "../support/spring-builder.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// The real plugin, a Docker daemon of the test's own, and a builder with one buildpack of two scripts.
const tools = useTools("syft", "grype", "lifecycle", "launcher");
let world: PathWorld;
let docker: Docker;
let policy: PathPolicy;
let builders: string;
let counter = 0;
const env: Record<string, string> = {};

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const maven = await requireCommand("mvn", suite);
  const jlink = await requireCommand("jlink", suite);
  docker = await startDockerd({
    dockerd: await requireCommand("dockerd", suite),
    docker: await requireCommand("docker", suite),
  });
  const repository = await fillRepository(maven, "spring-boot-install", springApplication(), [
    ...["install", "org.springframework.boot:spring-boot-maven-plugin:help"],
  ]);
  Object.assign(env, docker.env, { AGENT_TOOLSDIRECTORY: repository, MAVEN_SETTINGS: mirrorSettings(repository) });
  const config = { User: "1000:1000", Env: [`PATH=${javaPath}`] };
  world = await openPathWorld({ tools, env, config });
  const java = await makeJavaLayer(jlink, world.root);
  await world.close();
  world = await openPathWorld({ tools, env, config, layers: [await goldenLayer(), java] });
  const builder = await pushSpringBuilder(world.client, {
    ...{ repository: `${world.server.host}/builders/java`, runImage: world.base },
    ...{ lifecycle: tools.lifecycle, launcher: tools.launcher },
  });
  const [image = "", digest = ""] = builder.split("@");
  builders = `    - { kind: spring-boot, name: spring, image: ${image}, digests: ["${digest}"], runImage: golden }\n`;
  policy = await world.writePolicy({ strategies: "spring-boot", builders, environments: "host-unisolated" });
});
afterAll(async () => {
  await world?.close();
  await docker?.stop();
});

async function build(files: JavaFiles, by = policy, inputs: Record<string, string> = {}) {
  const folder = `shop-${++counter}`;
  const tag = `${world.server.host}/quarantine/${folder}:1`;
  await mkdir(join(world.root, folder));
  await writeApplication(join(world.root, folder), files);
  const given = { context: folder, tags: tag, secrets: "maven-settings=env://MAVEN_SETTINGS", ...inputs };
  return { folder, tag, ...(await world.build(by, given)) };
}

async function pushOtherBase(): Promise<string> {
  const repository = { registry: world.server.host, name: "bases/other" };
  const layers = [await tinyLayer({ "etc/os-release": "ID=other\n" })];
  const { digest } = await pushTinyImage(world.client, repository, layers, { config: { User: "1000:1000" } });
  return `${world.server.host}/bases/other@${digest}`;
}

describe("a build that is refused", () => {
  test("is of a policy that lets no build have a daemon", async () => {
    const strict = await world.writePolicy({ strategies: "spring-boot", builders, environments: "host" });
    const made = await build(springApplication(), strict);
    expect(tell(made)).toEqual({ verdict: "fail", rules: ["build.environment"] });
  });

  test("has a POM with another builder, which would win", async () => {
    const made = await build(springApplication({ image: "<builder>evil.example/builder</builder>" }));
    expect(tell(made)).toEqual({ verdict: "error", rules: [], error: "java-settings-refused" });
    expect(made.places).toMatchObject([{ file: `${made.folder}/pom.xml`, line: 27 }]);
  });

  test("puts the application on another base than it was told to", async () => {
    const image = await pushOtherBase();
    const script = `exec mvn "$@" "-Dspring-boot.build-image.runImage=${image}" -Dspring-boot.build-image.pullPolicy=IF_NOT_PRESENT`;
    const made = await build({ ...springApplication(), mvnw: `#!/bin/sh\n${script}\n` });
    expect(tell(made), made.log.join("\n")).toEqual({ verdict: "fail", rules: ["base.approved"] });
    expect(await world.client.resolve(parseReference(made.tag))).toBeUndefined();
  });

  test("is one of nothing that the builder's buildpacks know", async () => {
    const made = await build({ ...springApplication(), "src/main/resources/not-mine.txt": "x" });
    expect(tell(made), made.log.join("\n")).toEqual({ verdict: "error", rules: [], error: "nothing-detected" });
    expect(made.result.error?.message).toContain("acme/spring@1.0.0 does not fit");
  });
});

test("an application goes the whole way, and answers", async () => {
  const made = await build(springApplication());
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  expect(made.result.notes).toContain("buildEnvironment: host-unisolated");
  expect(await docker.askForPage(made.outputs["image"] ?? "")).toEqual({ status: 200, text: page });
  await world.takeTheRest(policy, made.outputs["image"] ?? "");
  expect(await world.provenanceOf(policy, made.outputs["image"] ?? "")).toMatchObject({
    internalParameters: { builders: ["spring"], buildEnvironment: "host-unisolated" },
    resolvedDependencies: [{}, { name: "run-image" }, { name: "builder" }],
  });
  expect(await docker.docker("images", "--quiet", "goldenpath.invalid/*")).toBe("");
  expect(await world.client.resolve(parseReference(made.tag))).toBe(made.outputs["digest"]);
});

test("one module of several, with another that it needs, answers; whoever attests finds the plugin's mark, and the commit is on it", async () => {
  const both = await world.writePolicy({
    strategies: "spring-boot, buildpacks",
    builders: `${builders}${builders.replace("kind: spring-boot, name: spring", "kind: buildpacks, name: packs")}`,
    environments: "container, host-unisolated",
  });
  const made = await build(springModules(), both, { module: "./services/web/" });
  expect(tell(made), made.log.join("\n")).toEqual(passed);
  const image = made.outputs["image"] ?? "";
  expect(await docker.askForPage(image)).toEqual({ status: 200, text: page });
  const [child] = (await fetchImageFacts(world.client, parseReference(image))).children;
  expect(child?.config.config?.Labels).toMatchObject({
    "org.opencontainers.image.source": "https://github.com/acme/shop",
    "org.opencontainers.image.revision": "c".repeat(40),
  });
  // Without the input 'strategy': buildpacks leave the same labels, and export to a registry.
  expect(tell(await world.attest(both, image))).toEqual(passed);
  expect(await world.provenanceOf(both, image)).toMatchObject({
    buildType: "https://github.com/goldenpath-ci/goldenpath/build-types/spring-boot/v1",
    internalParameters: { builders: ["spring"], buildSays: { strategy: "spring-boot" } },
  });
});

// The engine and the plugin are the real ones; what starts the engine was made for the tests (test/support/gradle.ts).
describe("by Gradle's wrapper", () => {
  test("a script that wants another base once the task runs comes too late, and ends the build", async () => {
    const anyway = "org.springframework.boot.buildpack.platform.build.PullPolicy.IF_NOT_PRESENT";
    const script = `doFirst { runImage = '${await pushOtherBase()}'; pullPolicy = ${anyway} }`;
    const made = await build(springByGradle(await makeGradle(), script));
    expect(tell(made), made.log.join("\n")).toEqual({ verdict: "error", rules: [], error: "java-build-failed" });
    expect(made.log.join("\n")).toContain("property 'runImage' is final and cannot be changed");
    expect(await world.client.resolve(parseReference(made.tag))).toBeUndefined();
  });

  test("an application is built with the real plugin, and answers", async () => {
    const made = await build(springByGradle(await makeGradle()));
    expect(tell(made), made.log.join("\n")).toEqual(passed);
    expect(await docker.askForPage(made.outputs["image"] ?? "")).toEqual({ status: 200, text: page });
  });
});

test("the same files are the same image again", async () => {
  const [one, two] = [await build(springApplication()), await build(springApplication())];
  for (const made of [one, two]) expect(tell(made), made.log.join("\n")).toEqual(passed);
  expect(one.outputs["digest"]).toBe(two.outputs["digest"]);
});
