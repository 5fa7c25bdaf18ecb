import { rolloutImage as image, rolloutTarget as target } from "@goldenpath/testing/rollout-image";
import { describe, expect, test } from "vitest";
import type { RolloutImage } from "./facts.ts";
import { planRollout } from "./plan.ts";

const now = new Date("2026-03-10T00:00:00Z");
const rules = { canaries: ["registry.test/vetted/try"], wave: 2, pause: 86_400_000 };

const ago = (hours: number): Date => new Date(now.getTime() - hours * 3_600_000);
/** One that was put on the new version so many hours ago. */
const done = (name: string, hours: number): RolloutImage =>
  image(name, { isBehind: false, isRebased: true, promotedAt: ago(hours), since: ago(hours) });

function plan(images: readonly RolloutImage[], more: Partial<typeof rules> = {}) {
  const { waves, due, until, done: count } = planRollout({ target, images, rules: { ...rules, ...more }, now });
  const name = (each: RolloutImage) => each.repository.name.replace("vetted/", "");
  return {
    waves: waves.map((wave) => [wave.name, ...wave.images.map(name)]),
    due: due?.name,
    until: until?.toISOString(),
    done: count,
  };
}

describe("nothing but canaries goes", () => {
  test.each([
    ["as long as one of them is behind", [image("a"), image("try"), image("try/two")], ["try/two", "try"]],
    ["where one has failed before", [image("a"), done("try/one", 100), image("try", { isTried: true })], ["try"]],
    ["however long ago others went", [image("a"), done("b", 1000), image("try")], ["try"]],
  ])("%s", (_what, images, first) => {
    expect(plan(images)).toMatchObject({
      due: "canaries",
      waves: [
        ["canaries", ...first],
        ["wave 1", "a"],
      ],
    });
  });

  test("where none is named, or none stands on this base, the first of all goes alone", () => {
    for (const canaries of [[], rules.canaries])
      expect(plan([image("b"), image("a"), image("c")], { canaries })).toMatchObject({
        due: "canaries",
        waves: [
          ["canaries", "a"],
          ["wave 1", "b", "c"],
        ],
      });
  });

  test("a name that only begins like a canary's is none", () => {
    expect(plan([image("try2"), image("try")])).toMatchObject({
      waves: [
        ["canaries", "try"],
        ["wave 1", "try2"],
      ],
    });
  });
});

describe("nothing new goes", () => {
  test("as long as one that was begun is not in vetted", () => {
    const images = [done("try", 100), image("a"), image("z", { isTried: true })];
    expect(plan(images)).toMatchObject({
      due: "again",
      waves: [
        ["again", "z"],
        ["wave 1", "a"],
      ],
    });
  });

  test("at once because more looks begun than a run begins: it goes wave by wave, after the pause, and before all others", () => {
    const marked = ["x", "y", "z"].map((name) => image(name, { isTried: true }));
    expect(plan([done("try", 1), image("a"), ...marked])).toMatchObject({
      ...{ due: undefined, until: "2026-03-10T23:00:00.000Z" },
      waves: [
        ["wave 1", "x", "y"],
        ["wave 2", "z", "a"],
      ],
    });
    expect(plan([done("try", 24), image("a"), ...marked]).due).toBe("wave 1");
    expect(plan([done("try", 1), image("a"), ...marked.slice(1)]).due).toBe("again");
  });

  test("before the pause is over since the last promotion, of whatever wave", () => {
    const waiting = plan([done("try", 100), done("b", 23), image("a")]);
    expect(waiting).toMatchObject({ due: undefined, until: "2026-03-10T01:00:00.000Z", done: 2 });
    expect(plan([done("try", 100), done("b", 24), image("a")])).toMatchObject({ due: "wave 1", until: undefined });
  });

  test("before it is over since a canary was built on the new version, which was no rebase", () => {
    const built = { ...done("try", 1), isRebased: false };
    expect(plan([built, image("a")]).until).toBe("2026-03-10T23:00:00.000Z");
    // One of each day's, and another that a run has rebased an hour ago.
    expect(plan([{ ...built, since: ago(24) }, image("a")])).toMatchObject({ due: "wave 1", until: undefined });
    expect(plan([{ ...built, isRebased: true, since: ago(24) }, image("a")]).until).toBe("2026-03-10T23:00:00.000Z");
    // Of another image that says nothing.
    const other = { ...done("b", 1), isRebased: false };
    expect(plan([done("try", 100), other, image("a")]).until).toBeUndefined();
  });
});

test("then so many at a time, by their names, whatever order they come in", () => {
  const images = [image("c"), image("a"), image("b"), done("try", 100)];
  expect(plan(images)).toEqual({
    ...{ due: "wave 1", until: undefined, done: 1 },
    waves: [
      ["wave 1", "a", "b"],
      ["wave 2", "c"],
    ],
  });
  expect(plan([done("try", 0)])).toEqual({ waves: [], due: undefined, until: undefined, done: 1 });
});
