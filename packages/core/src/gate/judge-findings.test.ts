import { decideGate } from "@goldenpath/testing/decide-gate";
import { makeFinding } from "@goldenpath/testing/findings";
import {
  ago,
  environment,
  factsOf,
  finding,
  image,
  minute,
  other,
  policy,
  rulesOf,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { PolicyPointer, WithdrawnThing } from "../policy/pointer-facts.ts";
import type { RefusalGate } from "../policy/scan-section.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { Finding } from "../scan/finding.ts";
import { tellFindings } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";

const platform = "linux/amd64";
const predicate = (told: object) => ({
  metadata: { scanFinishedOn: ago(10 * minute).toISOString() },
  scanner: { uri: "pkg:test/s", version: "1", result: { matches: [], goldenpath: told } },
});
const tell = (...findings: Partial<Finding>[]) =>
  tellFindings([
    { digest: image, platform, findings: findings.map((each) => makeFinding(each)), isExcepted: () => false },
  ]);
const refuse: RefusalGate[] = [{ name: "exploited", kev: true, missing: "pass" }];

/** A whole chain, whose scan has signed this. */
const facts = (told: object, { gates = refuse, children = [image], more = {} as Partial<LoadedPolicy> } = {}) => {
  const all = whole();
  const scan = finding(predicateTypes.vulnerabilities, "scan", [image, ...children], predicate(told));
  const statements = [...without(all, "vulnerabilities", "scanVerdict"), scan, summary("scan", "scan", [scan])];
  return factsOf(statements, {
    environment: { ...environment, ...(gates.length === 0 ? {} : { refuse: gates }) },
    policy: { ...policy, ...more },
    image: { children },
  });
};
describe("an environment's gate refuses", () => {
  test("a signed finding that meets it, and says which, why and what to do", () => {
    const decided = decideGate(facts(tell({ kev: true, severity: "low" })));
    expect(decided.violations).toMatchObject([
      {
        rule: "gate.finding",
        thing: `scan of ${image}`,
        problem:
          "GHSA-35jh-r3h4-6jhm in lodash 4.17.20: gate 'exploited' of environment 'production' refuses it: known to be exploited",
        wayOut: expect.stringContaining("Update lodash to 4.17.21"),
      },
    ]);
  });

  test.each<[string, object]>([
    ["of a version that did not tell findings", { dropped: [] }],
    ["with a finding that is none", { platforms: [platform], findings: [{ id: "x" }] }],
  ])("a scan that can't be held to it: %s", (_name, told) => {
    expect(rulesOf(facts(told))).toEqual(["gate.finding"]);
  });

  test("a fix that has been out for too long by now, whenever the scan was", () => {
    const hour = 60 * minute;
    const fixReleases = [{ version: "4.17.21", on: ago(25 * hour).toISOString() }];
    const gates = (hours: number): RefusalGate[] => [{ name: "old", fixOlderThan: hours * hour, missing: "refuse" }];
    expect(rulesOf(facts(tell({ fixReleases }), { gates: gates(24) }))).toEqual(["gate.finding"]);
    expect(rulesOf(facts(tell({ fixReleases }), { gates: gates(25) }))).toEqual([]);
  });

  test("many findings, of which some are told", () => {
    const many = Array.from({ length: 30 }, (_, at) => ({ id: `CVE-${at}`, aliases: [], kev: true }));
    const { violations } = decideGate(facts(tell(...many)));
    expect(violations).toHaveLength(21);
    expect(violations.at(-1)?.problem).toContain("and 10 more findings");
  });
});

describe("an environment's gate lets pass", () => {
  test.each<[string, ReturnType<typeof facts>]>([
    ["a finding that does not meet it", facts(tell({ kev: false, severity: "critical" }))],
    ["nothing found", facts(tell())],
    ["what is met, where the environment has no gate", facts(tell({ kev: true }), { gates: [] })],
  ])("%s", (_name, given) => {
    expect(rulesOf(given)).toEqual([]);
  });
});

describe("of an index", () => {
  const bad = makeFinding({ kev: true });
  const child = (digest: typeof image, findings: Finding[]) => ({
    digest,
    platform,
    findings,
    isExcepted: () => false,
  });
  const problemsOf = (told: object) =>
    decideGate(facts(told, { children: [other] })).violations.filter(({ rule }) => rule === "gate.finding");

  test("a child's findings are judged with the child", () => {
    const told = tellFindings([child(other, [bad]), child(image, [])]);
    // Only the index has evidence here: the child's own statements are another test's.
    expect(problemsOf(told).filter(({ thing }) => thing === `scan of ${image}`)).toEqual([]);
  });

  test("findings of nothing that the index has are judged with the index", () => {
    const stray = `sha256:${"9".repeat(64)}` as const;
    const told = tellFindings([child(stray, [bad]), child(other, [])]);
    expect(problemsOf(told)).toMatchObject([{ thing: `scan of ${image}` }]);
  });

  test("findings that name no child are judged wherever they are signed", () => {
    expect(problemsOf(tellFindings([child(other, [bad])]))).toMatchObject([{ thing: `scan of ${image}` }]);
  });
});

describe("what VEX has closed", () => {
  const hour = 60 * minute;
  const closed = (time?: Date) => {
    const { platforms, findings } = tell({ kev: true }, { id: "CVE-2", aliases: [] });
    const vex = { status: "not_affected", by: "security", ...(time === undefined ? {} : { time: time.toISOString() }) };
    return { platforms, findings: findings.map((each) => ({ ...each, vex })) };
  };
  const taking = (signers: string[], ...things: WithdrawnThing[]): Partial<LoadedPolicy> => ({
    policy: { ...policy.policy, scan: { ...policy.policy.scan, vex: { signers, unmatched: "refuse" } } },
    inForce: {
      withdrawals: things.map((thing) => ({ thing, reason: "r", owner: "o", at: ago(minute) })),
    } as unknown as PolicyPointer,
  });
  const signer = (name: string, from: Date): WithdrawnThing => ({ kind: "signer", name, from });
  const problems = (told: object, more: Partial<LoadedPolicy>, gates: RefusalGate[] = []) =>
    decideGate(facts(told, { gates, more })).violations.map(({ problem }) => problem);

  test.each<[string, object, Partial<LoadedPolicy>, RegExp]>([
    [
      "whom the policy does not name",
      closed(),
      taking(["other"]),
      /2 findings are closed by the VEX of 'security', whose/,
    ],
    ["where the policy takes nobody's", closed(), {}, /whose VEX the policy does not take/],
    ["whose word was withdrawn", closed(), taking(["security"], signer("security", ago(hour))), /was withdrawn on/],
    [
      "whose word was withdrawn from before it was signed",
      closed(ago(hour)),
      taking(["security"], signer("security", ago(hour))),
      /was withdrawn on/,
    ],
  ])("is refused of a signer %s, whatever the environment's gates are", (_name, told, more, says) => {
    expect(problems(told, more)).toEqual([expect.stringMatching(says)]);
    expect(problems(told, more, refuse)).toEqual([expect.stringMatching(says)]);
  });

  test.each<[string, object, Partial<LoadedPolicy>]>([
    ["of a signer of the policy", closed(), taking(["security"])],
    ["where another's word was withdrawn", closed(), taking(["security"], signer("other", ago(hour)))],
    [
      "that was signed before the withdrawal's time",
      closed(ago(2 * hour)),
      taking(["security"], signer("security", ago(hour))),
    ],
  ])("counts %s", (_name, told, more) => {
    expect(problems(told, more, refuse)).toEqual([]);
  });

  test("a scan of before findings were told is not asked for them, unless the environment has gates", () => {
    expect(problems({ dropped: [] }, {})).toEqual([]);
    expect(problems({ findings: "none" }, {})).toEqual([expect.stringContaining("does not tell its findings")]);
  });
});
