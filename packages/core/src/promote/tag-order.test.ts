import { environment, policy, provenance } from "@goldenpath/testing/gate-evidence";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { type ImageAge, orderImages } from "./image-age.ts";
import { type BuildFacts, orderBuilds, readHeld } from "./tag-order.ts";
import { findRollbacks } from "./tag-rollbacks.ts";

const at = (
  seconds: number,
  run?: [id: number, attempt: number],
  sourceRepository = "https://github.com/acme/shop",
): BuildFacts[number] => ({
  sourceRepository,
  finishedOn: new Date(seconds * 1000),
  run: run === undefined ? undefined : { id: run[0], attempt: run[1] },
});

describe("orderBuilds", () => {
  test.each<[string, BuildFacts, BuildFacts, ReturnType<typeof orderBuilds>]>([
    ["nothing is known of the present one", [], [at(1)], "unknown"],
    ["nothing is known of the next one", [at(1)], [], "unknown"],
    ["another repository", [at(1)], [at(2, undefined, "https://github.com/acme/cart")], "unknown"],
    [
      "two repositories have built the present one",
      [at(1), at(1, undefined, "https://github.com/acme/cart")],
      [at(2)],
      "unknown",
    ],
    ["a run of one alone", [at(1, [5, 1])], [at(2)], "unknown"],
    ["a run of some alone", [at(1, [5, 1]), at(1)], [at(2, [6, 1])], "unknown"],
    ["an earlier run, attested later", [at(1, [5, 1])], [at(9, [4, 1])], "earlier"],
    ["an earlier attempt", [at(1, [5, 2])], [at(9, [5, 1])], "earlier"],
    ["an earlier time", [at(2)], [at(1)], "earlier"],
    ["a later run has built the present one as well", [at(1, [5, 1]), at(1, [7, 1])], [at(9, [6, 1])], "earlier"],
    ["a later run, attested earlier", [at(9, [4, 1])], [at(1, [5, 1])], "later"],
    ["the same run and attempt", [at(1, [5, 1])], [at(1, [5, 1])], "later"],
    ["the same time", [at(1)], [at(1)], "later"],
    ["a later run has built the next one as well", [at(1, [5, 1])], [at(1, [4, 1]), at(2, [6, 1])], "later"],
  ])("%s", (_what, current, next, order) => expect(orderBuilds(current, next)).toBe(order));
});

const built = (...builds: BuildFacts[number][]): ImageAge => ({ builds, ancestors: [] });
const rebased = (seconds: number, ancestors: readonly string[], ...builds: BuildFacts[number][]): ImageAge => ({
  ...{ builds, rebasedOn: new Date(seconds * 1000) },
  ancestors: ancestors.map((each) => fakeDigest(each)),
});

describe("orderImages", () => {
  const build = at(1, [5, 1]);
  const later = at(1, [6, 1]);
  test.each<[string, ImageAge, ImageAge, ReturnType<typeof orderBuilds>]>([
    ["what was rebased from an earlier run's image, however late", built(later), rebased(99, ["x"], build), "earlier"],
    ["one of which nobody knows the build", built(build), rebased(9, ["a"]), "unknown"],
    ["over one of which nobody knows the build", rebased(9, ["x"]), built(later), "unknown"],
    ["back to what it was rebased from", rebased(9, ["b"], build), built(build), "earlier"],
    ["back to the rebase that it was rebased from", rebased(9, ["b", "x"], build), rebased(8, ["x"], build), "earlier"],
    ["another rebase of the same image, of before", rebased(9, ["x"], build), rebased(8, ["x"], build), "earlier"],
    ["the same run's other image over what was rebased", rebased(9, ["x"], build), built(build), "earlier"],
    ["another rebase of the same image, of after", rebased(8, ["x"], build), rebased(9, ["x"], build), "later"],
    ["what was rebased from it", built(build), rebased(9, ["a"], build), "later"],
    ["what was rebased from what was rebased", rebased(8, ["x"], build), rebased(9, ["a", "x"], build), "later"],
    ["a later run's image over what was rebased", rebased(99, ["x"], build), built(later), "later"],
    ["what was rebased from a later run's image", rebased(9, ["x"], build), rebased(8, ["y"], later), "later"],
  ])("%s", (_what, current, next, order) =>
    expect(orderImages({ digest: fakeDigest("a"), age: current }, { digest: fakeDigest("b"), age: next })).toBe(order),
  );
});

test("a tag that is new, or there already, goes back to nothing", () => {
  const [here, there] = [fakeDigest("a"), fakeDigest("b")];
  const tags = [{ tag: "new" }, { tag: "same", current: here }, { tag: "back", current: there }];
  expect(findRollbacks(tags, here, new Map([[there, built(at(2))]]), built(at(1)))).toEqual([
    { tag: "back", from: there, reason: "earlier" },
  ]);
  expect(findRollbacks(tags, here, new Map(), built(at(1)))).toEqual([{ tag: "back", from: there, reason: "unknown" }]);
  expect(findRollbacks(tags, here, new Map([[there, built(at(1))]]), built(at(2)))).toEqual([]);
});

test("a provenance whose signer's word has ended makes the image that a tag is at newer, and never older", () => {
  const run = (id: number) =>
    provenance("build", { invocationId: `https://github.com/acme/shop/actions/runs/${id}/attempts/1` });
  const held = (statements: number[], lapsed: number[]) =>
    readHeld(policy.policy, environment, { statements: statements.map(run), lapsed: lapsed.map(run) });
  const next = [at(1, [7, 1])];
  expect(orderBuilds(held([5], [9]), next)).toBe("earlier");
  expect(orderBuilds(held([5], []), next)).toBe("later");
  expect(orderBuilds(held([9], [5]), next)).toBe("earlier");
  // Ended with all that is known of it, it is as new as it was.
  expect(orderBuilds(held([], [5]), next)).toBe("later");
  expect(orderBuilds(held([], [9]), next)).toBe("earlier");
  expect(orderBuilds(held([], []), next)).toBe("unknown");
});
