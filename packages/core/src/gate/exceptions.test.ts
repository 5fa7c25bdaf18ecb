import { formatRepository, type ImageId } from "@goldenpath/registry-client/oci/reference";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  edited,
  environment,
  factsOf,
  image,
  now,
  policy,
  repository,
  rulesOf,
  summary,
  type Whole,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { CustomRule } from "../policy/custom-rules/section.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { summaryExtension } from "../signing/verification-summary.ts";
import type { GateFacts } from "./facts.ts";

const today = now.toISOString().slice(0, 10);
const yesterday = new Date(now.getTime() - 86_400_000).toISOString().slice(0, 10);
const own = formatRepository(repository);

/** Everything there, and the verdict of base with an exception. */
function excepted(
  exceptions: { until: string; repository?: string },
  more: Parameters<typeof factsOf>[1] = {},
): GateFacts {
  const all: Whole = whole();
  return factsOf(
    [...without(all, "baseVerdict"), summary("base", "base", [all.base], { excepted: 1, exceptions })],
    more,
  );
}

describe("a verdict that rests on an exception", () => {
  test.each([
    ["whose last day is over", { until: yesterday }],
    ["that was granted to another repository", { until: today, repository: "registry.example/quarantine/blog" }],
    ["that was granted to another repository of the same beginning", { until: today, repository: `${own}-2` }],
  ])("%s counts for nothing", (_name, exceptions) => {
    expect(rulesOf(excepted(exceptions))).toEqual(["gate.exception"]);
  });

  test("counts on its last day, in the repository that it was granted to, and in any where it was granted to none", () => {
    expect(rulesOf(excepted({ until: today, repository: own }))).toEqual([]);
    expect(rulesOf(excepted({ until: today }))).toEqual([]);
  });

  test("is malformed where it does not say until when, or says it in no date", () => {
    const all = whole();
    const verdict = summary("base", "base", [all.base], { excepted: 1, exceptions: { until: today } });
    for (const wrong of [
      edited(verdict, [summaryExtension, "exceptions"]),
      edited(verdict, [summaryExtension, "exceptions", "until"], "soon"),
      edited(verdict, [summaryExtension, "excepted"]),
    ]) {
      expect(rulesOf(factsOf([...without(all, "baseVerdict"), wrong]))).toEqual(["gate.malformed"]);
    }
  });

  test("at the destination, comes from where the environment takes images from, and from nowhere else", () => {
    const vetted = {
      place: "to" as const,
      image: { repository: { registry: "registry.example", name: "vetted/shop" }, digest: image, children: [image] },
    };
    expect(rulesOf(excepted({ until: today, repository: own }, vetted))).toEqual([]);
    for (const elsewhere of ["registry.example/other/shop", "registry.example/quarantine-2/shop", "not a repository"]) {
      expect(rulesOf(excepted({ until: today, repository: elsewhere }, vetted))).toEqual(["gate.exception"]);
    }
  });

  test("after a promotion, which asked for it, is not held to the first repository, and still to its day", () => {
    const all = whole();
    const requires = [...environment.requires, { stage: "promote" as const, signers: ["promote"] }];
    const rules = (until: string): string[] => {
      const exceptions = { until, repository: "registry.example/first/shop" };
      const verdict = summary("base", "base", [all.base], { excepted: 1, exceptions });
      const statements = [...without(all, "baseVerdict"), verdict, summary("promote", "promote", [all.base])];
      return rulesOf(factsOf(statements, { environment: { ...environment, requires } }));
    };
    expect(rules(today)).toEqual([]);
    expect(rules(yesterday)).toEqual(["gate.exception"]);
  });
});

