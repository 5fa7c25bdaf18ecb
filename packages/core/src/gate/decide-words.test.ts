import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  edited,
  environment,
  factsOf,
  finding,
  image,
  minute,
  other,
  policy,
  repository,
  scanAs,
  scanEdit,
  summary,
  type Whole,
  whole,
  without,
  withScan,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";

// What a refusal tells whoever has to act on it: which evidence, what is wrong with it, and what would do.

const problemsOf = (...facts: Parameters<typeof factsOf>) =>
  decideGate(factsOf(...facts)).violations.map(({ problem }) => problem);

describe("of where the image is", () => {
  const several = {
    ...environment,
    from: ["registry.example/quarantine", "registry.example/second"],
    to: ["registry.example/vetted", "mirror.example/vetted"],
  };
  const at = (name: string, place: "from" | "to", registry = repository.registry) =>
    decideGate(
      factsOf(Object.values(whole()), { environment: several, place, image: { repository: { registry, name } } }),
    ).violations;

  test("it is refused outside of what the environment takes, and told from where that is", () => {
    expect(at("vetted/shop", "from")).toEqual([
      {
        rule: "gate.origin",
        thing: "registry.example/vetted/shop",
        problem:
          "environment 'production' takes images from registry.example/quarantine, registry.example/second, and the image is in registry.example/vetted/shop",
        wayOut:
          "Push the image to registry.example/quarantine or registry.example/second, and take it along the path there.",
      },
    ]);
    expect(at("quarantine/shop", "from")).toEqual([]);
    expect(at("second/shop", "from")).toEqual([]);
  });

  test("it is refused outside of where the environment puts images, and told where that is", () => {
    expect(at("quarantine/shop", "to")).toEqual([
      {
        rule: "gate.origin",
        thing: "registry.example/quarantine/shop",
        problem:
          "environment 'production' puts images in registry.example/vetted, mirror.example/vetted, and the image is in registry.example/quarantine/shop",
        wayOut: "Promote to registry.example/vetted or mirror.example/vetted.",
      },
    ]);
    expect(at("vetted/shop", "to")).toEqual([]);
    expect(at("vetted/shop", "to", "mirror.example")).toEqual([]);
  });
});

test("of an index in which nothing runs, which one it is, and that evidence could be about nothing", () => {
  const { violations } = decideGate(factsOf(Object.values(whole()), { image: { children: [] } }));
  expect(violations).toMatchObject([
    { thing: `registry.example/quarantine/shop@${image}`, problem: expect.stringContaining("no image that runs") },
  ]);
});

describe("of evidence that is missing", () => {
  test("all of what is wrong with it, in one line and once by rule", () => {
    const statements = scanAs({ timeVerified: ago(61 * minute), policy: { ...policy, serial: 6 } })(whole());
    const { missing, violations } = decideGate(factsOf(statements));
    expect(missing.map(({ problem }) => problem)).toEqual([violations.map(({ problem }) => problem).join("; ")]);
    expect(missing[0]?.problem).toMatch(/was made under serial 6 of the policy; .*; the newest verdict of scan is of /);
  });

  test("the platform of a child where it is known, and no word of one where it is not", () => {
    const statements = without(whole(), "scanVerdict");
    const of = (digest: typeof image, platforms?: Map<typeof image, string>) => {
      const told = platforms === undefined ? {} : { platforms };
      const { missing, violations } = decideGate(
        factsOf(statements, { image: { digest, children: [image], ...told } }),
      );
      return [...missing, ...violations].filter((each) => !("thing" in each) || each.thing.includes(image));
    };
    const ofChild = of(other, new Map([[image, "linux/arm64"]])).filter((each) => "platform" in each);
    expect(ofChild.length).toBeGreaterThan(0);
    expect(new Set(ofChild.map((each) => each.platform))).toEqual(new Set(["linux/arm64"]));
    // Of a single image it says nothing that the digest does not.
    const single = of(image, new Map([[image, "linux/arm64"]]));
    for (const each of [...single, ...of(other), ...of(other, new Map([[other, "linux/arm64"]]))])
      expect(Object.keys(each)).not.toContain("platform");
    expect(single.length).toBeGreaterThan(0);
  });
});

describe("of a verdict", () => {
  const [passed, failed] = ["2026-05-01T11:50:00.000Z", "2026-05-01T11:55:00.000Z"];
  const newest = "the newest verdict of scan";
  const cases: [what: string, problem: unknown, statements: (all: Whole) => VerifiedStatement[]][] = [
    ["that it is FAILED, and of when", `${newest}, of ${passed}, is FAILED`, scanAs({ passed: false, violations: 1 })],
    [
      "that it has no level",
      `${newest} is signed by its stage and is malformed: it passes without the level GOLDENPATH_SCAN`,
      scanEdit(["verifiedLevels"], []),
    ],
    [
      "that it is of another policy",
      `${newest} was made under serial 6 of the policy; serial 7 counts`,
      scanAs({ policy: { ...policy, serial: 6 } }),
    ],
    [
      "that it is of the future",
      `${newest} is of 2026-05-01T12:06:00.000Z, which is in the future (it is 2026-05-01T12:00:00.000Z)`,
      scanAs({ timeVerified: ago(-6 * minute) }),
    ],
    [
      "that its exception is over",
      `${newest} rests on an exception whose last day was 2026-04-30`,
      scanAs({ excepted: 1, exceptions: { until: "2026-04-30" } }),
    ],
    [
      "that it rests on a finding that is not there",
      `the verdict of scan rests on another finding than the ones that are there (${predicateTypes.vulnerabilities})`,
      withScan(() => [summary("scan", "scan", [finding(predicateTypes.vulnerabilities, "scan")])]),
    ],
    [
      "that no finding is there",
      `what scan found (${predicateTypes.vulnerabilities}) is not there`,
      (all) => without(all, "vulnerabilities"),
    ],
    [
      "that it can't be read",
      expect.stringMatching(/^a verdict of scan is signed by its stage and is malformed: .*timeVerified/),
      withScan((all) => [edited(all.scanVerdict, ["timeVerified"], "yesterday")]),
    ],
  ];
  test.each(cases)("%s", (_what, problem, statements) => {
    const all = whole();
    expect(problemsOf(Object.values(all))).toEqual([]);
    expect(problemsOf(statements(all))).toEqual([problem]);
  });

  test("of a promotion, that it rests on nothing", () => {
    const requires = [{ stage: "promote" as const, signers: ["promote"] }];
    const { sbom } = whole();
    const place = { environment: { ...environment, requires } };
    const verdict = summary("promote", "promote", [sbom]);
    expect(problemsOf([verdict, sbom], place)).toEqual([]);
    expect(problemsOf([verdict], place)).toEqual(["the verdict of promote rests on nothing that is there"]);
  });

  test("out of its signers' time, the first failure alone, and whose word it was", () => {
    const ended = (by: string[], age: number) => ({
      ...summary("scan", "scan", [], { passed: false, violations: 1, timeVerified: ago(age * minute) }),
      signers: by,
    });
    const told = (lapsed: VerifiedStatement[]) => problemsOf(Object.values(whole()), {}, [], lapsed);
    expect(told([ended(["scan"], 11)])).toEqual([]);
    expect(told([ended(["scan", "night"], 5), ended(["scan"], 4)])).toEqual([
      `a verdict of scan, of ${failed}, is FAILED; the word of its signer 'scan', 'night' has ended since, or its signature has, and the newest one that counts, of ${passed}, is not after it`,
    ]);
  });
});
