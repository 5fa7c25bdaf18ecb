import { decideGate } from "@goldenpath/testing/decide-gate";
import { makeFinding } from "@goldenpath/testing/findings";
import {
  ago,
  environment,
  factsOf,
  finding,
  image,
  minute,
  now,
  other,
  policy,
  repository,
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
import type { SignerTimes } from "../signing/signer-times.ts";

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

  test("a scan that tells nothing even where the rule waits for its day: nobody knows what it would be told", () => {
    const more = { policy: { ...policy.policy, enforceFrom: { "gate.finding": "2026-06-01" } } };
    expect(decideGate(facts(tell({ kev: true }), { more })).verdict).toBe("pass");
    expect(decideGate(facts({ dropped: [] }, { more })).verdict).toBe("fail");
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
    expect(violations.at(-1)).toMatchObject({
      ...{ rule: "gate.finding", problem: expect.stringContaining("and 10 more findings") },
      wayOut: expect.stringContaining("Put right what the scan found"),
    });
    const { violations: all } = decideGate(facts(tell(...many.slice(0, 20))));
    expect(all.map(({ problem }) => problem.split(" ")[0])).toEqual(many.slice(0, 20).map(({ id }) => id));
  });

  test("by each of its conditions, and with each fix that there is, or none", () => {
    const gates: RefusalGate[] = [{ name: "both", kev: true, severity: "low", missing: "pass" }];
    const [{ problem, wayOut } = { problem: "", wayOut: "" }] = decideGate(
      facts(tell({ kev: true, severity: "high", fixedVersions: ["1.1", "2.0"] }), { gates }),
    ).violations;
    expect(problem).toMatch(/refuses it: [^;]+; [^;]+$/);
    expect(wayOut).toBe("Update lodash to 1.1 or 2.0, and take the new image along the path.");
    const none = decideGate(facts(tell({ kev: true, fixedVersions: [], fixState: "not-fixed" }))).violations;
    expect(none.map((each) => each.wayOut)).toEqual(["Do without it, and take the new image along the path."]);
  });
});

