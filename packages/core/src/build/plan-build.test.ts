import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import { fakeDigest, samplePolicy } from "@goldenpath/testing/policy";
import { withFiles } from "@goldenpath/testing/survey";
import { describe, expect, it } from "vitest";
import type { Policy } from "../policy/schema.ts";
import { noOptions } from "./options.ts";
import { type BuildRequest, planBuild } from "./plan-build.ts";
import { planTarget } from "./plan-target.ts";
import { emptyProject } from "./project.ts";

const policy = samplePolicy();
const application: BuildRequest["application"] = {
  strategy: "auto",
  builder: undefined,
  module: undefined,
  tree: { top: withFiles(["package.json"]), below: [] },
  context: ".",
};
const request: BuildRequest = {
  tags: ["registry.test:5000/quarantine/shop:1"],
  application,
  options: noOptions,
  project: emptyProject,
  variables: {},
  now: new Date("2026-06-01T00:00:00Z"),
};

const startsWith = (text: string): unknown => expect.stringMatching(new RegExp(`^${text}`));

function refusal(
  change: Partial<BuildRequest>,
  on: Policy = policy,
): { type: string; code: string; rule?: string; message: string; wayOut?: string } {
  try {
    planBuild(on, { ...request, ...change });
  } catch (error) {
    if (error instanceof PolicyViolation) return { ...error, type: "policy", message: error.message };
    if (error instanceof UserError) return { ...error, type: "user", message: error.message };
    throw error;
  }
  throw new Error("it was not refused");
}

describe("what is refused", () => {
  it("is a build on the host where the policy allows containers alone", () => {
    const strict = { ...policy, build: { ...policy.build, isolation: ["container" as const] } };
    expect(refusal({}, strict)).toMatchObject({
      type: "policy",
      code: "build-environment-not-allowed",
      rule: "build.environment",
    });
  });

  it("is a build that has a Docker daemon, where the policy wants builds kept apart; beside the twin that goes without", () => {
    const spring = {
      ...{ kind: "spring-boot" as const, name: "spring", image: "r.test/builder", digests: [fakeDigest("5")] },
      runImage: "golden-run",
    };
    const allow = (isolation: Policy["build"]["isolation"]): Policy => ({
      ...policy,
      build: { ...policy.build, strategies: ["spring-boot"], isolation, builders: [spring] },
    });
    const asked = { application: { ...application, strategy: "spring-boot" as const } };
    expect(refusal(asked, allow(["host", "container"]))).toMatchObject({
      ...{ type: "policy", code: "build-environment-not-allowed", rule: "build.environment" },
      message: expect.stringContaining("this machine's Docker daemon"),
    });
    expect(planBuild(allow(["host-unisolated"]), { ...request, ...asked })).toMatchObject({
      springBootBuilder: { digest: fakeDigest("5") },
    });
  });

  describe("of builder images", () => {
    const image = { name: "node", image: "r.test/builder", digests: [fakeDigest("5")], runImage: "golden-run" };
    const withBuilder = (isolation: Policy["build"]["isolation"], until?: string): Policy => ({
      ...policy,
      build: { ...policy.build, isolation, builders: [until === undefined ? image : { ...image, until }] },
    });

    it("is a build in one where the policy allows hosts alone", () => {
      expect(refusal({}, withBuilder(["host", "host-unisolated"]))).toMatchObject({
        type: "policy",
        rule: "build.environment",
        message: expect.stringContaining("would run in a build image"),
      });
      expect(planBuild(withBuilder(["container"]), request)).toMatchObject({
        builderImage: { digest: fakeDigest("5") },
      });
    });

    it("is one whose last day is over", () => {
      expect(refusal({}, withBuilder(["container"], "2026-05-31"))).toMatchObject({
        type: "policy",
        code: "builder-expired",
        rule: "build.builder",
      });
      expect(planBuild(withBuilder(["container"], "2026-06-01"), request).builder.name).toBe("node");
    });

    it.each([
      ["2026-05-01", "31 days ago, and the policy's builderMaxAge is 30d"],
      ["2026-06-02", "a day that has not come"],
    ])("is one that was approved on %s, where the policy lets an approval grow so old", (approved, says) => {
      const on = (day: string, builderMaxAge?: number): Policy => ({
        ...policy,
        build: {
          ...{ ...policy.build, isolation: ["container"], builders: [{ ...image, approved: day }] },
          ...(builderMaxAge === undefined ? {} : { builderMaxAge }),
        },
      });
      const month = 30 * 86_400_000;
      const error = refusal({}, on(approved, month));
      expect(error).toMatchObject({ type: "policy", code: "builder-expired", rule: "build.builder" });
      expect(error.message).toContain(`approved on ${approved}, ${says}`);
      expect(error.wayOut).toContain("`approved` set to that day");
      expect(planBuild(on("2026-05-02", month), request).builder.name).toBe("node");
      expect(planBuild(on(approved), request).builder.name).toBe("node");
    });
  });

  it("is a strategy that the policy does not list", () => {
    const none = { ...policy, build: { ...policy.build, strategies: [] } };
    expect(refusal({}, none)).toMatchObject({ type: "policy", rule: "build.strategy" });
    expect(refusal({ application: { ...application, strategy: "buildpacks" } }, none)).toMatchObject({
      type: "policy",
      rule: "build.strategy",
    });
  });

  it("is a builder that the policy does not have, with those that it has", () => {
    const error = refusal({ application: { ...application, builder: "ruby" } });
    expect(error).toMatchObject({ type: "user", code: "builder-unknown" });
    expect(error.message).toContain("'ruby'");
    expect(error.message).toContain("node");
  });

  it.each([
    [[], "tags-missing"],
    [["registry.test:5000/quarantine/shop"], "tag-invalid"],
    [[`registry.test:5000/quarantine/shop:1@${fakeDigest("c")}`], "tag-invalid"],
    [["registry.test:5000/quarantine/shop:1", "registry.test:5000/quarantine/shop2:1"], "tags-differ"],
    [["registry.test:5000/quarantine/shop:1", "other.test/quarantine/shop:1"], "tags-differ"],
    [["registry.test:5000/Quarantine:1"], "reference-invalid"],
    // A branch may be called so, and an input may make tags of branches.
    ...["", ".att", ".sig"].map((suffix): [string[], string] => [
      [`registry.test:5000/quarantine/shop:${fakeDigest("c").replace(":", "-")}${suffix}`],
      "input-invalid",
    ]),
    [
      ["registry.test:5000/quarantine/shop:1", `registry.test:5000/quarantine/shop:sha512-${"a".repeat(64)}`],
      "input-invalid",
    ],
  ])("are the tags %j", (tags, code) => {
    expect(refusal({ tags })).toMatchObject({ type: "user", code });
    // A command that has no such input says what it has.
    for (const where of ["input 'tags'", "--to"] as const)
      expect(() => planTarget(policy, tags, where)).toThrow(
        expect.objectContaining({ code, message: startsWith(where) }),
      );
  });

  it.each(["sha-860c190", "sha256", "sha256-x", `x-sha256-${"a".repeat(64)}`])("is not the tag %s", (tag) => {
    const text = `registry.test:5000/quarantine/shop:${tag}`;
    expect(planTarget(policy, [text], "input 'tags'").tags).toMatchObject([{ tag }]);
  });

  it.each(["registry.test:5000/vetted/shop:1", "registry.test:5000/vetted:1"])(
    "is %s, where only promote writes",
    (tag) => {
      const error = refusal({ tags: [tag] });
      expect(error).toMatchObject({ type: "policy", rule: "build.quarantine" });
      expect(error.wayOut).toContain("registry.test:5000/quarantine");
    },
  );

  it("is what is vetted for one environment, though another one promotes from there", () => {
    const staging = {
      ...policy.environments["production"],
      from: ["registry.test:5000/vetted"],
      to: ["registry.test:5000/live"],
    };
    const chained = { ...policy, environments: { ...policy.environments, staging } } as Policy;
    expect(refusal({ tags: ["registry.test:5000/vetted/shop:1"] }, chained)).toMatchObject({
      rule: "build.quarantine",
    });
  });

  it("is a base the day after its approval ends, and not on the last day", () => {
    expect(refusal({ now: new Date("2027-01-01T00:00:00Z") })).toMatchObject({
      type: "policy",
      rule: "base.expired",
      code: "base-expired",
    });
    expect(planBuild(policy, { ...request, now: new Date("2026-12-31T23:59:59Z") }).runImage?.base).toBe("golden-run");
  });
});

