import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { ago, minute, policy, repository, summary } from "@goldenpath/testing/gate-evidence";
import { rolloutImage as image, rolloutTarget as target } from "@goldenpath/testing/rollout-image";
import { expect, test } from "vitest";
import { findPointerRepository } from "../../policy/pointer.ts";
import type { PolicyPointer } from "../../policy/pointer-facts.ts";
import { findEntry, findSince, listReturns } from "./gather.ts";

const on = (day: number): Date => new Date(Date.UTC(2026, 0, day));
const built = { isBehind: false, promotedAt: on(9) };

test("a repository stands on a version since the first of its images that does, whether or not somebody asks for its tag", () => {
  const now = image("try", built);
  const first = image("try", { ...built, promotedAt: on(3), tags: [] });
  expect(findSince(now, [now, first, image("try", { ...built, promotedAt: on(5) })])).toEqual(on(3));
});

test("nothing of that is said by what stands on another version, or is of another repository", () => {
  const now = image("try", built);
  for (const other of [
    image("try", { isBehind: true, promotedAt: on(3) }),
    image("try", { ...built, promotedAt: on(3), target: { ...target, digest: digestOf("3") } }),
    image("try/two", { ...built, promotedAt: on(3) }),
  ])
    expect(findSince(now, [now, other])).toEqual(on(9));
});

test("what was let in before somebody went back from the version counts no more: the pause is from when it came again", () => {
  const { repository } = image("try");
  const back = [on(4)];
  expect(findEntry(repository, [on(3), on(7), on(9)], [{ repository, back }])).toEqual(on(7));
  // It came again within a day, which nothing signed tells.
  expect(findEntry(repository, [on(3)], [{ repository, back: [on(1), ...back] }])).toEqual(on(4));
});

test("its twins: promoted again where nobody has gone back, or of another repository, or before there was the version", () => {
  const { repository } = image("try");
  const of = (place: typeof repository, ...back: Date[]) => [{ repository: place, back }];
  expect(findEntry(repository, [on(9), on(3)], of(repository))).toEqual(on(3));
  expect(findEntry(repository, [on(3), on(9)], of(image("try/two").repository, on(4)))).toEqual(on(3));
  expect(findEntry(repository, [on(3), on(9)], of(repository, on(2)))).toEqual(on(3));
});

const production = { promoter: "promote", environment: "production", inForce: undefined };

test("that somebody went back is what the environment's promoter has signed of the image, and nobody else", () => {
  const tagRollbacks = [{ tag: "prod", from: digestOf("on the version"), reason: "earlier" as const }];
  const told = { environment: "production", tagRollbacks, timeVerified: ago(minute) };
  const promoted = (by: string, more: object) => summary("promote", by, [], { ...told, ...more });
  const look = (...statements: ReturnType<typeof summary>[]) =>
    listReturns({ facts: { repository }, evidence: { statements, lapsed: [], rejected: [] } }, production);
  expect(look(promoted("promote", {}))).toEqual([ago(minute)]);
  for (const statement of [
    promoted("scan", {}),
    promoted("promote", { environment: "staging" }),
    promoted("promote", { tagRollbacks: [] }),
  ])
    expect(look(statement)).toEqual([]);
});

test("nor under a policy that was never in force there, and its twin, under the one that is", () => {
  const tagRollbacks = [{ tag: "prod", from: digestOf("on the version"), reason: "earlier" as const }];
  const told = { environment: "production", tagRollbacks, timeVerified: ago(minute) };
  const evidence = { statements: [summary("promote", "promote", [], told)], lapsed: [], rejected: [] };
  const pointer = (digest: Digest): PolicyPointer => ({
    repositories: [formatRepository(findPointerRepository(repository))],
    ...{ name: "acme", serial: policy.policy.serial, digest, source: policy.uri, artifact: digestOf("artifact") },
    ...{ activatedAt: on(1), predecessors: [] },
  });
  const look = (inForce: PolicyPointer) => listReturns({ facts: { repository }, evidence }, { ...production, inForce });
  expect(look(pointer(digestOf("another")))).toEqual([]);
  expect(look(pointer(policy.digest))).toEqual([ago(minute)]);
});