describe("an environment's gate may wait for its day", () => {
  const own = (name: string, enforceFrom: string, more: Partial<RefusalGate> = { kev: true }): RefusalGate => ({
    ...{ name, missing: "pass", enforceFrom },
    ...more,
  });
  const numbered = (count: number, prefix: string, more: Partial<Finding>) =>
    Array.from({ length: count }, (_, at) => ({ id: `${prefix}-${at}`, aliases: [], ...more }));
  const ruleFrom = (day: string) => ({
    more: { policy: { ...policy.policy, enforceFrom: { "gate.finding": day } } },
  });
  const told = (violations: ReturnType<typeof decideGate>["violations"]) =>
    violations.map(({ problem, enforcedFrom }) => `${problem.split(" ")[0]} ${enforcedFrom ?? "now"}`);

  test("a finding that meets it is told and refuses from then on", () => {
    const decided = decideGate(facts(tell({ kev: true }), { gates: [own("soon", "2026-06-01")] }));
    expect(decided).toMatchObject({
      verdict: "pass",
      violations: [{ enforcedFrom: "2026-06-01", entry: expect.any(String) }],
    });
    expect(rulesOf(facts(tell({ kev: true }), { gates: [own("soon", "2026-05-01")] }))).toEqual(["gate.finding"]);
    expect(decideGate(facts(tell({ kev: true }), ruleFrom("2026-06-01"))).verdict).toBe("pass");
  });

  test("and hides none that refuses already: of those, one is told of each finding", () => {
    const gates = [own("late", "2026-06-01"), ...refuse, { ...refuse[0], name: "again" } as RefusalGate];
    const decided = decideGate(facts(tell({ kev: true }), { gates }));
    expect(decided.verdict).toBe("fail");
    expect(decided.violations.map(({ problem }) => /gate '(\w+)'/.exec(problem)?.[1])).toEqual(["late", "exploited"]);
    const byRule = decideGate(
      facts(tell({ kev: true }), { gates: [...refuse, own("now", "2026-05-01")], ...ruleFrom("2026-06-01") }),
    );
    expect(byRule.verdict).toBe("fail");
  });

  test("of many findings those that refuse are told first, and then those that wait for the shortest", () => {
    const gates = [
      own("later", "2026-07-01", { severity: "medium" }),
      own("sooner", "2026-06-01", { severity: "high" }),
      ...refuse,
    ];
    const of = (...found: Partial<Finding>[]) => told(decideGate(facts(tell(...found), { gates })).violations);
    const low = { severity: "low" as const, kev: true };
    const medium = { severity: "medium" as const };
    const names = (count: number, prefix: string, day: string) =>
      numbered(count, prefix, {}).map(({ id }) => `${id} ${day}`);
    expect(of(...numbered(19, "L", medium), ...numbered(3, "N", low))).toEqual([
      ...names(3, "N", "now"),
      ...names(17, "L", "2026-07-01"),
      "and 2026-07-01",
    ]);
    // A finding of severity high meets both of the gates that wait.
    const both = of(...numbered(11, "S", { severity: "high" as const }));
    expect(both).toEqual([...names(11, "S", "2026-06-01"), ...names(9, "S", "2026-07-01"), "and 2026-07-01"]);
    expect(of(...numbered(21, "N", low), ...numbered(2, "L", medium)).at(-1)).toBe("and now");
  });

  test("what nobody can set aside is told before what waits", () => {
    const closed = tell({ id: "CVE-closed", aliases: [], kev: true });
    const vex = { status: "not_affected", by: "eve" };
    const second = { ...closed, findings: closed.findings.map((each) => ({ ...each, vex })) };
    const all = whole();
    const scans = [tell(...numbered(25, "W", { kev: true })), second].map((each) =>
      finding(predicateTypes.vulnerabilities, "scan", [image], predicate(each)),
    );
    const given = facts(tell(), ruleFrom("2026-06-01"));
    const statements = [...without(all, "vulnerabilities", "scanVerdict"), ...scans, summary("scan", "scan", scans)];
    const decided = decideGate({ ...given, evidence: new Map([[image, { statements, lapsed: [], rejected: [] }]]) });
    expect(decided.verdict).toBe("fail");
    expect(told(decided.violations)[0]).toBe("1 now");
    expect(decided.violations[0]).toMatchObject({
      rule: "gate.finding",
      problem: expect.stringMatching(/^1 finding is/),
    });
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

  test("each by what is signed of it", () => {
    const told = tellFindings([child(other, [bad]), child(image, [])]);
    const whole = facts(told, { children: [other] });
    const stray = `sha256:${"9".repeat(64)}` as const;
    const refused = (of: object) => {
      const scan = finding(predicateTypes.vulnerabilities, "scan", [other], predicate(of));
      const statements = [
        scan,
        summary("scan", "scan", [scan], { image: { repository, digest: other, children: [] } }),
      ];
      const evidence = new Map(whole.evidence).set(other, { statements, lapsed: [], rejected: [] });
      return decideGate({ ...whole, evidence }).violations.filter(
        ({ rule, thing }) => rule === "gate.finding" && thing === `scan of ${other}`,
      );
    };
    expect(refused(told)).toHaveLength(1);
    expect(refused(tellFindings([child(other, [bad])])), "what names no child is judged with each").toHaveLength(1);
    expect(refused(tellFindings([child(image, [bad]), child(other, [])])), "another's is not").toEqual([]);
    expect(refused(tellFindings([child(stray, [bad]), child(other, [])])), "nor what nobody has").toEqual([]);
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

  const until = (end: Date): SignerTimes => ({ until: end });
  const from = (start: Date): SignerTimes => ({ from: start });
  const inTimes = (times: SignerTimes): Partial<LoadedPolicy> => {
    const taken = taking(["security"]).policy ?? policy.policy;
    return { policy: { ...taken, signers: { ...taken.signers, security: { publicKey: "its key", ...times } } } };
  };
  test.each<[string, Date | undefined, SignerTimes, string]>([
    ["has ended, and nobody dates it", undefined, until(ago(hour)), "nobody else says when it was signed"],
    ["has ended, and signed it then", ago(hour), until(ago(hour)), `it was signed at ${ago(hour).toISOString()}`],
    ["ends now, and nobody dates it", undefined, until(now), "nobody else says when it was signed"],
    ["began after it was signed", ago(2 * hour), from(ago(hour)), "whose word counts from"],
  ])("is refused of a signer whose word %s", (_name, time, times, says) => {
    const [problem, ...more] = problems(closed(time), inTimes(times));
    expect(problem).toMatch(/^2 findings are closed by the VEX of 'security': it is signed by 'security', whose word/);
    expect(problem?.replace(".000Z", "Z")).toContain(says.replace(".000Z", "Z"));
    expect(more).toEqual([]);
  });

  test.each<[string, Date | undefined, SignerTimes]>([
    ["ended after it was signed", ago(2 * hour), until(ago(hour))],
    ["has not ended", undefined, until(ago(-hour))],
    ["began as it was signed", ago(hour), from(ago(hour))],
  ])("counts of a signer whose word %s", (_name, time, times) => {
    expect(problems(closed(time), inTimes(times), refuse)).toEqual([]);
  });

  test("a scan of before findings were told is not asked for them, unless the environment has gates", () => {
    expect(problems({ dropped: [] }, {})).toEqual([]);
    expect(problems({ findings: "none" }, {})).toEqual([expect.stringContaining("does not tell its findings")]);
  });
});
