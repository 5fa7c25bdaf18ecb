import { digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  ago,
  image,
  imageLayers,
  now,
  other,
  policy as own,
  repository,
  whole,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Policy, PolicyBase } from "../schema.ts";
import { judgeBaseAgain } from "./base.ts";
import type { AgainFacts, SeenChild } from "./facts.ts";

const { base } = whole();
const [first, second] = [digestOf("first"), digestOf("second")];
const where = "registry.example/bases/golden";
const golden = (more: Partial<PolicyBase> = {}): PolicyBase => ({
  ...{ name: "golden", image: where, digests: [first] },
  ...more,
});
const stood = (digest = first, more: object = {}) => ({ image: where, digest, ...more });
const seen: SeenChild = {
  ...{ digest: image, platform: { os: "linux", architecture: "amd64" } },
  config: { os: "linux", architecture: "amd64", config: {}, rootfs: { type: "layers", diff_ids: [...imageLayers] } },
  manifest: { layers: imageLayers.map((digest) => ({ mediaType: "application/x", digest, size: 10 })) },
};
const place = `${repository.registry}/${repository.name}`;
function judge(
  children: unknown,
  bases: PolicyBase[],
  change: Partial<Policy> = {},
  { subject = base.statement.subject, ...facts }: Partial<AgainFacts & Pick<typeof base.statement, "subject">> = {},
) {
  const statement = { ...base.statement, subject, predicate: { children } };
  const policy: Policy = { ...own.policy, bases, ...change };
  return judgeBaseAgain({ ...base, statement }, { policy, now, ...facts });
}
const child = (more: object) => [{ digest: image, ...more }];

test("a finding that can't be read is refused, and its twin is read", () => {
  const broken = { rule: "gate.malformed", thing: "the signed base", problem: "what base found can't be read" };
  for (const children of [
    "none",
    [{}],
    child({ base: { image: where } }),
    child({ base: stood(first, { digest: "latest" }) }),
    child({ base: stood(first, { approval: { signers: ["a"] } }) }),
  ])
    expect(judge(children, [golden()])).toEqual([broken]);
  expect(judge(child({ base: stood() }), [golden()])).toEqual([]);
});

test("an image on what is forbidden now is refused, by the version that was found, until its day a warning", () => {
  const forbid = (more: object = {}) => ({
    forbiddenBases: [{ ...{ name: "old", image: where, digests: [second], lineage: true }, ...more }],
  });
  const bases = [golden({ digests: [first, second] })];
  const refused = {
    rule: "base.forbidden",
    thing: image,
    problem: expect.stringContaining(`'old' (${where}@${second})`),
  };
  expect(judge(child({ base: stood(second) }), bases, forbid())).toEqual([refused]);
  expect(judge(child({ base: stood(second) }), bases, forbid({ enforceFrom: "2999-01-01" }))).toEqual([
    { ...refused, from: "2999-01-01" },
  ]);
  expect(judge(child({ base: stood() }), bases, forbid())).toEqual([]);
  // Which versions a repository's tags have is not asked here.
  expect(judge(child({ base: stood(second) }), bases, forbid({ digests: undefined }))).toEqual([]);
});

test("of versions with the same layers one that is approved counts, unless the lineage is forbidden", () => {
  const children = child({ base: stood(second), sameLayers: [stood()] });
  const forbid = (lineage: boolean, digest = second) => ({
    forbiddenBases: [{ name: "old", image: where, digests: [digest], lineage }],
  });
  expect(judge(children, [golden()], forbid(false))).toEqual([]);
  expect(judge(children, [golden()], forbid(true))).toMatchObject([{ rule: "base.forbidden" }]);
  const rules = judge(children, [golden({ digests: [digestOf("third")] })], forbid(false)).map(({ rule }) => rule);
  expect(rules).toEqual(["base.approved", "base.forbidden"]);
});

describe("an image on no base of the policy's is refused", () => {
  const other = golden({ name: "static", digests: [second] });

  test("with what it stands on, and what there is", () => {
    const told = (children: unknown, ...bases: PolicyBase[]) => judge(children, bases).map(({ problem }) => problem);
    expect(told(child({ base: stood(second) }), golden())).toEqual([
      `it stands on ${where}@${second}, and the policy approves golden`,
    ]);
    expect(told(child({ base: null }), golden(), other)).toEqual([
      "it stands on no approved base, and the policy approves golden, static",
    ]);
    expect(told(child({}))).toEqual(["it stands on no approved base, and the policy approves none"]);
  });

  test("unless it stands on one of several versions, or on one of the same layers", () => {
    expect(judge(child({ base: stood(second) }), [golden({ digests: [first, second] })])).toEqual([]);
    expect(judge(child({ base: stood(second), sameLayers: [stood()] }), [golden()])).toEqual([]);
    expect(judge(child({ base: stood(second), sameLayers: [stood(second)] }), [golden()])).toHaveLength(1);
  });

  test("unless an exception holds for where it was", () => {
    const granted = (at: string): Partial<Policy> => ({
      exceptions: [{ rule: "base.approved", repository: at, reason: "r", owner: "o", expires: "2026-12-31" }],
    });
    expect(judge(child({ base: null }), [golden()], granted(place))).toEqual([]);
    expect(judge(child({ base: null }), [golden()], granted("r.test/other"))).toHaveLength(1);
  });

  test("or from the day of its rule on", () => {
    const waiting = { enforceFrom: { "base.approved": "2026-12-31" } };
    expect(judge(child({ base: null }), [golden()], waiting)).toMatchObject([{ from: "2026-12-31" }]);
    expect(judge(child({ base: null }), [golden()])[0]).not.toHaveProperty("from");
  });
});

