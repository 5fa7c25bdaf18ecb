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

function find(statements: VerifiedStatement[], change: Partial<VersionFacts & CollectedEvidence> = {}) {
  const { lapsed = [], rejected = [], ...facts } = change;
  return chooseApproval({
    ...{ digest: version, children: [], approvers: ["platform"], now },
    evidence: { statements, lapsed, rejected },
    ...facts,
  });
}
function choose(...given: Parameters<typeof find>) {
  const found = find(...given);
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
    "withdrawn at the same time, and told first",
    choose([word(withdrawn(1)), word(approved(1))]),
    /withdrawn on/,
    choose([word(withdrawn(1)), word(approved(0.9))]),
  ],
  [
    "withdrawn by a word that names the index alone",
    choose([word(approved(2), whole), word(withdrawn(1))], index),
    /withdrawn on/,
    choose([word(withdrawn(2)), word(approved(1), whole)], index),
  ],
  [
    "an index, by a statement of nothing",
    choose([{ ...word(approved(1)), statement: { ...word(approved(1)).statement, subject: [] } }], index),
    /is of an image in it, and not of the index/,
    choose([word(approved(1), whole)], index),
  ],
  [
    "out of its signer's time, and not to be read",
    choose([word(approved(1))], { lapsed: [word(approved(2), { edit: { role: "any" } })] }),
    /can't be read/,
    choose([word(approved(1))], { lapsed: [{ ...word(approved(2)), statement: signedOther({ role: "any" }) }] }),
  ],
  [
    "further ahead than clocks are",
    choose([word(approved(-1 / 12 - 1 / hour))]),
    /was signed before that/,
    choose([word(approved(-1 / 12))]),
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

function signedOther(edit: Record<string, unknown> = {}) {
  return { ...word(approved(1), { edit }).statement, predicateType: "https://example.com/approval/v1" };
}

test("the newest counts, by the time of a log or an authority where there is one", () => {
  expect(choose([word(approved(3)), word(approved(2))])).toBe(ago(2).toISOString());
  expect(choose([word(approved(3), { at: ago(1) }), word(approved(2))])).toBe(ago(1).toISOString());
});

test("an image that was approved as part of an index is approved", () => {
  expect(choose([word(approved(1), { root: other, children: [version] })])).toBe(ago(1).toISOString());
});

test("all that is told of an approval is what its newest word says", () => {
  const score = [{ platform: "linux/amd64", proven: { publisher: 25, updated: 15, open: 20, needless: 25 } }];
  const last = word({ ...approved(1), examined: { score } } as DecisionFacts["decision"], {
    edit: { notes: "no shell" },
  });
  const said = { approvedAt: ago(1), endOfLife: "2026-12-31", role: "run-only", signers: ["platform"] };
  expect(find([word(approved(2)), last])).toStrictEqual({
    kind: "approved",
    approval: { ...said, notes: "no shell", proven: score, bundle: last.bundle.digest },
  });
  const dated = word(approved(2), { at: ago(1) });
  expect(find([dated])).toMatchObject({ approval: { approvedAt: ago(1), signedAt: ago(1) } });
  const silent = word(approved(1));
  expect(find([silent])).toStrictEqual({
    kind: "approved",
    approval: { ...said, proven: [], bundle: silent.bundle.digest },
  });
});

test("a refusal says whose word it is of, and what is wrong with it", () => {
  const by = (made: VerifiedStatement): VerifiedStatement => ({ ...made, signers: ["anna", "bert"] });
  const whose = ({ bundle }: VerifiedStatement): string => `the approval that 'anna', 'bert' signed (${bundle.digest})`;
  const early = by(word(approved(1), { at: ago(3) }));
  expect(choose([early])).toBe(
    `${whose(early)} says that it is of ${ago(1).toISOString()}, and was signed before that`,
  );
  const partial = by(word(approved(1), { children: [left] }));
  expect(choose([partial], index)).toBe(`${whose(partial)} does not name ${right}, which is in the index`);
  expect(choose([by(word(withdrawn(1)))])).toBe(
    `its approval was withdrawn on ${ago(1).toISOString()} by 'anna', 'bert': it leaks`,
  );
  expect(choose([], { withdrawn: { at: ago(1), reason: "a backdoor" } })).toBe(
    `it was withdrawn on ${ago(1).toISOString()} by the platform's signer: a backdoor`,
  );
});

test("where there is no approval, it says whose would count, and of one that does not, why", () => {
  const approvers = ["anna", "bert"];
  const another = { ...rejected, claimedPredicateType: "https://example.com/approval/v1" };
  expect(find([], { approvers, rejected: [another] })).toEqual({
    kind: "refused",
    problem: "nobody of anna, bert has signed an approval of it",
  });
  expect(choose([], { approvers, rejected: [another, { ...rejected, reason: "it is forged" }] })).toBe(
    "there is an approval of it that counts for nothing: it is forged (those of anna, bert count)",
  );
  expect(choose([], { approvers, lapsed: [word(approved(1))] })).toBe(
    "there is an approval of it that counts for nothing: its signature has ended (those of anna, bert count)",
  );
});
