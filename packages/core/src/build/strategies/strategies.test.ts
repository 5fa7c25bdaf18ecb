import { fakeDigest, samplePolicy } from "@goldenpath/testing/policy";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { buildpacks } from "./buildpacks.ts";
import {
  buildsHere,
  findByBuildType,
  findStrategy,
  kindOf,
  listBuildImages,
  ownPolicy,
  strategyNames,
} from "./find.ts";
import { runners } from "./runners.ts";
import { strategies } from "./strategies.ts";
import { type FoundBase, judgeBuilders, listBuildersOnBase, type SeenImage } from "./strategy.ts";

const base = (...names: string[]): FoundBase => ({
  names,
  repository: { registry: "r.test", name: "bases/run" },
  digest: fakeDigest("a"),
});
const seen = (...bases: (FoundBase | undefined)[]): SeenImage => ({ children: bases.map((each) => ({ base: each })) });
const builder = { name: "node", buildpacks: [`r.test/node@${fakeDigest("b")}`], runImage: "golden" };
const policy = {
  name: "acme",
  builders: [builder, { ...builder, name: "java" }, { ...builder, name: "go", runImage: "other" }],
};

describe("the tables", () => {
  it("have each name and each build type once, and a runner for each that builds", () => {
    expect(new Set(strategyNames).size).toBe(strategies.length);
    expect(new Set(strategies.map(({ buildType }) => buildType)).size).toBe(strategies.length);
    expect(Object.keys(runners)).toEqual(strategyNames.filter(buildsHere));
    for (const name of strategyNames) expect(findByBuildType(findStrategy(name).buildType)?.name).toBe(name);
  });

  it("have no strategy called auto, which is what the inputs call any", () => {
    expect(strategyNames).not.toContain("auto");
  });

  it("have builders that say what they are of", () => {
    for (const { name, builderSchema } of strategies) {
      const { kind } = z.toJSONSchema(builderSchema, { io: "input", unrepresentable: "any" }).properties ?? {};
      expect(kind).toMatchObject({ const: name });
    }
  });

  it("know no build type but their own", () => {
    expect(findByBuildType("https://example.com/my-build/v1")).toBeUndefined();
    expect(findByBuildType("")).toBeUndefined();
  });
});

describe("whose a builder is", () => {
  it("is no strategy's that it does not name; without a name it is of buildpacks", () => {
    expect(kindOf({ kind: "other", name: "x", runImage: "golden" })).toBe("other");
    expect(kindOf(builder)).toBe("buildpacks");
    const both = { ...samplePolicy(), build: { builders: [{ ...builder, kind: "other" }, builder] } };
    expect(ownPolicy(both, buildpacks)).toEqual({ name: "acme", builders: [builder] });
  });
});

describe("what an image proves of its builder", () => {
  it.each([
    ["nothing, on no base", seen(undefined), []],
    ["nothing, where one child is on no base", seen(base("golden"), undefined), []],
    ["nothing, without a child", seen(), []],
    ["nothing, on a base that no builder puts anything on", seen(base("third")), []],
    ["whoever builds on its base", seen(base("golden")), ["node", "java"]],
    ["whoever builds on a base of these layers, by any of its names", seen(base("third", "other")), ["go"]],
    ["whoever builds on the base of any child", seen(base("golden"), base("other")), ["node", "java", "go"]],
  ])("%s", (_what, image, names) => {
    expect(listBuildersOnBase(image, policy.builders).map(({ name }) => name)).toEqual(names);
    expect(buildpacks.prove(image, policy).builders).toEqual(names);
  });

  it("names each buildpack of those builders once, by digest, with what is for people left out", () => {
    const tagged = {
      ...builder,
      buildpacks: [...builder.buildpacks, `r.test/java:1@${fakeDigest("c")}`],
      name: "both",
    };
    expect(buildpacks.prove(seen(base("golden")), { name: "acme", builders: [builder, tagged] }).materials).toEqual([
      { name: "buildpack", repository: { registry: "r.test", name: "node" }, digest: fakeDigest("b") },
      { name: "buildpack", repository: { registry: "r.test", name: "java" }, digest: fakeDigest("c") },
    ]);
  });

  it("is not proven by the lifecycle's label, which is a claim: of an image with it on each child", () => {
    const config = (labels: Record<string, string>) => ({
      ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [] } },
      config: { Labels: labels },
    });
    const marked = config({ "io.buildpacks.lifecycle.metadata": "{}" });
    const claims = (...configs: (ReturnType<typeof config> | undefined)[]) =>
      buildpacks.prove({ children: configs.map((each) => ({ base: undefined, config: each })) }, policy);
    expect(claims(config({}))).toEqual({ builders: [], materials: [], isClaimed: false });
    expect(claims(marked, undefined).isClaimed).toBe(false);
    expect(claims().isClaimed).toBe(false);
    expect(claims(marked)).toEqual({ builders: [], materials: [], isClaimed: true });
  });
});