describe("a base that has ended is refused", () => {
  const ended = golden({ until: "2026-04-30" });

  test("by its last day", () => {
    expect(judge(child({ base: stood() }), [ended])).toEqual([
      { rule: "base.expired", thing: image, problem: "base 'golden' was approved until 2026-04-30" },
    ]);
    expect(judge(child({ base: stood() }), [golden({ until: "2026-05-01" })])).toEqual([]);
  });

  test("not where the image stands on another of the same layers that has not, whichever comes first", () => {
    const both = child({ base: stood(), sameLayers: [stood(second)] });
    const other = golden({ name: "other", digests: [second] });
    expect(judge(both, [ended, other])).toEqual([]);
    expect(judge(both, [other, ended])).toEqual([]);
    expect(judge(both, [ended])).toHaveLength(1);
  });

  test("by the end of life in its approval, by one of the signers who count", () => {
    const approving = golden({ digests: [], approval: { signers: ["a", "b"] } as NonNullable<PolicyBase["approval"]> });
    const approved = (change: object = {}, more: object = {}) => {
      const signed = { approvedAt: ago(86_400_000).toISOString(), role: "run-only", signers: ["a"] };
      return child({ base: stood(first, { approval: { endOfLife: "2026-12-31", ...signed, ...change }, ...more }) });
    };
    expect(judge(approved(), [approving])).toEqual([]);
    expect(judge(approved({ signers: ["c", "b"] }), [approving])).toEqual([]);
    expect(judge(approved({ signers: ["c"] }), [approving])).toMatchObject([{ rule: "base.approved" }]);
    // An approval is of the image in its own repository, and a base without one is none of that.
    expect(judge(approved({}, { image: "registry.example/bases/other" }), [approving])).toMatchObject([
      { rule: "base.approved" },
    ]);
    expect(judge(child({ base: stood() }), [approving])).toMatchObject([{ rule: "base.approved" }]);
    expect(judge(approved({ endOfLife: "2026-04-30" }), [approving])).toMatchObject([
      { problem: expect.stringMatching(/^it stands on base 'golden': \w/) },
    ]);
    // A finding of before roles and times were signed.
    expect(judge(approved({ role: "build-only" }), [approving])).toMatchObject([{ rule: "base.build-image" }]);
    expect(judge(approved({ role: undefined }), [approving])).toEqual([]);
    const young = { ...approving, approval: { signers: ["a"], maxAge: 7 * 86_400_000 } };
    expect(judge(approved({ approvedAt: undefined }), [young])).toMatchObject([{ rule: "base.expired" }]);
    expect(judge(approved(), [young])).toEqual([]);
  });
});

describe("what an image must be like is asked whatever it stands on", () => {
  const found = { base: stood(), layers: imageLayers, matchedLayers: 1 };
  const as = (config: SeenChild["config"]["config"], more: object = {}): SeenChild => ({
    ...seen,
    config: { ...seen.config, config, ...more },
  });
  const refuse = (...kinds: Policy["images"]["refuse"]) => ({ images: { refuse: kinds, mustHave: [] } });

  test("of each platform's image by its own config", () => {
    const ask = (...children: SeenChild[]) =>
      judge([...child(found), { ...found, digest: other }], [golden()], refuse("root-user"), { children });
    const root = { ...as({ User: "0" }), digest: other };
    expect(ask(as({ User: "1000" }), root)).toMatchObject([{ rule: "base.root-user", thing: `${place}@${other}` }]);
    expect(ask(root, as({ User: "1000" }))).toHaveLength(1);
    expect(ask(as({ User: "1000" }), { ...as({ User: "1000" }), digest: other })).toEqual([]);
  });

  test("of one whose config says nothing, which has no label and starts as root", () => {
    const images = { refuse: ["root-user" as const], mustHave: [{ label: "owner" }] };
    const ask = (each: SeenChild) => judge(child(found), [golden()], { images }, { children: [each] });
    expect(ask(as(undefined)).map(({ rule }) => rule)).toEqual(["base.root-user", "base.missing"]);
    expect(ask(as({ User: "1000", Labels: { owner: "shop" } }))).toEqual([]);
  });

  test("of the layers above the base alone whether they were committed", () => {
    const ask = (...made: string[]) => {
      const history = made.map((each) => ({ created_by: each }));
      return judge(child(found), [golden()], refuse("committed"), { children: [as({}, { history })] });
    };
    expect(ask("COPY . /", "nginx -g daemon")).toMatchObject([{ rule: "base.committed" }]);
    expect(ask("nginx -g daemon", "COPY . /")).toEqual([]);
  });
});

