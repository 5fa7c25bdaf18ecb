import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { ago, environment, factsOf, image, minute, now, other, policy } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { LoadedPolicy } from "../policy/schema.ts";
import { putInForce } from "../policy/withdrawals.ts";
import { unknownKeyReason } from "../signing/predicates.ts";
import type { RejectedReferrer, VerifiedStatement } from "../signing/types.ts";
import type { GateFacts, StageScope } from "./facts.ts";
import {
  explainAbsence,
  isByAllowedSigner,
  judgeExceptions,
  judgePolicy,
  judgeTimes,
  malformed,
  wayToRunAgain,
} from "./problems.ts";

// What the gate asks of any evidence, one question at a time.

const hour = 60 * minute;
const day = 24 * hour;

function scopeOf(change: Partial<StageScope> = {}, facts: Partial<GateFacts> = {}): StageScope {
  return {
    facts: { ...factsOf([]), ...facts },
    ...{ digest: image, stage: "scan" as const, requirement: { stage: "scan" as const, signers: ["scan", "scan-2"] } },
    evidence: { statements: [], lapsed: [], rejected: [] },
    ...change,
  };
}
const scope = scopeOf();
const wayOut = `Run scan again and sign its result, as signer 'scan' or 'scan-2', on registry.example/quarantine/shop@${image}.`;

const by = (...signers: string[]): VerifiedStatement => ({ signers }) as VerifiedStatement;
const rejectedFor = (reason: string, more: Partial<RejectedReferrer> = {}): RejectedReferrer => ({
  ...{ subject: image, referrer: other, reason },
  ...more,
});

test("who may say it, and how it is said again", () => {
  expect(isByAllowedSigner(scope, by("base", "scan-2"))).toBe(true);
  expect(isByAllowedSigner(scope, by("base", "build"))).toBe(false);
  expect(isByAllowedSigner(scope, by())).toBe(false);
  expect(wayToRunAgain(scope)).toBe(wayOut);
  expect(malformed(scope, "the verdict", "it is torn")).toEqual({
    rule: "gate.malformed",
    problem: "the verdict is signed by its stage and is malformed: it is torn",
    wayOut,
  });
});

describe("what is not there", () => {
  const explain = (others: VerifiedStatement[], rejected: RejectedReferrer[] = []) => {
    const evidence = { statements: [], lapsed: [], rejected };
    const isClaimed = ({ claimedPredicateType }: RejectedReferrer): boolean => claimedPredicateType !== "other";
    return explainAbsence(scopeOf({ evidence }), "the verdict", others, isClaimed, "gate.missing");
  };
  const wanted = "(wanted: 'scan', 'scan-2')";

  test("is told with who has said it instead, each once", () => {
    const told = (names: string, verb: string) => ({
      rule: "gate.signer",
      problem: `the verdict is signed by ${names}, which ${verb} not speak for scan in environment 'production' ('scan', 'scan-2' would)`,
      wayOut,
    });
    expect(explain([by("base")])).toEqual(told("'base'", "does"));
    expect(explain([by("base"), by("build", "base")])).toEqual(told("'base', 'build'", "do"));
    // Before what nobody has signed.
    expect(explain([by("base")], [rejectedFor(unknownKeyReason)])).toEqual(told("'base'", "does"));
  });

  test("is told with what is there and nobody's, wherever that stands", () => {
    const torn = rejectedFor("it is torn");
    for (const nobodys of [rejectedFor(unknownKeyReason), rejectedFor("it is another's", { isByNobody: true })])
      for (const all of [
        [nobodys, torn],
        [torn, nobodys],
      ])
        expect(explain([], all)).toEqual({
          rule: "gate.signer",
          problem: `the verdict is there, and counts for nothing: ${nobodys.reason} ${wanted}`,
          wayOut,
        });
  });

  test("is told with what is there and broken, or as missing", () => {
    expect(explain([], [rejectedFor("it is torn"), rejectedFor("it is odd")])).toEqual({
      rule: "gate.missing",
      problem: "the verdict is not there (one is there, and counts for nothing: it is torn)",
      wayOut,
    });
    const missing = { rule: "gate.missing", problem: "the verdict is not there", wayOut };
    expect(explain([])).toEqual(missing);
    expect(explain([], [rejectedFor(unknownKeyReason, { claimedPredicateType: "other" })])).toEqual(missing);
  });
});

