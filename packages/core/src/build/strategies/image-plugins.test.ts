import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import type { MavenPlugin, Survey, XmlElement } from "../survey/survey.ts";
import { describePlugin, findSettings, formatPlace, listMavenPlugins } from "./image-plugins.ts";
import { jibPlugin } from "./jib.ts";

const element = (name: string, line: number, content: string | readonly XmlElement[] = ""): XmlElement => ({
  ...{ name, line },
  text: typeof content === "string" ? content : "",
  children: typeof content === "string" ? [] : content,
});

function plugin(change: Partial<MavenPlugin> = {}): MavenPlugin {
  return {
    ...{ groupId: "com.google.cloud.tools", artifactId: "jib-maven-plugin", version: "3.4.6", profile: undefined },
    ...{
      isManaged: false,
      runs: true,
      element: element("plugin", 10),
      place: { file: "pom.xml", line: 10, message: "" },
    },
    ...change,
  };
}

const survey = (...plugins: MavenPlugin[]): Survey => ({
  ...withFiles(["pom.xml"]),
  maven: {
    ...{ groupId: "g", artifactId: "a", packaging: "jar", modules: [], properties: {}, outerParent: undefined },
    plugins,
  },
});

describe("what speaks for a plugin", () => {
  it.each<[string, Survey]>([
    ["nothing was read", withFiles(["pom.xml", "build.gradle"])],
    ["it is another group's", survey(plugin({ groupId: "com.example" }))],
    ["it is another of the group's", survey(plugin({ artifactId: "jib-other-plugin" }))],
    ["it does not run by itself", survey(plugin({ runs: false }))],
  ])("is nothing where %s", (_what, found) => {
    expect(describePlugin(found, jibPlugin)).toEqual([]);
  });

  it("is its place, with its version where that is known", () => {
    expect(describePlugin(survey(plugin()), jibPlugin)).toEqual(["pom.xml (jib 3.4.6)"]);
    expect(describePlugin(survey(plugin({ version: undefined })), jibPlugin)).toEqual(["pom.xml (jib)"]);
    const place = { file: "build.gradle.kts", line: 3, message: "" };
    const gradle = {
      file: "build.gradle.kts",
      plugins: [{ id: jibPlugin.gradle, version: "3.4.6", place }],
      modules: [],
    };
    expect(describePlugin({ ...withFiles([]), gradle }, jibPlugin)).toEqual(["build.gradle.kts (jib 3.4.6)"]);
  });
});

describe("a setting in a POM", () => {
  const from = (line: number, image: string) =>
    element("configuration", line, [element("from", line + 1, [element("image", line + 2, image)])]);
  const execution = (id: string, line: number) =>
    element("execution", line, [element("id", line, id), from(line + 1, `of ${id}`)]);
  const found = (...children: XmlElement[]) =>
    findSettings(
      listMavenPlugins(survey(plugin({ element: element("plugin", 10, children) }), plugin()).maven, jibPlugin),
      ["from", "image"],
    ).map(({ text, place }) => `${formatPlace(place)} ${text}`);

  it("is not there", () => {
    expect(found()).toEqual([]);
    expect(found(element("configuration", 11, "x"))).toEqual([]);
    expect(found(element("configuration", 11, [element("image", 12, "x")]))).toEqual([]);
  });

  it("is that of the plugin and of what the command line runs, not of other executions", () => {
    expect(
      found(from(11, "a"), element("executions", 20, [execution("build", 21), execution("default-cli", 31)])),
    ).toEqual(["pom.xml:13 a", "pom.xml:34 of default-cli"]);
  });
});