describe("the plan", () => {
  it("builds on the newest approved digest: the last one listed", () => {
    const [base] = policy.bases;
    if (base === undefined) throw new Error("the sample policy has a base");
    const two = { ...policy, bases: [{ ...base, digests: [fakeDigest("a"), fakeDigest("e")] }] };
    expect(planBuild(two, request).runImage).toEqual({
      base: "golden-run",
      reference: { registry: "registry.test:5000", name: "bases/run", digest: fakeDigest("e") },
    });
  });

  it("takes the builder that is named, else the first", () => {
    const [builder] = policy.build.builders;
    if (builder === undefined) throw new Error("the sample policy has a builder");
    const two = { ...policy, build: { ...policy.build, builders: [builder, { ...builder, name: "other" }] } };
    expect(planBuild(two, request).builder.name).toBe("node");
    expect(planBuild(two, { ...request, application: { ...application, builder: "other" } }).builder.name).toBe(
      "other",
    );
  });

  it("has each tag once, in one repository, the buildpacks by digest, and nothing to remark", () => {
    const tags = [
      "registry.test:5000/quarantine/shop:1",
      "registry.test:5000/quarantine/shop:2",
      "registry.test:5000/quarantine/shop:1",
    ];
    const plan = planBuild(policy, { ...request, tags });
    expect(plan.repository).toEqual({ registry: "registry.test:5000", name: "quarantine/shop" });
    expect(plan.tags.map((tag) => tag.tag)).toEqual(["1", "2"]);
    expect(plan.buildpacks).toEqual([
      { registry: "registry.test:5000", name: "buildpacks/node", digest: fakeDigest("b") },
    ]);
    expect(plan.remarks).toEqual([]);
  });

  it("remarks where nothing can be promoted from", () => {
    expect(planBuild(policy, { ...request, tags: ["registry.test:5000/quarantine2/shop:1"] }).remarks).toHaveLength(1);
  });
});
