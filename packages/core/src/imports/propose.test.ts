import { fakeDigest } from "@goldenpath/testing/policy";
import { expect, test } from "vitest";
import { proposeImports, type UpstreamFacts } from "./propose.ts";

const now = new Date("2026-05-01T12:00:00Z");
const uri = "oci://docker.io/library/redis";
const [old, other] = [fakeDigest("a"), fakeDigest("b")];

function propose(change: Partial<UpstreamFacts>) {
  const imports = [{ digest: old, tag: "7.4-alpine", until: "2026-12-31" }];
  const facts = { uri, imports, tags: ["7.4-alpine"], current: new Map([["7.4-alpine", old]]), ...change };
  return proposeImports(facts, now).map(({ why, tag, digest }) => [
    why,
    tag,
    ...(digest === undefined ? [] : [digest]),
  ]);
}

test("nothing, where nothing is newer", () => {
  expect(propose({})).toEqual([]);
  expect(propose({ imports: [] })).toEqual([]);
  expect(propose({ current: new Map() })).toEqual([]);
});

test("a tag that points at something else now, unless that was imported as well", () => {
  const current = new Map([["7.4-alpine", other]]);
  expect(propose({ current })).toEqual([["moved", "7.4-alpine", other]]);
  const again = { digest: other, tag: "7.4-alpine", until: "2026-12-31" };
  expect(propose({ current, imports: [{ digest: old, tag: "7.4-alpine", until: "2026-12-30" }, again] })).toEqual([]);
});

test.each<[string, string[], string[][]]>([
  ["the highest of the same kind", ["7.6-alpine", "7.10-alpine", "7.9-alpine"], [["newer", "7.10-alpine"]]],
  ["another major version", ["8.0-alpine"], [["newer", "8.0-alpine"]]],
  ["no lower one", ["7.2-alpine", "6.9-alpine", "7.04-alpine"], []],
  ["no other kind", ["8", "latest", "7.6", "7.6.1-alpine", "7.6-bookworm", "7.6-alpine3"], []],
  [
    "numbers that no double has",
    ["7.18446744073709551616-alpine", "7.18446744073709551617-alpine"],
    [["newer", "7.18446744073709551617-alpine"]],
  ],
])("newer: %s", (_what, tags, expected) => {
  expect(propose({ tags: ["7.4-alpine", ...tags] })).toEqual(expected);
});

test("what ends within two weeks, or has ended", () => {
  const until = (day: string) => propose({ imports: [{ digest: old, tag: "7.4-alpine", until: day }] });
  expect(until("2026-05-20")).toEqual([]);
  expect(until("2026-05-10")).toEqual([["ending", "7.4-alpine"]]);
  expect(until("2026-04-01")).toEqual([["ending", "7.4-alpine"]]);
});

test("nothing of what was imported without a tag", () => {
  expect(propose({ imports: [{ digest: old, tag: undefined, until: "2026-04-01" }] })).toEqual([]);
});
