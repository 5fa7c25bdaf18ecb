import { fakeDigest } from "@goldenpath/testing/policy";
import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import { noOptions } from "../../options.ts";
import type { MavenPlugin, XmlElement } from "../../survey/survey.ts";
import type { BuildJob } from "../runner.ts";
import type { SpringBootPlan } from "../spring-boot.ts";
import { springBootRunner } from "./run.ts";

const builder = { registry: "r.test", name: "builders/java", digest: fakeDigest("b") };
const runImage = { registry: "r.test", name: "bases/run", digest: fakeDigest("a") };

const element = (name: string, line: number, content: string | readonly XmlElement[]): XmlElement => ({
  ...{ name, line },
  text: typeof content === "string" ? content : "",
  children: typeof content === "string" ? [] : content,
});

/** Builds an application whose POM has this configuration of the plugin, where there is no daemon. */
function build(configuration: readonly XmlElement[], files = ["pom.xml"], engine = "auto") {
  const plugin: MavenPlugin = {
    ...{ groupId: "org.springframework.boot", artifactId: "spring-boot-maven-plugin", version: "3.5.16" },
    ...{ profile: undefined, isManaged: false, runs: true, place: { file: "pom.xml", line: 20, message: "" } },
    element: element("plugin", 20, [element("configuration", 21, configuration)]),
  };
  const maven = {
    ...{ groupId: "g", artifactId: "a", packaging: "jar", modules: [], properties: {}, outerParent: undefined },
    plugins: [plugin],
  };
  const job = {
    plan: { springBootBuilder: builder, runImage: { base: "golden", reference: runImage } },
    ...{ runImage, source: { directory: "/c/shop", survey: { ...withFiles(files), maven }, below: [] } },
    options: { ...noOptions, engine },
    context: {
      env: { DOCKER_HOST: "unix:///nowhere/docker.sock" },
      signal: new AbortController().signal,
      workingDirectory: "/c",
    },
  };
  return springBootRunner.run(job as unknown as BuildJob<SpringBootPlan>);
}

const image = (name: string, text: string) => [element("image", 22, [element(name, 23, text)])];

describe("a POM that would win against the command line", () => {
  it.each([
    ["another builder", image("builder", "paketobuildpacks/builder-jammy-base"), 23],
    ["a tag of the builder", image("builder", "r.test/builders/java:1"), 23],
    ["another run image", image("runImage", "evil.example/run"), 23],
    ["a name", image("name", "shop"), 23],
    ["a push of its own", image("publish", "true"), 23],
    ["more buildpacks", image("buildpacks", ""), 23],
    ["more tags", image("tags", ""), 23],
    ["another daemon", [element("docker", 22, [element("host", 23, "tcp://evil.example:2376")])], 23],
    ["an end to its work", [element("skip", 22, "true")], 22],
    ["what can't be known", [element("skip", 22, "@no.image@")], 22],
  ])("has %s: refused at its line", async (_what, configuration, line) => {
    await expect(build(configuration)).rejects.toMatchObject({
      name: "UserError",
      code: "java-settings-refused",
      message: expect.stringContaining(`shop/pom.xml:${line}: `),
      places: [{ file: "shop/pom.xml", line }],
    });
  });

  it.each([
    ["nothing", []],
    ["the policy's own builder", image("builder", `r.test/builders/java@${fakeDigest("b")}`)],
    ["the policy's own base", image("runImage", `r.test/bases/run@${fakeDigest("a")}`)],
    ["no push, as it is", image("publish", "false")],
    ["what is its own", image("env", "")],
  ])("is not one with %s, which goes on to look for a daemon", async (_what, configuration) => {
    await expect(build(configuration)).rejects.toMatchObject({
      code: "docker-unavailable",
      message: expect.stringContaining("there is no Docker daemon at unix:///nowhere/docker.sock"),
    });
  });
});

describe("an application", () => {
  it("that has nothing to do with Java is refused, and so is one that lacks the tool that is asked for", async () => {
    await expect(build([], ["package.json"])).rejects.toMatchObject({ code: "nothing-detected" });
    await expect(build([], ["pom.xml"], "gradle")).rejects.toMatchObject({ code: "nothing-detected" });
  });
});
