import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, it } from "vitest";
import { buildpacks } from "./buildpacks.ts";
import { jib } from "./jib.ts";
import { springBoot } from "./spring-boot.ts";
import type { FoundBase, SeenImage } from "./strategy.ts";

const base = (name: string): FoundBase => ({
  names: [name],
  repository: { registry: "r.test", name: "bases/run" },
  digest: fakeDigest("a"),
});
const config = (change: Partial<ImageConfig>): ImageConfig => ({
  ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } },
  ...change,
});
/** As the lifecycle labels it, with this for the run image's reference. */
const exported = (reference: string | undefined): ImageConfig => {
  const metadata = JSON.stringify({ runImage: { topLayer: fakeDigest("b"), reference } });
  return config({ config: { Labels: { "io.buildpacks.lifecycle.metadata": metadata } } });
};
const inDaemon = "b075ae2aee01a9e6a3511f126d49e80608bdd32aff5fbb6b9f943d4533c88fd4";
const seen = (...children: SeenImage["children"][number][]): SeenImage => ({ children });

describe("what an image proves that jib is said to have built", () => {
  const policy = {
    name: "acme",
    builders: [
      { kind: "jib" as const, name: "java", runImage: "golden" },
      { kind: "jib" as const, name: "other", runImage: "other" },
    ],
  };
  const made = (created_by: string) => config({ history: [{}, { created_by }] });

  it.each([
    ["nothing of its builder, on no approved base", seen({ base: undefined }), []],
    ["nothing, where one child is on none", seen({ base: base("golden") }, { base: undefined }), []],
    ["its builder, on that one's base", seen({ base: base("golden") }), ["java"]],
  ])("%s", (_what, image, builders) => {
    expect(jib.prove(image, policy)).toMatchObject({ builders, materials: [] });
  });

  it.each<[string, (ImageConfig | undefined)[], boolean]>([
    ["without a child", [], false],
    ["where nothing was read", [undefined], false],
    ["by nobody's history", [config({})], false],
    ["by another program's name", [made("not-jib-maven-plugin:3.4.6")], false],
    ["by a name that only begins alike", [made("jib-maven-plugin-like:1")], false],
    ["by one of two children", [made("jib-maven-plugin:3.4.6"), config({})], false],
    ["by the Maven plugin", [made("jib-maven-plugin:3.4.6")], true],
    ["by the Gradle plugin, in each", [made("jib-gradle-plugin:3.4.6"), made("jib-gradle-plugin:3.4.6")], true],
  ])("is claimed %s: %o is %s", (_what, configs, isClaimed) => {
    expect(jib.prove(seen(...configs.map((each) => ({ base: undefined, config: each }))), policy).isClaimed).toBe(
      isClaimed,
    );
  });

  it("is judged by a builder of the policy", () => {
    expect(jib.judge({ builders: [], dependencies: [] }, policy)).toHaveLength(1);
    expect(jib.judge({ builders: ["theirs"], dependencies: [] }, policy)).toHaveLength(1);
    expect(jib.judge({ builders: ["java"], dependencies: [] }, policy)).toEqual([]);
  });
});

describe("what an image proves that Spring Boot is said to have built", () => {
  const digests = [fakeDigest("1"), fakeDigest("2")];
  const spring = { kind: "spring-boot" as const, name: "spring", image: "r.test/builder", digests, runImage: "golden" };
  const policy = { name: "acme", builders: [spring] };
  const repository = { registry: "r.test", name: "builder" };

  it("is its builders by its base, with the newest version of their images", () => {
    const image = seen({ base: base("golden"), config: exported(inDaemon) });
    expect(springBoot.prove(image, policy)).toEqual({
      builders: ["spring"],
      materials: [{ name: "builder", repository, digest: fakeDigest("2") }],
      isClaimed: true,
    });
    expect(springBoot.prove(seen({ base: base("other"), config: config({}) }), policy)).toEqual({
      ...{ builders: [], materials: [], isClaimed: false },
    });
    expect(springBoot.plan(spring)).toEqual({ springBootBuilder: { ...repository, digest: fakeDigest("2") } });
  });

  it.each([
    ["a registry, as for the strategy buildpacks", exported(`r.test/bases/run@${fakeDigest("a")}`), "buildpacks"],
    ["a registry, whose reference has a daemon's ID in it", exported(`r.test/run@sha256:${inDaemon}x`), "buildpacks"],
    ["nowhere that it says", exported(undefined), "buildpacks"],
    ["what can't be read", config({ config: { Labels: { "io.buildpacks.lifecycle.metadata": "{" } } }), "buildpacks"],
    ["a daemon", exported(inDaemon), "spring-boot"],
    ["a daemon that has digests for IDs", exported(`sha256:${inDaemon}`), "spring-boot"],
    ["nowhere, without the label", config({}), undefined],
  ])("is claimed where the lifecycle exported to a daemon, and not where to %s", (_what, of, strategy) => {
    const children = seen({ base: undefined, config: of });
    expect(springBoot.prove(children, policy).isClaimed).toBe(strategy === "spring-boot");
    expect(buildpacks.prove(children, { name: "acme", builders: [] }).isClaimed).toBe(strategy === "buildpacks");
  });

  it("is judged by a version of the builder's image that is approved now", () => {
    const judge = (...of: string[]) =>
      springBoot.judge(
        { builders: ["spring"], dependencies: of.map((each) => ({ name: "builder", digest: { sha256: each } })) },
        policy,
      );
    const hex = (digit: string): string => fakeDigest(digit).slice("sha256:".length);
    expect(judge()).toHaveLength(1);
    expect(judge(hex("3"))).not.toEqual([]);
    expect(judge(hex("1"))).toEqual([]);
    expect(judge(hex("2"))).toEqual([]);
  });
});