describe("its time", () => {
  const aged = (maxAge: number): StageScope =>
    scopeOf({ requirement: { stage: "scan", signers: ["scan", "scan-2"], maxAge } });
  const judge = (time: Date, signedAt?: Date, at = aged(hour)) => judgeTimes(at, "the verdict", time, signedAt);
  const noTime = new Date(Number.NaN);

  test("is not over, to the millisecond", () => {
    expect(judge(ago(hour))).toEqual([]);
    expect(judge(ago(hour + 1))).toEqual([
      {
        rule: "gate.stale",
        problem: `the verdict is of ${ago(hour + 1).toISOString()}, 61 min ago; environment 'production' accepts 60 min`,
        wayOut,
      },
    ]);
    expect(judgeTimes(scope, "the verdict", ago(9999 * day), undefined)).toEqual([]);
  });

  test.each([
    [119 * minute, "119 min"],
    [120 * minute, "2 h"],
    [121 * minute, "3 h"],
    [2879 * minute, "48 h"],
    [2880 * minute, "2 days"],
    [2881 * minute, "3 days"],
  ])("is told in what people count in: %d ms", (age, words) => {
    expect(judge(ago(age))[0]?.problem).toContain(` ${words} ago;`);
    expect(judge(ago(99 * day), undefined, aged(age))[0]?.problem).toMatch(new RegExp(`accepts ${words}$`));
  });

  test("is not ahead of ours by more than clocks differ", () => {
    expect(judge(ago(-5 * minute))).toEqual([]);
    const ahead = ago(-5 * minute - 1);
    expect(judge(ahead)).toEqual([
      {
        rule: "gate.future",
        problem: `the verdict is of ${ahead.toISOString()}, which is in the future (it is ${now.toISOString()})`,
        wayOut: `Set the clock of the machine that runs scan. ${wayOut}`,
      },
    ]);
  });

  test("can be read", () => {
    const unread = [malformed(scope, "the verdict", "its time cannot be read")];
    expect(judge(noTime)).toEqual(unread);
    expect(judge(noTime, ago(0))).toEqual(unread);
    expect(judge(noTime, undefined, scope)).toEqual(unread);
  });

  test("is not later than its signature's, by more than clocks differ", () => {
    expect(judge(ago(minute), ago(6 * minute))).toEqual([]);
    const signedAt = ago(6 * minute + 1);
    expect(judge(ago(minute), signedAt)).toEqual([
      {
        rule: "gate.future",
        problem: `the verdict is of ${ago(minute).toISOString()}, and was signed at ${signedAt.toISOString()}, before that`,
        wayOut,
      },
    ]);
    expect(judge(ago(minute), ago(0))).toEqual([]);
  });

  test("is told beside that it is over: of the two the one may wait for a day", () => {
    expect(judge(ago(3 * hour), ago(3 * hour + 5 * minute)).map(({ rule }) => rule)).toEqual(["gate.stale"]);
    expect(judge(ago(3 * hour), ago(3 * hour + 6 * minute)).map(({ rule }) => rule)).toEqual([
      "gate.stale",
      "gate.future",
    ]);
  });

  test("is asked of the signature as well, and told once", () => {
    const wide = aged(2 * hour);
    expect(judge(ago(hour), ago(-6 * minute), wide)[0]).toMatchObject({
      rule: "gate.future",
      problem: expect.stringMatching(/^the signature of the verdict is of .*, which is in the future/),
    });
    expect(judge(ago(3 * hour), ago(3 * hour), wide)).toEqual([
      expect.objectContaining({ rule: "gate.stale", problem: expect.stringMatching(/^the verdict is of/) }),
    ]);
    // By a signature that is older than the verdict, as far as clocks may differ.
    expect(judge(ago(2 * hour), ago(2 * hour + 1), wide)).toEqual([
      expect.objectContaining({ rule: "gate.stale", problem: expect.stringMatching(/^the signature of the verdict/) }),
    ]);
  });
});

