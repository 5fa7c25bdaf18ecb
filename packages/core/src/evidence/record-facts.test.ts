import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { parsePolicy } from "../policy/parse.ts";
import { maxPredecessors } from "../policy/pointer.ts";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { buildVerificationSummary, type SummaryFacts } from "../signing/verification-summary.ts";
import { stageVerifierId } from "../stages.ts";
import { listRecord, type RecordedImage } from "./record-facts.ts";
import { renderRecordCsv, renderRecordTable } from "./render-record.ts";

const policy: LoadedPolicy = {
  policy: parsePolicy(Buffer.from(samplePolicyText), "policy.yaml"),
  uri: "policy.yaml",
  digest: digestOf(samplePolicyText),
};
const promoter = policy.policy.environments["production"]?.promoter ?? "";
const repository = { registry: "registry.test", name: "vetted/shop" };
const digest = digestOf("image");
const always = { from: new Date(0), to: new Date("2100-01-01T00:00:00Z") };

function state(facts: Partial<SummaryFacts> = {}, by = promoter): VerifiedStatement {
  const statement = buildVerificationSummary({
    stage: "promote",
    image: { repository, digest, children: [] },
    policy: { uri: policy.uri, digest: policy.digest, serial: 7 },
    passed: true,
    violations: 0,
    excepted: 0,
    environment: "production",
    timeVerified: new Date("2026-11-03T10:00:00Z"),
    inputs: [],
    tools: [],
    ...facts,
  });
  const blob = { mediaType: "x/y", digest: digestOf(JSON.stringify(statement) + by), size: 1 };
  return { subject: digest, signers: [by], statement, bundle: blob, referrer: blob };
}

const imageWith = (statements: VerifiedStatement[], lapsed: VerifiedStatement[] = []): RecordedImage => ({
  repository,
  digest,
  tags: ["1.0.0"],
  evidence: { statements, lapsed, rejected: [] },
});
const list = (image: RecordedImage, under = policy, period = always) =>
  listRecord([image], "production", under, period);