describe("a verdict of a stage that asks in which repository the image is", () => {
  const rule = (stage: "base" | "scan", expression: string, when?: string): CustomRule => ({
    ...{ name: "own", stage, expression, message: "m", remedy: "r" },
    ...(when === undefined ? {} : { when }),
  });
  const asking = (...rules: CustomRule[]): LoadedPolicy => ({ ...policy, policy: { ...policy.policy, rules } });
  const elsewhere = { ...repository, name: "quarantine/other" };
  /** Everything there; the verdict of a stage is about the image in another repository. */
  const replayed = (
    stage: "base" | "scan",
    more: Parameters<typeof factsOf>[1] = {},
    of: ImageId["repository"] = elsewhere,
  ): GateFacts => {
    const all = whole();
    const [key, rests] =
      stage === "base" ? (["baseVerdict", all.base] as const) : (["scanVerdict", all.vulnerabilities] as const);
    const verdict = summary(stage, stage, [rests], { image: { repository: of, digest: image, children: [] } });
    return factsOf([...without(all, key), verdict], more);
  };
  const payments = 'image.repository.startsWith("registry.example/quarantine/payments")';
  const onlyNew = {
    ...policy,
    policy: { ...policy.policy, scan: { ...policy.policy.scan, failOnlyOn: "new" as const } },
  };

  test.each<[string, "base" | "scan", LoadedPolicy]>([
    ["in the condition of a rule", "base", asking(rule("base", 'config.user == "1000"', payments))],
    ["in a rule itself", "base", asking(rule("base", `!${payments}`))],
    ["in a rule by another way to write it", "base", asking(rule("base", '[image].all(i, i.repository != "x")'))],
    ["in a rule by an escape", "base", asking(rule("base", 'image["reposi\\u0074ory"] != "x"'))],
    ["in a rule of stage scan", "scan", asking(rule("scan", "findings.size() == 0", payments))],
    ["by what another image of its name has", "scan", onlyNew],
  ])("counts in no other one: %s", (_name, stage, loaded) => {
    const { violations } = decideGate(replayed(stage, { policy: loaded }));
    expect(violations).toMatchObject([
      {
        rule: "gate.repository",
        problem: `the newest verdict of ${stage} is about the image in registry.example/quarantine/other, and the image is in ${own}: the policy asks in which it is`,
      },
    ]);
    expect(rulesOf(replayed(stage, { policy: loaded }, repository))).toEqual([]);
  });

  test.each<[string, "base" | "scan", LoadedPolicy]>([
    ["nothing of the policy does", "base", policy],
    ["another stage does", "base", asking(rule("scan", `!${payments}`), rule("base", 'image.platform != "x"'))],
    ["a label of that name does", "base", asking(rule("base", 'config.labels["repository"] != "x"'))],
    ["only what is new is refused, which is the scan's to say", "base", onlyNew],
  ])("counts in another one where %s", (_name, stage, loaded) => {
    expect(rulesOf(replayed(stage, { policy: loaded }))).toEqual([]);
  });

  test("counts nowhere by a statement that names no repository", () => {
    const loaded = asking(rule("base", `!${payments}`));
    const unnamed = summary("base", "base", [whole().base]);
    const subject = unnamed.statement.subject.map((each) => ({ ...each, name: "" }));
    const statements = [
      ...without(whole(), "baseVerdict"),
      { ...unnamed, statement: { ...unnamed.statement, subject } },
    ];
    expect(decideGate(factsOf(statements, { policy: loaded })).violations).toMatchObject([
      {
        rule: "gate.repository",
        problem: `the newest verdict of base is about the image in no repository that it names, and the image is in ${own}: the policy asks in which it is`,
      },
    ]);
  });

  test("at the destination is of there or of where the environment takes images from; after a promotion, of any", () => {
    const loaded = asking(rule("base", `!${payments}`));
    const there = { registry: "registry.example", name: "vetted/shop" };
    const at = { policy: loaded, place: "to" as const, image: { repository: there, digest: image, children: [image] } };
    expect(rulesOf(replayed("base", at))).toEqual([]);
    expect(rulesOf(replayed("base", at, there))).toEqual([]);
    expect(rulesOf(replayed("base", at, { ...there, name: "vetted/other" }))).toEqual(["gate.repository"]);
    const requires = [...environment.requires, { stage: "promote" as const, signers: ["promote"] }];
    const after = replayed("base", { policy: loaded, environment: { ...environment, requires } });
    expect(rulesOf(after)).toEqual(["gate.missing"]);
  });
});

describe("a promotion that is required", () => {
  const requires = [{ stage: "promote" as const, signers: ["promote"], environment: "staging" }];
  const facts = (...environments: (string | undefined)[]): GateFacts => {
    const all = whole();
    const promotions = environments.map((name) =>
      summary("promote", "promote", [all.base], name === undefined ? {} : { environment: name }),
    );
    return factsOf([all.base, ...promotions], { environment: { ...environment, requires } });
  };

  test.each([["production"], ["stagin"], [undefined]])("into %s is not one into staging", (name) => {
    expect(rulesOf(facts(name))).toEqual(["gate.environment"]);
  });

  test("counts for the environment that it names, whatever others there are", () => {
    expect(rulesOf(facts("staging"))).toEqual([]);
    expect(rulesOf(facts("production", "staging"))).toEqual([]);
  });

  test("says which there are", () => {
    const { violations } = decideGate(facts("production", undefined));
    expect(violations[0]?.problem).toContain(
      "for environment 'staging' is not there (there is: for production, none that it names)",
    );
  });

  test("refuses by the failure of its own environment, and not by another's", () => {
    const all = whole();
    const failed = (name: string) =>
      summary("promote", "promote", [all.base], { environment: name, passed: false, violations: 1 });
    const passed = summary("promote", "promote", [all.base], { environment: "staging" });
    const given = { environment: { ...environment, requires } };
    expect(rulesOf(factsOf([all.base, passed, failed("staging")], given))).toEqual(["gate.failed"]);
    expect(rulesOf(factsOf([all.base, passed, failed("production")], given))).toEqual([]);
  });
});

test("a time that no clock shows is no time: the verdict is malformed, and never the newest or the freshest", () => {
  const all = whole();
  const verdict = summary("scan", "scan", [all.vulnerabilities]);
  for (const time of ["2026-13-45T99:00:00Z", "", "yesterday"]) {
    expect(rulesOf(factsOf([...Object.values(all), edited(verdict, ["timeVerified"], time)]))).toEqual([
      "gate.malformed",
    ]);
  }
});
