import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { policy, signed } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import { chooseApproval, type VersionFacts } from "./choose.ts";
import { buildDecisionStatement, type DecisionFacts } from "./predicate.ts";

const now = new Date("2026-05-10T12:00:00Z");
const hour = 3_600_000;
const ago = (hours: number): Date => new Date(now.getTime() - hours * hour);
const [version, left, right, other] = ["version", "left", "right", "other"].map((each) => digestOf(each)) as [
  Digest,
  Digest,
  Digest,
  Digest,
];

const approved = (hours: number): DecisionFacts["decision"] => ({
  decision: "approved",
  decidedAt: ago(hours),
  endOfLife: "2026-12-31",
  role: "run-only",
  examined: {},
});
const withdrawn = (hours: number): DecisionFacts["decision"] => ({
  decision: "withdrawn",
  decidedAt: ago(hours),
  reason: "it leaks",
});

interface Made {
  root?: Digest;
  children?: Digest[];
  at?: Date;
  edit?: Record<string, unknown>;
}

function word(decision: DecisionFacts["decision"], { root = version, children = [], at, edit }: Made = {}) {
  const image = { repository: { registry: "r.test", name: "bases/golden" }, digest: root, children };
  const statement = buildDecisionStatement({ image, policy, decision });
  const made = { ...statement, predicate: { ...statement.predicate, ...edit } };
  return { ...signed(made, ["platform"], version), ...(at === undefined ? {} : { time: at }) };
}

function choose(statements: VerifiedStatement[], change: Partial<VersionFacts & CollectedEvidence> = {}) {
  const { lapsed = [], rejected = [], ...facts } = change;
  const found = chooseApproval({
    ...{ digest: version, children: [], approvers: ["platform"], now },
    evidence: { statements, lapsed, rejected },
    ...facts,
  });
  return found.kind === "approved" ? found.approval.approvedAt.toISOString() : found.problem;
}

const index = { children: [left, right] };
const whole = { children: [left, right] };
const rejected = {
  ...{ subject: version, referrer: other, reason: "it is signed with a key that is not in this policy" },
  claimedPredicateType: "https://github.com/goldenpath-ci/goldenpath/predicates/base-approval/v1",
};

// Each refused case stands beside the same with nothing wrong.
test.each<[what: string, refused: ReturnType<typeof choose>, says: RegExp, twin: ReturnType<typeof choose>]>([
  ["nothing signed", choose([]), /nobody of platform has signed/, choose([word(approved(1))])],
  [
    "signed by somebody else",
    choose([], { rejected: [rejected] }),
    /counts for nothing: it is signed with a key/,
    choose([word(approved(1))], { rejected: [rejected] }),
  ],
  [
    "out of its signer's time",
    choose([], { lapsed: [word(approved(1))] }),
    /its signature has ended/,
    choose([word(approved(1))], { lapsed: [word(approved(2))] }),
  ],
  [
    "another statement",
    choose([{ ...word(approved(1)), statement: signedOther() }]),
    /nobody/,
    choose([word(approved(1))]),
  ],
  [
    "a field that nobody knows",
    choose([word(approved(1), { edit: { forAll: true } })]),
    /can't be read/,
    choose([word(approved(1))]),
  ],
  [
    "no end of life",
    choose([word(approved(1), { edit: { endOfLife: undefined } })]),
    /can't be read/,
    choose([word(approved(1))]),
  ],
  [
    "a role that there is not",
    choose([word(approved(1), { edit: { role: "any" } })]),
    /can't be read/,
    choose([word(approved(1))]),
  ],
  [
    "one that can't be read beside one that can",
    choose([word(approved(1)), word(approved(2), { edit: { role: "any" } })]),
    /can't be read/,
    choose([word(approved(1)), word(approved(2))]),
  ],
  ["of a time to come", choose([word(approved(-1))]), /was signed before that/, choose([word(approved(1))])],
  [
    "later by its word than it was signed",
    choose([word(approved(1), { at: ago(3) })]),
    /was signed before that/,
    choose([word(approved(3), { at: ago(1) })]),
  ],
  [
    "withdrawn since",
    choose([word(approved(2)), word(withdrawn(1))]),
    /withdrawn on .* 'platform': it leaks/,
    choose([word(withdrawn(2)), word(approved(1))]),
  ],
  [
    "withdrawn at the same time",
    choose([word(approved(1)), word(withdrawn(1))]),
    /withdrawn on/,
    choose([word(withdrawn(1)), word(approved(0.5))]),
  ],
  [
    "withdrawn by one whose time has ended since",
    choose([word(approved(2))], { lapsed: [word(withdrawn(1))] }),
    /withdrawn on/,
    choose([word(approved(1))], { lapsed: [word(withdrawn(2))] }),
  ],
  [
    "withdrawn in the pointer to the policy in force",
    choose([word(approved(1))], { withdrawn: { at: ago(0), reason: "a backdoor" } }),
    /by the platform's signer: a backdoor/,
    choose([word(approved(1))], { withdrawn: undefined }),
  ],
  [
    "one image of an index",
    choose([word(approved(1), { root: left, children: [version, right] })], index),
    /is of an image in it, and not of the index/,
    choose([word(approved(1), whole)], index),
  ],
  [
    "an index without one of its images",
    choose([word(approved(1), { children: [left] })], index),
    new RegExp(`does not name ${right}`),
    choose([word(approved(1), whole)], index),
  ],
])("an approval that does not hold: %s", (_what, refused, says, twin) => {
  expect(refused).toMatch(says);
  expect(twin).toMatch(/^2026-05-10T/);
});

function signedOther() {
  return { ...word(approved(1)).statement, predicateType: "https://example.com/approval/v1" };
}

test("the newest counts, by the time of a log or an authority where there is one", () => {
  expect(choose([word(approved(3)), word(approved(2))])).toBe(ago(2).toISOString());
  expect(choose([word(approved(3), { at: ago(1) }), word(approved(2))])).toBe(ago(1).toISOString());
});

test("an image that was approved as part of an index is approved", () => {
  expect(choose([word(approved(1), { root: other, children: [version] })])).toBe(ago(1).toISOString());
});
