import { finding, image, now, other, policy, repository } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { VerifiedStatement } from "../signing/types.ts";
import { readImports } from "./gather-imports.ts";
import { proposeImports } from "./propose.ts";
import { buildImportStatement } from "./statement.ts";

const upstream = { registry: "docker.io", name: "library/redis" };
const imported = (by = "platform", of = image): VerifiedStatement => {
  const statement = buildImportStatement({
    image: { repository, digest: image, children: [] },
    source: { repository: upstream, digest: of, tag: "7.4-alpine" },
    policy,
    ...{ reason: "a cache", owner: "team-shop", until: "2026-12-31", importedOn: now },
  });
  return { ...finding(statement.predicateType, by), statement };
};
const read = (statements: VerifiedStatement[], lapsed: VerifiedStatement[]) =>
  readImports({ statements, lapsed }, new Set(["platform"]));
const propose = (statements: VerifiedStatement[], lapsed: VerifiedStatement[]) =>
  proposeImports(
    {
      uri: "oci://docker.io/library/redis",
      imports: read(statements, lapsed),
      tags: ["7.4-alpine"],
      current: new Map([["7.4-alpine", image]]),
    },
    now,
  ).map(({ why, reason }) => [why, reason]);

test("an image whose importer's word has ended is proposed again: it looks like one that nobody has imported", () => {
  expect(propose([], [imported()])).toEqual([
    ["ending", "the word of the signer who imported it has ended, or the signature has"],
  ]);
});

test("where another import of it counts, nothing is proposed", () => {
  expect(propose([imported()], [])).toEqual([]);
  expect(propose([imported()], [imported()])).toEqual([]);
});

test.each([
  ["by whom imports nothing", imported("scan")],
  ["of another image", imported("platform", other)],
])("an import %s is none, in its time and out of it", (_what, statement) => {
  expect(read([statement], [statement])).toEqual([]);
});
