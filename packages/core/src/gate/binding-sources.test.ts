import { policy } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { LoadedPolicy } from "../policy/schema.ts";
import { judgeSource, type SourceBinding } from "./binding.ts";

const shop = "https://github.com/acme/shop";
const workflow = "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main";
const caller = `${shop}/.github/workflows/ci.yml@refs/heads/main`;
const built = {
  sourceRepository: shop,
  sourceRef: "refs/heads/main",
  event: "push",
  callerId: caller,
  builderId: workflow,
};
type Built = Parameters<typeof judgeSource>[1];

const withSources = (...sources: LoadedPolicy["policy"]["build"]["sources"]) => ({
  ...policy.policy,
  build: { ...policy.policy.build, sources },
});
const judge = (source: Omit<SourceBinding, "repository">, change: Partial<Built> = {}) =>
  judgeSource(withSources({ repository: shop, ...source }), { ...built, ...change }, undefined);
const isNotTaken = (why: string) => [
  {
    rule: "gate.source",
    problem: `the build from ${shop} is none that the policy accepts from there: ${why}`,
    wayOut: "Build as build.sources says, or have the policy's owners add this one to build.sources.",
  },
];

describe("a build of a repository that no entry names", () => {
  const sources = ["https://github.com/acme/cart", { repository: "https://github.com/acme/blog" }];
  test("is refused, and told which ones the policy takes", () => {
    expect(judgeSource(withSources(...sources), built, undefined)).toEqual([
      {
        rule: "gate.source",
        problem: `the image was built from ${shop}, and the policy accepts builds from https://github.com/acme/cart, https://github.com/acme/blog`,
        wayOut: "Build from one of those repositories, or have the policy's owners add this one to build.sources.",
      },
    ]);
  });
  test("and its twin passes", () => expect(judgeSource(withSources(...sources, shop), built, undefined)).toEqual([]));
});

describe("what an entry asks of a build, by what the build has instead", () => {
  const tag = "refs/tags/v1";
  const other = "https://github.com/acme/platform/.github/workflows/other.yml@refs/heads/main";
  const demands: [what: string, source: Omit<SourceBinding, "repository">, field: keyof Built, instead: string][] = [
    ["its ref", { refs: ["refs/heads/release", "refs/heads/main"] }, "sourceRef", tag],
    ["its builder", { workflows: [caller, workflow] }, "builderId", other],
    ["its workflow", { callers: [workflow, caller] }, "callerId", other],
    ["its event", { events: ["release", "push"] }, "event", "schedule"],
  ];
  test.each(demands)("%s is another", (what, source, field, instead) => {
    const wanted = Object.values(source).flat().join(", ");
    expect(judge(source, { [field]: instead })).toEqual(isNotTaken(`${what} is ${instead}, and it takes ${wanted}`));
  });
  test.each(demands)("%s is not known", (what, source, field) => {
    const wanted = Object.values(source).flat().join(", ");
    expect(judge(source, { [field]: undefined })).toEqual(isNotTaken(`${what} is unknown, and it takes ${wanted}`));
  });
  test.each(demands)("the twin: %s is one of those", (_what, source) => expect(judge(source)).toEqual([]));
  test("the twin: all of them are", () => {
    const all: Omit<SourceBinding, "repository"> = Object.assign({}, ...demands.map(([, source]) => source));
    expect(judge(all)).toEqual([]);
    for (const [what, , field, instead] of demands)
      expect(judge(all, { [field]: instead })[0]?.problem).toContain(`${what} is ${instead}`);
  });
});

describe("the event, where an entry names none", () => {
  const defaults = ["push", "release", "create", "schedule", "workflow_dispatch", "repository_dispatch"];
  test.each(["pull_request", "pull_request_target", "workflow_run", "issue_comment", "merge_group", ""])(
    "'%s' is refused, whatever else the entry names",
    (event) => {
      const refused = isNotTaken(`its event is ${event}, and it takes ${defaults.join(", ")}`);
      expect(judge({}, { event })).toEqual(refused);
      expect(judge({ refs: ["refs/heads/main"] }, { event })).toEqual(refused);
    },
  );
  test.each([...defaults, undefined])("%s is taken", (event) => expect(judge({}, { event })).toEqual([]));
  test("and one that it names is taken, but no other", () => {
    expect(judge({ events: ["merge_group"] }, { event: "push" })).toHaveLength(1);
    expect(judge({ events: ["merge_group"] }, { event: "merge_group" })).toEqual([]);
  });
});

describe("a pull request's ref, of a build that states no event", () => {
  const sourceRef = "refs/pull/7/merge";
  test("is refused where the entry names neither refs nor events", () => {
    const refused = isNotTaken(`its ref is ${sourceRef}, and it takes no pull request's`);
    expect(judge({}, { sourceRef, event: undefined })).toEqual(refused);
    expect(judge({}, { sourceRef })).toEqual(refused);
  });
  test("is taken where the entry names it, or the event", () => {
    expect(judge({ refs: ["refs/pull/*/merge"] }, { sourceRef, event: undefined })).toEqual([]);
    expect(judge({ events: ["pull_request"] }, { sourceRef, event: "pull_request" })).toEqual([]);
  });
  test("is no other's: those pass, and so does a build that states no ref", () => {
    expect(judge({}, { sourceRef: "refs/heads/refs/pull/", event: undefined })).toEqual([]);
    expect(judge({}, { sourceRef: undefined, event: undefined })).toEqual([]);
  });
});

