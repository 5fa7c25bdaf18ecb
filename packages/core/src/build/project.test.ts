import { describe, expect, it } from "vitest";
import { parseProject } from "./project.ts";

describe("parseProject", () => {
  it.each([
    ["is not TOML", "[[", "line 1"],
    ["has an unknown version", '[_]\nschema-version = "9.0"', "'9.0'"],
    [
      "excludes and includes",
      '[_]\nschema-version = "0.2"\n[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]',
      "both include and exclude",
    ],
    ["excludes what is no text", '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = [1]', "exclude"],
    [
      "has a variable that is a path",
      '[_]\nschema-version = "0.2"\n[[io.buildpacks.build.env]]\nname = "../../bin/x"\nvalue = "1"',
      "'../../bin/x' is not the name of a variable",
    ],
  ])("refuses a file that %s", (_what, text, says) => {
    expect(() => parseProject(text)).toThrow(says);
  });

  // Each would have gone on before, with the file in the image or without the variable.
  it.each([
    [
      "exclude of 0.2 without a version",
      '[io.buildpacks]\nexclude = ["secret.env"]',
      "io.buildpacks.exclude",
      'schema-version = "0.2"',
    ],
    [
      "Exclude of 0.2 without a version",
      '[Io.Buildpacks]\nExclude = ["a"]',
      "io.buildpacks.Exclude",
      'schema-version = "0.2"',
    ],
    [
      "Exclude of 0.1 in another table under 0.2",
      `${v("0.2")}[Build]\nExclude = ["a"]`,
      "build.exclude",
      "under [io.buildpacks]",
    ],
    [
      "a table beside the one of the same name",
      `${v("0.2")}[io.buildpacks]\n[io.Buildpacks]\nexclude = ["a"]`,
      "io.Buildpacks",
      "under",
    ],
    ["a table whose name has a dot", '"io.buildpacks" = { exclude = ["a"] }', "io.buildpacks", "under [build]"],
    [
      "include of 0.2 without a version",
      '[io.buildpacks]\ninclude = ["src"]',
      "io.buildpacks.include",
      'schema-version = "0.2"',
    ],
    [
      "a variable of 0.2 without a version",
      '[[io.buildpacks.build.env]]\nname = "K"\nvalue = "V"',
      "io.buildpacks.build",
      '"0.2"',
    ],
    [
      "the older variable of 0.2 under 0.1",
      `${v("0.1")}[[io.buildpacks.env.build]]\nname = "K"\nvalue = "V"`,
      "io.buildpacks.env",
      '"0.2"',
    ],
    ["exclude of 0.1 under 0.2", `${v("0.2")}[build]\nexclude = ["a"]`, "build.exclude", "under [io.buildpacks]"],
    ["Exclude of 0.1 under 0.2", `${v("0.2")}[build]\nExclude = ["a"]`, "build.exclude", "under [io.buildpacks]"],
    [
      "a variable of 0.1 under 0.3",
      `${v("0.3")}[[build.env]]\nname = "K"\nvalue = "V"`,
      "build.env",
      "under [io.buildpacks]",
    ],
    [
      "the older variable under 0.3",
      `${v("0.3")}[[io.buildpacks.env.build]]\nname = "K"\nvalue = "V"`,
      "io.buildpacks.env",
      "[[io.buildpacks.build.env]]",
    ],
    [
      "a misspelt exclude",
      `${v("0.2")}[io.buildpacks]\nexlude = ["a"]`,
      "io.buildpacks.exlude",
      "'io.buildpacks.exclude'",
    ],
    ["a plural", `${v("0.2")}[io.buildpacks]\nexcludes = ["a"]`, "io.buildpacks.excludes", "'io.buildpacks.exclude'"],
    ["a misspelt exclude of 0.1", '[build]\nexcude = ["a"]', "build.excude", "'build.exclude'"],
    [
      "exclude one table too deep",
      `${v("0.2")}[io.buildpacks.build]\nexclude = ["a"]`,
      "io.buildpacks.build.exclude",
      "There is no such key there",
    ],
    ["exclude one table too high", `${v("0.2")}[io]\nexclude = ["a"]`, "io.exclude", "under [io.buildpacks]"],
    ["exclude at the top", `exclude = ["a"]\n${v("0.2")}`, "'exclude'", "under [io.buildpacks]"],
    ["exclude in [_]", '[_]\nschema-version = "0.2"\nexclude = ["a"]', "_.exclude", "There is no such key there"],
    ["a table without io", `${v("0.2")}[buildpacks]\nexclude = ["a"]`, "'buildpacks'", "under [io.buildpacks]"],
    ["a misspelt table", `${v("0.2")}[io.buildpack]\nexclude = ["a"]`, "io.buildpack'", "under [io.buildpacks]"],
    [
      "a misspelt version",
      '[_]\nschema_version = "0.2"\n[io.buildpacks]\nexclude = ["a"]',
      "schema_version",
      "'_.schema-version'",
    ],
    [
      "a variable in a group",
      `${v("0.2")}[io.buildpacks.builds]\nenv = []`,
      "io.buildpacks.builds",
      "'io.buildpacks.build'",
    ],
    [
      "a pattern that matches nothing",
      `${v("0.2")}[io.buildpacks]\nexclude = ["./secret.env"]`,
      "'./secret.env'",
      "'secret.env' for",
    ],
    ["a pattern above the application", '[build]\ninclude = ["../src"]', "'../src'", "own folder"],
    ["two patterns in one", '[build]\nexclude = ["a\\nb"]', "can match nothing", "one pattern each"],
    [
      "an older variable that the newer ones hide",
      `${v("0.2")}[[io.buildpacks.env.build]]\nname = "OLD"\nvalue = "1"\n[[io.buildpacks.build.env]]\nname = "NEW"\nvalue = "2"`,
      "'OLD'",
      "Move it",
    ],
  ])("refuses %s, and says what to write", (_what, text, says, wayOut) => {
    expect(failureOf(text)).toMatchObject({
      code: "project-invalid",
      message: expect.stringContaining(says),
      wayOut: expect.stringContaining(wayOut),
    });
  });

  it.each([
    ["exclude as a text", `${v("0.2")}[io.buildpacks]\nexclude = "secret.env"`, "exclude"],
    ["a version as a number", '[_]\nschema-version = 0.2\n[io.buildpacks]\nexclude = ["a"]', "schema-version"],
    ["a variable's value as a number", '[[build.env]]\nname = "A"\nvalue = 1', "value"],
    ["variables in a list of another place", `${v("0.2")}[[io.buildpacks.env]]\nname = "A"\nvalue = "1"`, "env"],
    ["a table as a list", `${v("0.2")}[[io.buildpacks]]\nexclude = ["a"]`, "io.buildpacks"],
  ])("refuses %s", (_what, text, says) => {
    expect(failureOf(text)).toMatchObject({ code: "project-invalid", message: expect.stringContaining(says) });
  });

  it("takes what is the application's to say, and passes over what is the policy's", () => {
    const text =
      '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil"\nexclude = ["docs/"]\n[[io.buildpacks.group]]\nid = "evil"\n[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"';
    expect(parseProject(text)).toEqual({
      exclude: ["docs/"],
      env: { A: "1" },
      buildpacks: [{ list: "group", id: "evil", line: 6 }],
      passedOver: ["builder", "its own buildpacks"],
      remarks: [],
    });
  });

  it.each(["io.buildpacks.pre", "io.buildpacks.post"])("passes over buildpacks in %s", (place) => {
    expect(parseProject(`${v("0.2")}[[${place}.group]]\nid = "x"`).passedOver).toEqual(["its own buildpacks"]);
  });

  it("reads the first schema, with its version and, saying so, without", () => {
    const text = '[build]\ninclude = ["src"]\n[[build.buildpacks]]\nid = "x"\n[[build.env]]\nname = "B"\nvalue = "2"';
    const of = (line: number) => ({
      ...{ include: ["src"], env: { B: "2" }, passedOver: ["its own buildpacks"] },
      buildpacks: [{ list: "group", id: "x", line }],
    });
    expect(parseProject(v("0.1") + text)).toEqual({ ...of(5), remarks: [] });
    const remarks = ["project.toml has no schema version, and is read as one of 0.1"];
    expect(parseProject(text)).toEqual({ ...of(3), remarks });
    expect(parseProject(`[_]\nschema-version = ""\n${text}`)).toEqual({ ...of(5), remarks });
  });

  it("takes the older place of a variable, and says that it is one", () => {
    const older = `${v("0.2")}[[io.buildpacks.env.build]]\nname = "K"\nvalue = "V"`;
    const remarks = [expect.stringContaining("[[io.buildpacks.env.build]] is deprecated")];
    expect(parseProject(older)).toEqual({ env: { K: "V" }, passedOver: [], remarks });
    const both = `${older}\n[[io.buildpacks.build.env]]\nname = "K"\nvalue = "newer"`;
    expect(parseProject(both)).toMatchObject({ env: { K: "newer" }, remarks });
  });

  it("takes a key in other letters where the exact one is not there, as Go's decoder does", () => {
    expect(parseProject(`${v("0.2")}[io.Buildpacks]\nExclude = ["a"]`)).toMatchObject({ exclude: ["a"], remarks: [] });
    expect(parseProject('[_]\nSchema-Version = "0.2"\n[IO.buildpacks]\nEXCLUDE = ["a"]')).toMatchObject({
      exclude: ["a"],
      remarks: [],
    });
  });

  it("drops blanks in front of a pattern, as pack does", () => {
    expect(parseProject(`${v("0.2")}[io.buildpacks]\nexclude = [" secret.env", "a b"]`).exclude).toEqual([
      "secret.env",
      "a b",
    ]);
  });

  it("passes over a byte order mark", () => {
    expect(parseProject(`\uFEFF${v("0.2")}[io.buildpacks]\nexclude = ["a"]`).exclude).toEqual(["a"]);
  });

  it("leaves out a variable of 0.3 that is for another environment", () => {
    const of = (name: string, environments: string): string =>
      `[[io.buildpacks.build.env]]\nname = "${name}"\nvalue = "1"\nexec-env = ${environments}\n`;
    const text = v("0.3") + of("A", '["test"]') + of("B", '["test", "production"]') + of("C", '["*"]') + of("D", "[]");
    expect(Object.keys(parseProject(text).env)).toEqual(["B", "C", "D"]);
  });

  it.each([
    [
      "a builder of the other schema",
      '[io.buildpacks]\nbuilder = "x"',
      "'io.buildpacks.builder' is no key of schema version 0.1",
    ],
    [
      "an unknown key",
      `${v("0.2")}[io.buildpacks]\nlevel = "x"`,
      "'io.buildpacks.level' is no key of schema version 0.2",
    ],
    [
      "a group's other spelling",
      `${v("0.2")}[[io.buildpacks.groups]]\nid = "x"`,
      "Did you mean 'io.buildpacks.group'?",
    ],
    ["another word about the project", '[_]\nschema-version = "0.2"\ndescription = "x"', "'_.description' is no key"],
    [
      "a key of a variable",
      `${v("0.2")}[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"\nlevel = "x"`,
      "'io.buildpacks.build.env.level'",
    ],
  ])("goes on with %s, and says that it has no effect", (_what, text, says) => {
    expect(parseProject(text).remarks).toEqual([expect.stringContaining(says)]);
  });

  it.each([
    ["another tool", '[project]\nname = "shop"\n[tool.x]\nexclude = ["a"]'],
    ["a vendor", `${v("0.2")}[io.example]\nexclude = ["a"]\n[com.example.build]\nenv = "x"`],
    [
      "somebody's own notes",
      '[_]\nschema-version = "0.2"\nname = "shop"\n[_.metadata]\nexclude = "x"\n[[_.licenses]]\ntype = "MIT"',
    ],
    ["somebody's own notes of 0.1", '[metadata]\nexclude = "x"\n[project]\nname = "shop"\nid = "a"'],
    ["a table of a common name", `${v("0.2")}[build]\ntarget = "x"`],
  ])("finds nothing in the words of %s", (_what, text) => {
    expect(parseProject(text)).toEqual({ env: {}, passedOver: [], remarks: [] });
  });
});

function v(version: string): string {
  return `[_]\nschema-version = "${version}"\n`;
}

function failureOf(text: string): unknown {
  try {
    return parseProject(text);
  } catch (error) {
    return error;
  }
}