describe("the record of an environment", () => {
  test.each<[string, VerifiedStatement, RegExp]>([
    ["another environment's promotion", state({ environment: "staging" }), /one is for environment 'staging'/],
    ["a promotion that somebody else signed", state({}, "somebody"), /one is by somebody, .* promoter is /],
    ["a promotion that did not pass", state({ passed: false, violations: 1 }), /one says FAILED/],
    ["another stage's verdict", state({ stage: "scan" }), /counts$/],
    [
      "a promotion of the same image to another repository",
      state({ image: { repository: { ...repository, name: "vetted/cart" }, digest, children: [] } }),
      /one is for registry\.test\/vetted\/cart$/,
    ],
  ])("has no entry by %s, and says that the image is there, whatever the period", (_what, statement, detail) => {
    const long = { from: new Date(0), to: new Date(1) };
    const alone = list(imageWith([statement]), policy, long);
    expect(alone).toMatchObject([{ event: "unaccounted", what: `registry.test/vetted/shop@${digest}`, by: [] }]);
    expect(alone[0]?.detail).toMatch(detail);
    expect(alone[0]?.time).toBeUndefined();
    expect(list(imageWith([statement, state()])).map(({ event }) => event)).toEqual(["entry"]);
    expect(list(imageWith([statement, state()]), policy, long)).toEqual([]);
  });

  const at = (hour: number) => new Date(`2026-11-03T${String(hour).padStart(2, "0")}:00:00Z`);
  const [theirs, older] = [digestOf("a policy of the caller's own"), digestOf("serial 6")];
  const pointer = (more: Partial<PolicyPointer> = {}): PolicyPointer => ({
    repositories: ["registry.test/vetted/goldenpath-policy"],
    ...{ name: "acme", serial: 7, digest: policy.digest, source: policy.uri, artifact: digest, activatedAt: at(9) },
    predecessors: [{ serial: 6, digest: older, activatedAt: at(1), supersededAt: at(9), revoked: true }],
    ...more,
  });
  const made = (serial: number, digest: Digest, hour = 10, more: Partial<VerifiedStatement> = {}) => ({
    ...state({ policy: { uri: "p", digest, serial }, timeVerified: at(hour) }),
    ...more,
  });
  const many = Array.from({ length: maxPredecessors }, (_, index) => ({
    ...{ serial: index + 5, digest: older, activatedAt: at(1), supersededAt: at(9) },
  }));
  const long = pointer({ serial: 999, predecessors: many });
  test.each<[string, VerifiedStatement, PolicyPointer, RegExp]>([
    ["another content under the same serial", made(7, theirs), pointer(), /serial 7 of a policy that was never/],
    ["a serial that nobody activated", made(5, theirs), pointer(), /serial 5 of a policy that was never in force$/],
    ["one superseded by then", made(6, older, 11), pointer(), /serial 6 of the policy, after .* superseded$/],
    ["one superseded by the time of its signature", made(6, older, 8, { time: at(11) }), pointer(), /superseded$/],
    ["what a long pointer would still know", made(5, theirs), long, /never in force/],
    ["a serial of before a long pointer, since it", made(4, theirs, 3), long, /serial 4 of a policy that was never/],
  ])("has no entry by a promotion under %s", (_what, statement, inForce, detail) => {
    const found = list(imageWith([statement]), { ...policy, inForce });
    expect(found).toMatchObject([{ event: "unaccounted", detail: expect.stringMatching(detail) }]);
    expect(list(imageWith([statement, made(7, policy.digest)]), { ...policy, inForce: pointer() })).toHaveLength(1);
  });

  test.each<[string, VerifiedStatement, PolicyPointer]>([
    ["the policy in force", made(7, policy.digest), pointer()],
    ["one that was then, whatever became of it", made(6, older, 8), pointer()],
    ["one that it began under", made(6, older, 10), pointer()],
    ["any, of which another place's pointer says nothing", made(5, theirs), pointer({ repositories: ["r.test/x"] })],
    ["one that is longer ago than a long pointer knows", made(4, theirs, 2), long],
  ])("has an entry by a promotion under %s", (_what, statement, inForce) => {
    expect(list(imageWith([statement]), { ...policy, inForce })).toMatchObject([{ event: "entry" }]);
  });

  test("says of what nothing lets in why what is there counts for nothing, and of many a part", () => {
    const rejected = ["a", "b", "b", "c", "d"].map((reason) => ({
      subject: digest,
      referrer: digest,
      reason,
      claimedVerifierId: stageVerifierId("promote"),
    }));
    const scan = { subject: digest, referrer: digest, reason: "no", claimedVerifierId: stageVerifierId("scan") };
    const image = { ...imageWith([]), evidence: { statements: [], lapsed: [], rejected: [...rejected, scan] } };
    expect(list(image)[0]?.detail).toBe("no promotion to environment 'production' counts: a; b; c; and 1 more");
  });

  test("has a tag that can't be read, before what has a time", () => {
    const broken = { repository, tags: ["2.0.0"], unreadable: "it is two things at once" };
    expect(listRecord([imageWith([state()]), broken], "production", policy, always)).toMatchObject([
      { event: "unaccounted", what: "registry.test/vetted/shop:2.0.0", detail: expect.stringContaining("two things") },
      { event: "entry" },
    ]);
  });

  test("has an entry whose signer's word counts no more: it was let in", () => {
    expect(list(imageWith([], [state()]))).toMatchObject([{ event: "entry", by: [promoter] }]);
  });

  test("has the exceptions that an entry rests on, and no other image's or time's", () => {
    const exceptions = { until: "2026-12-31", repository: "registry.test/quarantine/shop" };
    const scan = state({ stage: "scan", excepted: 1, exceptions }, "scan-2026");
    const unused = state({ stage: "base", excepted: 1, exceptions }, "base-2026");
    const entry = state({ inputs: [{ digest: scan.bundle.digest, uri: "test:scan" }] });
    expect(list(imageWith([scan, unused, entry]))).toMatchObject([
      { event: "entry", by: [promoter] },
      {
        event: "exception",
        by: ["scan-2026"],
        detail: "scan passed by an exception that holds until 2026-12-31, for registry.test/quarantine/shop",
      },
    ]);
  });

  test("says who approved what, and which tags moved back", () => {
    const approvedBy = [{ by: "ada", environments: ["vetted", "other"] }];
    const [entry, rollback] = list(
      imageWith([
        state({
          approvals: [
            { by: "ada", environments: ["vetted"] },
            { by: "ada", environments: ["other"] },
          ],
          tagRollbacks: [{ tag: "1.0.0", from: digestOf("newer"), reason: "older" }],
        }),
      ]),
    );
    expect(entry).toMatchObject({ event: "entry", approvedBy, serial: 7, tags: ["1.0.0"] });
    expect(rollback).toMatchObject({ event: "rollback", detail: expect.stringContaining(digestOf("newer")) });
  });

  test("has what was withdrawn and lifted, in the order of time", () => {
    const on = (day: number) => new Date(`2026-11-0${day}T10:00:00Z`);
    const lifted = { reason: "it was fine", owner: "bob", at: on(5) };
    const thing = { kind: "image", digest } as const;
    const inForce = pointer({ withdrawals: [{ thing, reason: "found bad", owner: "eve", at: on(4), lifted }] });
    const under = { ...policy, inForce };
    const found = list(imageWith([state()]), under);
    expect(found.map(({ event, by }) => [event, ...by])).toEqual([
      ["entry", promoter],
      ["withdrawal", "eve"],
      ["lifted", "bob"],
    ]);
    const period = { from: on(4), to: on(4) };
    expect(list(imageWith([state()]), under, period).map(({ event }) => event)).toEqual(["withdrawal"]);
  });
});

describe("rendered", () => {
  test("as CSV nothing is a formula, and nothing leaves its cell", () => {
    const inForce = {
      withdrawals: [
        {
          thing: { kind: "base", digest } as const,
          reason: '=HYPERLINK("https://evil.example"),\r\nx',
          owner: "@eve",
          at: new Date("2026-11-04T10:00:00Z"),
        },
      ],
    };
    const under = { ...policy, inForce: inForce as unknown as PolicyPointer };
    const csv = renderRecordCsv(listRecord([], "production", under, always));
    expect(csv.split("\r\n")).toHaveLength(3);
    expect(csv).toContain(`"'=HYPERLINK(""https://evil.example"")`);
    expect(csv).toContain(`"'@eve"`);
  });

  test("as a table there is a line for each", () => {
    const lines = renderRecordTable(list(imageWith([state()])))
      .trimEnd()
      .split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^2026-11-03T10:00:00\.000Z {2}entry/);
  });

  test("an environment's name makes no second approval", () => {
    const approvals = [
      { by: "ada", environments: ["build", "build) boss (vetted"] },
      { by: "eve", environments: [] },
    ];
    const [, line = ""] = renderRecordTable(list(imageWith([state({ approvals })]))).split("\n");
    expect(line).toContain(`  ada (build, "build) boss (vetted") eve  `);
  });

  test("what nobody let in is in each form, without a time", () => {
    const entries = list(imageWith([]));
    expect(renderRecordTable(entries)).toMatch(/\n {6}unaccounted {2}registry\.test\/vetted\/shop@sha256:/);
    expect(renderRecordCsv(entries)).toContain(`\r\n"","unaccounted","registry.test/vetted/shop@sha256:`);
  });
});