describe("a rule on what nobody compared is unknown", () => {
  const rules = (expression: string): Partial<Policy> => ({
    rules: [{ name: "own", stage: "base", expression, message: "m", remedy: "r" }],
  });
  const layers = { layers: imageLayers, matchedLayers: 1 };
  const ask = (expression: string, found: object, older?: PolicyBase[], bases = [golden()]) =>
    judge(child({ base: stood(), ...found }), bases, rules(expression), {
      children: [seen],
      ...(older === undefined ? {} : { older: { ...own.policy, bases: older } }),
    }).map(({ isUnknown }) => isUnknown === true);

  test("and not of the time, the config and where the image is; whatever breaks it names the image", () => {
    const broken = (expression: string) =>
      judge(child({ base: stood() }), [golden()], rules(expression), { children: [seen] });
    expect(broken('now < timestamp("2026-05-01T00:00:00Z")')).toEqual([
      expect.objectContaining({ rule: "base.rule", thing: `${place}@${image}`, problem: "rule 'own': m" }),
    ]);
    expect(broken('now > timestamp("2026-05-01T00:00:00Z")')).toEqual([]);
    expect(ask('config.user == "1000"', {})).toEqual([false]);
    expect(ask('config.user == ""', {})).toEqual([]);
    expect(ask('image.repository == "registry.example/other"', {})).toEqual([false]);
    expect(ask(`image.repository == "${place}"`, {})).toEqual([]);
  });

  test.each(["", "REGISTRY TEST@latest"])("where the finding calls the image '%s'", (name) => {
    const subject = base.statement.subject.map((each) => ({ ...each, name }));
    const unnamed = (expression: string) =>
      judge(child({ base: stood() }), [golden()], rules(expression), { children: [seen], subject });
    expect(unnamed(`image.digest == "${image}"`)).toMatchObject([
      { isUnknown: true, thing: `${name.replace("@latest", "")}@${image}` },
    ]);
    expect(unnamed('config.user == ""')).toEqual([]);
    expect(unnamed('config.user == "1000"')[0]).not.toHaveProperty("isUnknown");
  });

  test("not of the day on which its base ends, and of when that was approved", () => {
    const until = [golden({ until: "2027-12-31" })];
    expect(ask('base.until == "2027-12-31"', layers, undefined, until)).toEqual([]);
    expect(ask('base.until == "2027-12-30"', layers, undefined, until)).toEqual([false]);
    expect(ask("has(base.until) || has(base.approvedAt)", layers)).toEqual([false]);
    const signed = { signers: ["a"], endOfLife: "2026-12-31", approvedAt: ago(86_400_000).toISOString() };
    const approving = [golden({ until: "2027-12-31", approval: { signers: ["a"] } })];
    const told = (expression: string) =>
      ask(expression, { ...layers, base: stood(first, { approval: signed }) }, undefined, approving);
    expect(told(`base.until == "2026-12-31" && base.approvedAt == timestamp("${signed.approvedAt}")`)).toEqual([]);
    expect(told("now - base.approvedAt < duration('1h')")).toEqual([false]);
  });

  test("of layers that are not in the finding, or of which nobody says how many are the base's", () => {
    expect(ask("layers.size() == 2", layers)).toEqual([]);
    expect(ask("layers.size() == 3", layers)).toEqual([false]);
    expect(ask('layers.map(l, l.from) == ["base", "application"]', layers)).toEqual([]);
    expect(ask("layers.size() == 2", { matchedLayers: 1 })).toEqual([true]);
    expect(ask("layers.size() == 2", { layers: imageLayers })).toEqual([true]);
    expect(ask('base.name == "golden"', { matchedLayers: 1 })).toEqual([]);
    expect(ask('base.name == "golden"', {})).toEqual([true]);
  });

  test("where a version is approved that the older policy did not have", () => {
    const name = 'base.name == "golden"';
    expect(ask(name, layers, [golden()])).toEqual([]);
    expect(ask(name, layers, [golden()], [golden({ digests: [first, second] })])).toEqual([true]);
    expect(ask(name, layers, [golden({ digests: [first, second] })])).toEqual([]);
    const signed = golden({
      ...{ name: "signed", image: "registry.example/bases/signed", digests: [] },
      approval: { signers: ["a"] } as NonNullable<PolicyBase["approval"]>,
    });
    expect(ask(name, layers, [golden()], [golden(), signed])).toEqual([true]);
    expect(ask(name, layers, [golden(), signed], [golden(), signed])).toEqual([]);
  });
});
