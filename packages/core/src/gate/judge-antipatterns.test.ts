import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import {
  edited,
  environment,
  factsOf,
  finding,
  image,
  imageLayers,
  now,
  other,
  policy,
  rulesOf,
  summary,
  whole,
  without,
} from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { Antipattern } from "../policy/images-section.ts";
import type { Exception } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { StageScope } from "./facts.ts";
import { judgeSignedAntipatterns } from "./judge-antipatterns.ts";

const index = digestOf("an index");
const credential = { kind: "credentials", problem: "layer 2 has at /srv/x: a token", file: "/srv/x" };
const secret = { kind: "secrets", problem: "layer 2 has a login" };
const child = (found: object[], looked: unknown = ["credentials", "secrets"], digest: Digest = image) => ({
  ...{ digest, antipatterns: { looked, found } },
});
interface Asked {
  refuse?: Antipattern[];
  exceptions?: Exception[];
  of?: { digest: Digest; children: Digest[] };
}
function judge(children: unknown, { refuse = ["credentials"], exceptions = [], of }: Asked = {}) {
  const facts = factsOf([], {
    environment: { ...environment, ...(refuse.length === 0 ? {} : { images: { refuse } }) },
    policy: { ...policy, policy: { ...policy.policy, exceptions } },
    ...(of === undefined ? {} : { image: { digest: of.digest === image ? image : index, children: of.children } }),
  });
  const scope: StageScope = {
    ...{ facts, digest: of?.digest ?? image, stage: "base", requirement: { stage: "base", signers: ["base"] } },
    evidence: { statements: [], lapsed: [], rejected: [] },
  };
  return judgeSignedAntipatterns(scope, [finding(predicateTypes.base, "base", [image], { children })]);
}
const exception = (change: Partial<Exception> = {}): Exception => ({
  ...{
    rule: "base.credential",
    repository: "registry.example/quarantine/shop",
    file: "/srv/x",
    reason: "r",
    owner: "o",
  },
  ...{ expires: "2026-12-31", ...change },
});

test("what an environment refuses, and the base stage has found, is refused; what it does not ask is not", () => {
  const both = [child([credential, secret])];
  expect(judge(both).map(({ rule, problem }) => `${rule}: ${problem}`)).toEqual([
    "gate.finding: environment 'production' refuses images with credentials: layer 2 has at /srv/x: a token",
  ]);
  expect(judge(both, { refuse: ["secrets", "credentials"] })).toHaveLength(2);
  expect(judge(both, { refuse: [] })).toEqual([]);
  expect(judge([child([])])).toEqual([]);
  expect(judge([child([secret])])).toEqual([]);
});

test("of many the first twenty are told one by one, with the way out, and how many more there are", () => {
  const many = (count: number) => judge([child(Array.from({ length: count }, () => credential))]);
  expect(many(20)).toHaveLength(20);
  expect(many(22).slice(19)).toMatchObject([
    { rule: "gate.finding", problem: expect.stringContaining("a token"), wayOut: expect.stringMatching(/^Put right/) },
    {
      ...{ rule: "gate.finding", problem: expect.stringMatching(/^and 2 more that environment 'production' refuses/) },
      wayOut: expect.stringMatching(/^Put right what base found, build again/),
    },
  ]);
});

describe("what the finding does not tell is refused, and by no exception let be", () => {
  test.each<[string, unknown]>([
    ["of another kind alone", [child([], ["secrets"])]],
    ["of none", [{ digest: image }]],
    ["of another image", [child([], ["credentials"], other)]],
    ["twice, and once without", [child([]), child([], [])]],
    ["in no shape that it has", [child([], "credentials")]],
    ["of what it found in no shape", [child([{ kind: "credentials" }])]],
    ["no children", "none"],
  ])("%s", (_what, children) => {
    const [found, ...others] = judge(children, { exceptions: [exception()] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ rule: "gate.finding", isFirm: true });
    expect(found?.problem).toContain("does not tell whether it has some");
    expect(found?.wayOut).toContain("Run enforce-golden-base");
  });
});

test("an exception of the policy holds for its rule, file and repository, as of now", () => {
  const held = (change: Partial<Exception> = {}, found: object = credential) =>
    judge([child([found])], { refuse: ["credentials", "secrets"], exceptions: [exception(change)] }).length === 0;
  expect(held()).toBe(true);
  expect(held({ rule: "base.secret" })).toBe(false);
  expect(held({ file: "/srv/y" })).toBe(false);
  expect(held({ repository: "registry.example/quarantine/other" })).toBe(false);
  expect(held({ expires: new Date(now.getTime() - 86_400_000 * 2).toISOString().slice(0, 10) })).toBe(false);
  // What is told of no file is of more than anybody has listed.
  expect(held({}, { kind: "credentials", problem: "7 more files have some" })).toBe(false);
  const { file: _file, ...repository } = exception({ rule: "base.secret" });
  expect(judge([child([secret])], { refuse: ["secrets"], exceptions: [repository] })).toEqual([]);
});

test("each image of an index is judged with its own; the index with none", () => {
  const children = [child([credential]), child([], undefined, other)];
  const ofIndex = (digest: Digest) => judge(children, { of: { digest, children: [image, other] } });
  expect(ofIndex(other)).toEqual([]);
  expect(ofIndex(image)).toHaveLength(1);
  expect(judge(children, { of: { digest: index, children: [image, other] } })).toEqual([]);
});

test("of many the first are told, and how many there are besides", () => {
  const many = judge([child(Array.from({ length: 30 }, (_, at) => ({ ...credential, file: `/srv/${at}` })))]);
  expect(many).toHaveLength(21);
  expect(many.at(-1)?.problem).toContain("and 10 more");
});

test("the gate asks it of what the base stage has found, and of no other stage's findings", () => {
  const all = whole();
  const decide = (...found: object[]) => {
    const base = edited(all.base, ["children"], [{ ...child(found), layers: imageLayers }]);
    const statements = [...without(all, "base", "baseVerdict"), base, summary("base", "base", [base])];
    return rulesOf(factsOf(statements, { environment: { ...environment, images: { refuse: ["credentials"] } } }));
  };
  expect(decide(credential)).toEqual(["gate.finding"]);
  expect(decide()).toEqual([]);
});
