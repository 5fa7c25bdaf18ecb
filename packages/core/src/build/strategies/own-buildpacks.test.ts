import { isKnownError } from "@goldenpath/foundation/errors";
import { fakeDigest } from "@goldenpath/testing/policy";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { parseProject } from "../project.ts";
import {
  type Allowance,
  describeInline,
  planOwnBuildpacks,
  renderDescriptor,
  renderOwnOrder,
} from "./own-buildpacks.ts";

const digest = fakeDigest("c");
const image = `r.test/buildpacks/extra@${digest}`;
const none: Allowance = { name: "node" };
const all: Allowance = { name: "node", allowInline: true, allowBuildpacks: [image] };
const inline = (id = "acme/seed", more = ""): string =>
  `[[io.buildpacks.group]]\nid = "${id}"\n${more}[io.buildpacks.group.script]\napi = "0.10"\ninline = "echo hi"\n`;
const uri = (text: string): string => `[[io.buildpacks.group]]\nuri = "${text}"\n`;
const declare = (text: string) => parseProject(`[_]\nschema-version = "0.2"\n\n${text}`).buildpacks ?? [];
const plan = (text: string, allowance: Allowance) =>
  planOwnBuildpacks(declare(text), allowance, { file: "shop/project.toml" });

function refusal(text: string, allowance: Allowance) {
  try {
    plan(text, allowance);
  } catch (error) {
    if (isKnownError(error)) return { ...error, name: error.name, message: error.message };
    throw error;
  }
  throw new Error("it was not refused");
}

describe("what an application brings, and its builder does not allow", () => {
  test.each([
    ["an inline buildpack, under no word of the policy", inline(), none],
    ["an inline buildpack, where images are allowed", inline(), { ...none, allowBuildpacks: [image] }],
    ["one before the builder's", inline().replaceAll("io.buildpacks.group", "io.buildpacks.pre.group"), none],
    ["one after them", inline().replaceAll("io.buildpacks.group", "io.buildpacks.post.group"), none],
    ["an image that the policy has, for another builder", uri(`docker://${image}`), none],
    ["an image that it does not have", uri(`docker://r.test/evil@${digest}`), all],
    ["its image by another digest", uri(`docker://r.test/buildpacks/extra@${fakeDigest("d")}`), all],
    ["its image by a tag", uri("docker://r.test/buildpacks/extra:1"), all],
    ["an archive", uri("https://evil.example/buildpack.tgz"), all],
    ["one of the public registry", uri("urn:cnb:registry:paketo-buildpacks/nodejs"), all],
    ["a folder of the application", uri("./buildpack"), all],
    ["a name that may be anybody's", uri("paketo-buildpacks/nodejs@1.0.0"), all],
  ])("is refused at its line: %s", (_what, text, allowance) => {
    const error = refusal(`[[io.buildpacks.build.env]]\nname = "A"\nvalue = "1"\n${text}`, allowance);
    expect(error).toMatchObject({
      ...{ name: "PolicyViolation", code: "buildpacks-not-allowed", rule: "build.buildpacks" },
      message: expect.stringContaining("shop/project.toml:7 brings"),
      places: [{ file: "shop/project.toml", line: 7 }],
      wayOut: expect.stringContaining("Allowed now: those that the builder has, by id"),
    });
    if (allowance === all) expect(error.wayOut).toContain(`inline ones; docker://${image}`);
  });

  test.each([
    ["a script and a uri at once", inline("a", 'uri = "docker://x"\n'), "both a uri and a script"],
    ["no id", inline(""), "no buildpack's name"],
    ["an id that leaves its folder", inline("../../etc"), "no buildpack's name"],
    ["a version that does", inline("a", 'version = "../1"\n'), "no buildpack's name"],
    ["no interface", inline().replace('api = "0.10"\n', ""), "a Buildpack API such as 0.10"],
    ["no script", inline().replace("echo hi", " "), "without a script"],
    ["a shell that is two lines", `${inline()}shell = "/bin/sh\\nevil"\n`, "no program's path"],
    ["the same id twice", inline() + inline(), "twice"],
  ])("is an error where it is malformed: %s", (_what, text, says) => {
    const error = refusal(text, all);
    expect(error).toMatchObject({
      name: "UserError",
      code: "project-invalid",
      places: [{ line: says === "twice" ? 9 : 4 }],
    });
    expect(error.message).toContain(says);
  });
});