describe("several entries for one repository", () => {
  const main: SourceBinding = { repository: shop, refs: ["refs/heads/main"] };
  const tags: SourceBinding = { repository: "https://github.com/acme/*", refs: ["refs/tags/*"] };
  test("refuse what none of them takes, each for its own reason and each reason once", () => {
    const topic = { ...built, sourceRef: "refs/heads/topic" };
    expect(judgeSource(withSources(main, tags, main), topic, undefined)).toEqual(
      isNotTaken(
        "its ref is refs/heads/topic, and it takes refs/heads/main; or its ref is refs/heads/topic, and it takes refs/tags/*",
      ),
    );
  });
  test("take what one of them takes", () => expect(judgeSource(withSources(main, tags), built, undefined)).toEqual([]));
  test("have to take all of it at once", () => {
    const release: SourceBinding = { ...tags, refs: ["refs/tags/*"], events: ["release"] };
    const push: SourceBinding = { ...main, events: ["push"] };
    const of = (sourceRef: string, event: string) =>
      judgeSource(withSources(push, release), { ...built, sourceRef, event }, undefined);
    expect(of("refs/heads/main", "release")).toHaveLength(1);
    expect(of("refs/tags/v1", "push")).toHaveLength(1);
    expect(of("refs/tags/v1", "release")).toEqual([]);
  });
});

describe("what a build may become", () => {
  const to = (name: string) => ({ registry: "registry.example", name });
  const become = (patterns: string[], name: string, sourceRepository = shop) =>
    judgeSource(
      withSources({ repository: sourceRepository, to: patterns }),
      { ...built, sourceRepository },
      to(name),
    ).map(({ rule }) => rule);

  test.each<[what: string, patterns: string[], name: string]>([
    ["another repository", ["registry.example/vetted/shop"], "vetted/cart"],
    ["one that begins like it", ["registry.example/vetted/shop"], "vetted/shop2"],
    ["one below it", ["registry.example/vetted/shop"], "vetted/shop/more"],
    ["one that is elsewhere than below", ["registry.example/vetted/"], "other/shop"],
    ["one beside what lies below", ["registry.example/vetted/"], "vetted2/shop"],
    ["what lies below is below", ["registry.example/vetted/"], "vetted"],
    ["another name than its own", ["registry.example/vetted/{name}"], "vetted/cart"],
    ["another owner's", ["registry.example/{owner}/{name}"], "evil/shop"],
    ["its name and owner turned around", ["registry.example/{owner}/{name}"], "shop/acme"],
  ])("not %s", (_what, patterns, name) => expect(become(patterns, name)).toEqual(["gate.destination"]));

  test.each<[what: string, patterns: string[], name: string]>([
    ["that very repository", ["registry.example/vetted/shop"], "vetted/shop"],
    ["what lies below, where the entry ends in a slash", ["registry.example/vetted/"], "vetted/a/shop"],
    ["one of several", ["registry.example/a/shop", "registry.example/b/shop"], "b/shop"],
    [
      "its own name and owner, more than once",
      ["registry.example/{owner}/{owner}-{name}/{name}"],
      "acme/acme-shop/shop",
    ],
  ])("%s", (_what, patterns, name) => expect(become(patterns, name)).toEqual([]));

  test("its own name in lower case, as repositories of images have it", () => {
    expect(become(["registry.example/{owner}/{name}"], "acme/shop", "https://github.com/Acme/Shop")).toEqual([]);
  });
  test("nothing stands for an owner that there is none of", () => {
    expect(become(["registry.example/vetted/{owner}{name}"], "vetted/shop", "shop")).toEqual([]);
  });

  test("where several entries take the build, one of them has to let it, and the others don't matter", () => {
    const sources: SourceBinding[] = [
      { repository: shop, to: ["registry.example/a/shop", "registry.example/b/shop"] },
      { repository: "https://github.com/acme/*", to: ["registry.example/c/{name}"] },
    ];
    for (const name of ["a/shop", "b/shop", "c/shop"])
      expect(judgeSource(withSources(...sources), built, to(name))).toEqual([]);
    expect(judgeSource(withSources(...sources), built, to("d/shop"))).toEqual([
      {
        rule: "gate.destination",
        problem: `what is built from ${shop} is promoted to registry.example/a/shop, registry.example/b/shop, registry.example/c/{name}, and not to registry.example/d/shop`,
        wayOut: "Promote it to its own repository, or have the policy's owners add this one to build.sources.",
      },
    ]);
    // One that says nothing of it lets it become anything.
    expect(judgeSource(withSources(...sources, shop), built, to("d/shop"))).toEqual([]);
  });
  test("an entry that does not take the build does not let it become anything either", () => {
    const sources: SourceBinding[] = [
      { repository: shop, refs: ["refs/tags/*"], to: ["registry.example/release/shop"] },
      { repository: shop, to: ["registry.example/dev/shop"] },
    ];
    const of = (sourceRef: string) =>
      judgeSource(withSources(...sources), { ...built, sourceRef }, to("release/shop")).map(({ rule }) => rule);
    expect(of("refs/heads/main")).toEqual(["gate.destination"]);
    expect(of("refs/tags/v1")).toEqual([]);
  });
  test("is not asked where it is not known yet", () => {
    const bound = withSources({ repository: shop, to: ["registry.example/vetted/shop"] });
    expect(judgeSource(bound, built, undefined)).toEqual([]);
    expect(judgeSource(bound, built, to("vetted/cart"))).toHaveLength(1);
  });
});
