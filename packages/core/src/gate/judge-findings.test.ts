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
import type { RefusalGate } from "../policy/scan-section.ts";
import type { Exception } from "../policy/schema.ts";
import type { Finding } from "../scan/finding.ts";
import { tellFindings } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { decideGate } from "./decide.ts";

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
const facts = (told: object, { gates = refuse, exceptions = [] as Exception[], children = [image] } = {}) => {
  const all = whole();
  const scan = finding(predicateTypes.vulnerabilities, "scan", [image, ...children], predicate(told));
  const statements = [...without(all, "vulnerabilities", "scanVerdict"), scan, summary("scan", "scan", [scan])];
  return factsOf(statements, {
    environment: { ...environment, ...(gates.length === 0 ? {} : { refuse: gates }) },
    policy: { ...policy, policy: { ...policy.policy, exceptions } },
    image: { children },
  });
};
const exception = (fields: Partial<Exception> = {}): Exception => ({
  ...{ rule: "gate.finding", thing: "GHSA-35jh-r3h4-6jhm", reason: "r", owner: "team", expires: "2026-05-01" },
  ...fields,
});

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

  test.each<[string, Exception]>([
    ["over", exception({ expires: "2026-04-30" })],
    ["of the scan's own rule", exception({ rule: "scan.gate" })],
    ["for another package", exception({ package: "left-pad" })],
  ])("a finding whose exception is %s", (_name, granted) => {
    expect(rulesOf(facts(tell({ kev: true }), { exceptions: [granted] }))).toEqual(["gate.finding"]);
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
    expect(violations.at(-1)?.problem).toBe("and 10 findings more");
  });
});

describe("an environment's gate lets pass", () => {
  test.each<[string, ReturnType<typeof facts>]>([
    ["a finding that does not meet it", facts(tell({ kev: false, severity: "critical" }))],
    ["nothing found", facts(tell())],
    ["what is met, where the environment has no gate", facts(tell({ kev: true }), { gates: [] })],
    ["an excepted one, on its last day", facts(tell({ kev: true }), { exceptions: [exception()] })],
    ["one excepted by an alias", facts(tell({ kev: true }), { exceptions: [exception({ thing: "CVE-2021-23337" })] })],
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