describe("what an application brings, and its builder allows", () => {
  const groups = [[{ id: "node", version: "1.0.0" }], [{ id: "static", version: "2.0.0", optional: true }]];
  const known = groups.flat().map(({ id, version }) => ({ id, version }));
  const images = [{ id: "extra", version: "3.0.0" }];
  const orderOf = (text: string) => {
    const { order } = parse(renderOwnOrder(plan(text, all) ?? [], { groups, known, images })) as {
      order: { group: { id: string; version: string; optional?: boolean }[] }[];
    };
    return order.map(({ group }) => group.map((each) => `${each.id}@${each.version}${each.optional ? "?" : ""}`));
  };

  test("takes the place of the builder's, by its order", () => {
    const text = `${uri(`docker://${image}`)}${inline()}[[io.buildpacks.group]]\nid = "node"\n`;
    expect(orderOf(text)).toEqual([["extra@3.0.0", "acme/seed@0.0.0", "node@1.0.0"]]);
  });

  test("goes around each group of the builder's", () => {
    const around = `${inline("a").replaceAll("buildpacks.group", "buildpacks.pre.group")}${inline("z").replaceAll("buildpacks.group", "buildpacks.post.group")}`;
    const expected = [
      ["a@0.0.0", "node@1.0.0", "z@0.0.0"],
      ["a@0.0.0", "static@2.0.0?", "z@0.0.0"],
    ];
    expect(orderOf(around)).toEqual(expected);
    expect(orderOf(`${inline("a")}${uri("from=builder")}${inline("z")}`)).toEqual(expected);
    expect(orderOf(`${inline("a")}${uri("urn:cnb:builder:static@2.0.0")}`)).toEqual([["a@0.0.0", "static@2.0.0"]]);
  });

  test.each([
    ["one that the builder has not", `${inline()}[[io.buildpacks.group]]\nid = "php"\n`, "no buildpack 'php'"],
    ["one of another version", `${inline()}${uri("urn:cnb:builder:node@9.9.9")}`, "no buildpack 'node' 9.9.9"],
    ["a script under the name of the builder's", inline("node"), "has the id of one that the builder has"],
  ])("but not %s", (_what, text, says) => {
    expect(() => orderOf(text)).toThrow(says);
    expect(() => renderDescriptor(plan(text, all) ?? [], known)).toThrow(says);
  });

  test("is handed to pack by digest and by the builder's own versions, and nothing else of the file is", () => {
    const text = `${uri(`docker://${image}`)}${inline("acme/seed", 'builder = "evil"\n')}[[io.buildpacks.group]]\nid = "node"\n`;
    expect(parse(renderDescriptor(plan(text, all) ?? [], known))).toEqual({
      _: { "schema-version": "0.2" },
      io: {
        buildpacks: {
          group: [
            { uri: `docker://${image}` },
            { id: "acme/seed", version: "0.0.0", script: { api: "0.10", inline: "echo hi", shell: "/bin/sh" } },
            { uri: "urn:cnb:builder:node@1.0.0" },
          ],
        },
      },
    });
    expect(parse(renderDescriptor([], known))).toEqual({ _: { "schema-version": "0.2" }, io: { buildpacks: {} } });
  });

  test("is a tool of the result with the digest of its script", () => {
    const [one] = describeInline(plan(inline(), all) ?? []);
    const [other] = describeInline(plan(inline().replace("echo hi", "echo ho"), all) ?? []);
    expect(one).toMatchObject({ name: "inline buildpack acme/seed", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(other?.sha256).not.toBe(one?.sha256);
  });
});

test("a list of the builder's own alone is the policy's to make, and passed over", () => {
  for (const text of ['[[io.buildpacks.group]]\nid = "node"\n', uri("urn:cnb:builder:node"), uri("from=builder")])
    expect(plan(text, all)).toBeUndefined();
});