describe("the exceptions that it rests on", () => {
  const today = now.toISOString().slice(0, 10);
  const own = "registry.example/quarantine/shop";
  const judge = (exceptions: Parameters<typeof judgeExceptions>[2], facts: Partial<GateFacts> = {}) =>
    judgeExceptions(scopeOf({}, facts), "the verdict", exceptions);
  const elsewhere = (repository: string) => ({
    rule: "gate.exception",
    problem: `the verdict rests on an exception that was granted to ${repository}, and the image is in ${own}`,
    wayOut,
  });

  test("hold to the end of their last day", () => {
    expect(judge(undefined)).toEqual([]);
    expect(judge({ until: today })).toEqual([]);
    const over = {
      rule: "gate.exception",
      problem: "the verdict rests on an exception whose last day was 2026-04-30",
      wayOut: `Mend what the exception was for, or have it renewed. ${wayOut}`,
    };
    expect(judge({ until: "2026-04-30" })).toEqual([over]);
    expect(judge({ until: "2026-04-30", repository: "registry.example/quarantine/blog" })).toEqual([
      over,
      elsewhere("registry.example/quarantine/blog"),
    ]);
  });

  test("are not all: a warning holds until the day from which it refuses", () => {
    const late = { until: "2026-04-30", deferred: [{ rule: "scan.severity", from: today }] };
    const loaded = (from: string): Partial<GateFacts> => ({
      policy: { ...policy, policy: { ...policy.policy, enforceFrom: { "scan.severity": from } } },
    });
    expect(judge(late, loaded(today))).toEqual([
      {
        rule: "gate.deferred",
        problem: `the verdict passed with a warning of scan.severity, which refuses since ${today}`,
        wayOut:
          "Put right what the warning says (the stage's result and the report have it), build again, and take the new image along the path.",
      },
    ]);
    const tomorrow = { until: today, deferred: [{ rule: "scan.severity", from: "2026-05-02" }] };
    expect(judge(tomorrow, loaded("2026-05-02"))).toEqual([]);
  });

  test("are the image's own in quarantine", () => {
    expect(judge({ until: today, repository: own })).toEqual([]);
    expect(judge({ until: today, repository: `${own}/x` })).toEqual([elsewhere(`${own}/x`)]);
  });

  test("at the destination are of a repository that images come from, any of several", () => {
    const to: Partial<GateFacts> = {
      place: "to",
      environment: { ...environment, from: ["registry.example/other", "registry.example/quarantine"] },
    };
    expect(judge({ until: today, repository: "registry.example/quarantine/blog" }, to)).toEqual([]);
    expect(judge({ until: today, repository: "registry.example/quarantines" }, to)).toEqual([
      elsewhere("registry.example/quarantines"),
    ]);
    expect(judge({ until: today, repository: "No Repository" }, to)).toEqual([elsewhere("No Repository")]);
  });

  test("were asked by the promotion where that is required", () => {
    const requires = [...environment.requires, { stage: "promote" as const, signers: ["promote"] }];
    const facts = { environment: { ...environment, requires } };
    expect(judge({ until: today, repository: "registry.example/quarantine/blog" }, facts)).toEqual([]);
    expect(judge({ until: "2026-04-30", repository: own }, facts)).toHaveLength(1);
  });
});

describe("the policy that it was made under", () => {
  const before = { serial: 6, digest: digestOf("the policy of serial 6") };
  const inForce = (supersededAt: Date): LoadedPolicy =>
    putInForce(
      { ...policy, policy: { ...policy.policy, accepts: 999 * hour } },
      {
        repositories: ["registry.example/vetted/goldenpath-policy"],
        ...{ name: "acme", serial: 7, digest: policy.digest, source: "policy.yaml", artifact: other },
        ...{ activatedAt: supersededAt, withdrawals: [] },
        predecessors: [{ ...before, activatedAt: ago(999 * hour), supersededAt }],
      },
    );
  const judge = (serial: number, digest: string, time = now, by: LoadedPolicy = policy) => {
    const [algorithm = "", hex = ""] = digest.split(":");
    const made = { policySerial: serial, policyDigest: { [algorithm]: hex }, time };
    return judgePolicy(scopeOf({}, { policy: by }), "the verdict", made);
  };
  const refused = (problem: string, first = "") => [
    { rule: "gate.policy-serial", problem, wayOut: `${first}${wayOut}` },
  ];

  test("is this one, by serial and digest", () => {
    expect(judge(7, policy.digest)).toEqual([]);
    expect(judge(6, policy.digest)).toEqual(
      refused("the verdict was made under serial 6 of the policy; serial 7 counts"),
    );
    expect(judge(7, other)).toEqual(
      refused(
        "the verdict was made under another policy that has serial 7 as well",
        "Raise the policy's serial with every change. ",
      ),
    );
  });

  test("or one that it accepts", () => {
    const accepting = { ...policy, policy: { ...policy.policy, accepts: [{ ...before }] } };
    expect(judge(6, before.digest, now, accepting)).toEqual([]);
    expect(judge(5, before.digest, now, accepting)).toEqual(
      refused("the verdict was made under serial 5 of the policy; serials 7, 6 count"),
    );
  });

  test("or was in force when it was made, and an hour longer", () => {
    const by = inForce(ago(10 * hour));
    expect(judge(6, before.digest, ago(9 * hour), by)).toEqual([]);
    const over = refused("the verdict was made under serial 6 of the policy after that had been superseded");
    expect(judge(6, before.digest, ago(9 * hour - 1), by)).toEqual(over);
    expect(judge(6, before.digest, new Date(Number.NaN), by)).toEqual(over);
  });
});
