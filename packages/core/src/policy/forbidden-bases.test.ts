import { fakeDigest } from "@goldenpath/testing/policy";
import { expectPlaced, parseText, sampleWith } from "@goldenpath/testing/policy-refusal";
import { expect, test } from "vitest";
import { forbidLeftOut } from "./forbidden-bases.ts";
import type { Policy } from "./schema.ts";

const section = (...entries: string[]): string =>
  `forbiddenBases:\n${entries.map((each) => `  - { ${each} }\n`).join("")}build:\n  strategies`;
const old = `name: old, image: a.example/old, digests: [${fakeDigest("d")}]`;

test.each([
  ["two of one name", section(old, "name: old, image: a.example/b"), "two forbidden bases have the same name: 'old'"],
])("%s are refused, at the second", (what, to, message) => {
  expectPlaced([what, "build:\n  strategies", to, "{ name: old, image: a.example/b", `forbiddenBases[1]: ${message}`]);
});

test("a version that is approved as well is refused, and its twins are read", () => {
  const [base] = parseText(sampleWith("", "")).bases;
  const [digest = ""] = base?.digests ?? [];
  const entry = `name: old, image: ${base?.image}, digests: [${fakeDigest("d")}, ${digest}]`;
  const message = `forbiddenBases[0].digests[1]: is a version of base '${base?.name}', which may be stood on`;
  expectPlaced(["a version of a base", "build:\n  strategies", section(entry), `${digest}] }\n`, message]);
  for (const twin of [old, entry.replace(`, ${digest}`, ""), `name: old, image: ${base?.image}`])
    expect(parseText(sampleWith("build:\n  strategies", section(twin))).forbiddenBases).toMatchObject([
      { lineage: true },
    ]);
});

const policy = (bases: object[], more: object = {}): Policy =>
  ({ bases, build: { builders: [] }, forbiddenBases: [], ...more }) as unknown as Policy;
const java = { name: "java", image: "r.test/java", digests: ["one", "two"] };

test("a base that counts by approvals is left out by what its tags point at, whole or by versions", () => {
  const signed = { ...java, digests: [] };
  const all = { name: "java-left-out", image: "r.test/java", lineage: false };
  expect(forbidLeftOut(policy([signed]), policy([]), "shop")).toMatchObject([all]);
  const [some] = forbidLeftOut(policy([signed]), policy([java]), "shop");
  expect(some).toMatchObject(all);
  expect(some).not.toHaveProperty("digests");
  expect(forbidLeftOut(policy([signed]), policy([signed]), "shop")).toEqual([]);
  const other = { ...signed, name: "other", image: "r.test/other" };
  expect(forbidLeftOut(policy([signed, other]), policy([other]), "shop")).toMatchObject([all]);
  expect(forbidLeftOut(policy([java]), policy([{ ...java, digests: ["two"] }]), "shop")).toMatchObject([
    { ...all, digests: ["one"] },
  ]);
});

test("a version that another base has as well is left out with both, and not with one", () => {
  const again = { ...java, name: "again", digests: ["two", "three"] };
  const both = policy([java, again]);
  expect(forbidLeftOut(both, policy([again]), "shop")).toMatchObject([{ name: "java-left-out", digests: ["one"] }]);
  expect(forbidLeftOut(both, policy([java]), "shop")).toMatchObject([{ name: "again-left-out", digests: ["three"] }]);
  expect(forbidLeftOut(both, policy([{ ...again, image: "r.test/other" }]), "shop")).toMatchObject([
    ...[{ digests: ["one", "two"] }, { digests: ["two", "three"] }],
  ]);
  expect(forbidLeftOut(both, policy([]), "shop").map(({ digests }) => digests)).toEqual([
    ["one", "two"],
    ["two", "three"],
  ]);
});

test("names are no longer than a name may be, and told apart", () => {
  const name = "a".repeat(63);
  const found = forbidLeftOut(
    policy([java, { ...java, name }, { ...java, name: `${"a".repeat(62)}b` }]),
    policy([]),
    "x",
  );
  expect(found.map((each) => each.name)).toEqual([
    "java-left-out",
    `${"a".repeat(54)}-left-out`,
    `${"a".repeat(52)}-left-out-2`,
  ]);
  expect(forbidLeftOut(policy([{ ...java, name: "a-b-c" }]), policy([]), "x")[0]?.name).toBe("a-b-c-left-out");
  const hyphen = { ...java, name: `${"a".repeat(53)}-${"b".repeat(9)}` };
  expect(forbidLeftOut(policy([hyphen]), policy([]), "x")[0]?.name).toBe(`${"a".repeat(53)}-left-out`);
});