describe("a provenance's builders", () => {
  it.each([
    [[], "no builder of the policy"],
    [["theirs"], "builder 'theirs'"],
    [["node", "theirs", "others"], "builder 'theirs', 'others'"],
  ])("%j are refused", (builders, found) => {
    expect(judgeBuilders({ builders, dependencies: [] }, policy)).toEqual([
      { problem: `the provenance names ${found}`, wayOut: "Build with a builder of the policy (node, java, go)." },
    ]);
  });

  it("are accepted where the policy has each", () => {
    expect(judgeBuilders({ builders: ["node", "go"], dependencies: [] }, policy)).toEqual([]);
  });
});

describe("a builder image", () => {
  const image = "r.test/builder";
  const java = {
    ...{ name: "java", image, digests: [fakeDigest("1"), fakeDigest("2")], runImage: "golden" },
  };
  const own = { name: "acme", builders: [builder, java] };
  const dependency = (digest: string) => ({ name: "builder", digest: { sha256: digest.slice("sha256:".length) } });
  const judge = (builders: string[], ...digests: string[]) =>
    buildpacks.judge({ builders, dependencies: digests.map(dependency) }, own).map(({ problem }) => problem);

  it("is what new builds use, in its newest version, and is named by that", () => {
    expect(buildpacks.plan(java)).toEqual({
      buildpacks: [],
      builderImage: { registry: "r.test", name: "builder", digest: fakeDigest("2") },
      lifecycleImage: undefined,
    });
    expect(buildpacks.prove(seen(base("golden")), { name: "acme", builders: [java] }).materials).toEqual([
      { name: "builder", repository: { registry: "r.test", name: "builder" }, digest: fakeDigest("2") },
    ]);
  });

  it("is a root of its own for what runs in it, which buildpacks alone are not", () => {
    expect(buildpacks.isContained(java)).toBe(true);
    expect(buildpacks.isContained(builder)).toBe(false);
  });

  it("does not count where the policy does not have it, or where a provenance does not name it", () => {
    expect(judge(["java"], fakeDigest("9"))).toEqual([
      `the provenance names the builder image ${fakeDigest("9")}, which no builder has`,
      "the provenance names no approved image of builder 'java'",
    ]);
    expect(judge(["java"])).toEqual(["the provenance names no approved image of builder 'java'"]);
    expect(judge(["node"], fakeDigest("9"))).toHaveLength(1);
    expect(judge(["java"], fakeDigest("1"))).toEqual([]);
    expect(judge(["java", "node"], fakeDigest("2"))).toEqual([]);
    expect(judge(["node"])).toEqual([]);
  });

  it("is none of the images that applications stand on", () => {
    expect(listBuildImages([builder, java])).toEqual([
      { name: "java", image, digests: [fakeDigest("1"), fakeDigest("2")] },
    ]);
  });
});
