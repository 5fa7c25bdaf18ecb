import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { rolloutImage as image, rolloutTarget as target } from "@goldenpath/testing/rollout-image";
import { expect, test } from "vitest";
import { findSince } from "./gather.ts";

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
