import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { describe, expect, test } from "vitest";
import { describePrune, listUntagged, type PrunableImage, type PruneFacts, planPrune } from "./plan-prune.ts";

const now = new Date("2026-11-26T12:00:00Z");
const ago = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const years = (many: number): number => many * 366;

const image = (name: string, days: number, more: Partial<PrunableImage> = {}): PrunableImage => ({
  repository: parseRepository("host.example/vetted/shop"),
  ...{ digest: digestOf(name), tags: [name], environments: ["production"], children: [], evidence: [], ancestors: [] },
  promotions: [{ environment: "production", at: ago(days) }],
  ...more,
});
const plan = (images: PrunableImage[], more: Partial<PruneFacts> = {}) =>
  planPrune({
    ...{ images, running: [], prefixes: ["host.example/vetted"], rollbacks: 1, evidenceYears: 1, now },
    ...more,
  });
const mayGo = (images: PrunableImage[], more: Partial<PruneFacts> = {}): string[] =>
  plan(images, more)
    .images.filter(({ keptFor }) => keptFor.length === 0)
    .flatMap(({ image: { tags } }) => tags);

/** Of long ago, beside one that is there now. */
const old = (more: Partial<PrunableImage> = {}) => image("old", years(3), more);
const next = image("next", 1);

test("what is of long ago, does not run and is no target may go", () => {
  expect(mayGo([old(), next])).toEqual(["old"]);
  expect(describePrune(plan([old(), next]))).toMatchObject({ mayGo: [{ tags: ["old"] }], kept: [{ tags: ["next"] }] });
});

test("what a rollback may go to stays, and nothing for one where nobody wants to go back", () => {
  expect(mayGo([old(), image("next", 3)], { rollbacks: 5 })).toEqual([]);
  expect(mayGo([old(), image("next", 3)], { rollbacks: 0, evidenceYears: 0 })).toEqual(["old", "next"]);
});

describe("it stays", () => {
  const child = digestOf("a child");
  test.each<[what: string, own: PrunableImage, more: Partial<PruneFacts>]>([
    ["where it runs, by its name and digest", old(), { running: [`host.example/vetted/shop@${digestOf("old")}`] }],
    ["where it runs, by its digest alone", old(), { running: [digestOf("old")] }],
    ["where it runs from a mirror", old(), { running: [`mirror.example/shop@${digestOf("old")}`] }],
    ["where it runs, by a tag", old(), { running: ["host.example/vetted/shop:old"] }],
    ["where a platform's image of it runs", old({ children: [child] }), { running: [child] }],
    ["where a rollback may go to it", old(), { rollbacks: 2 }],
    ["as long as its evidence is in its years", old(), { evidenceYears: 4 }],
    ["where nobody says how it came in", old({ environments: [], promotions: [] }), {}],
    [
      "where it is the newest of another environment",
      old({ environments: ["staging"], promotions: [{ environment: "staging", at: ago(years(3)) }] }),
      {},
    ],
    ["of several of the same time each", image("old", 1), { evidenceYears: 0 }],
  ])("%s", (_what, own, more) => {
    expect(mayGo([own, next], more)).toEqual([]);
  });

  test("until the day on which its years are over", () => {
    const at = new Date("2024-11-26T12:00:00Z");
    const own = old({ promotions: [{ environment: "production", at }] });
    expect(mayGo([own, next], { evidenceYears: 2 })).toEqual(["old"]);
    const later = old({ promotions: [{ environment: "production", at: new Date(at.getTime() + 1) }] });
    expect(mayGo([later, next], { evidenceYears: 2 })).toEqual([]);
  });
});

describe("what goes with an image that stays stays as well", () => {
  const old = (name: string, more: Partial<PrunableImage> = {}) => image(name, years(3), more);
  const [amd, evidence, signed] = [digestOf("amd64"), digestOf("evidence"), digestOf("signed evidence")];
  const index = image("index", 1, { children: [amd], evidence: [evidence, signed] });

  test.each<[what: string, own: PrunableImage]>([
    ["a platform's image with a tag of its own", old("amd64")],
    ["evidence with a tag of its own", old("evidence")],
    ["what is signed about evidence", old("signed evidence")],
  ])("%s", (_what, own) => {
    expect(mayGo([own, index])).toEqual([]);
    expect(plan([own, index]).images[0]?.keptFor).toEqual([expect.stringContaining("it goes with host.example")]);
    // The same, of nothing that stays.
    expect(mayGo([own, next])).toEqual(own.tags);
  });

  test("the index that a platform's image is of", () => {
    const own = old("index", { children: [amd] });
    expect(mayGo([own, image("amd64", 1)])).toEqual([]);
    expect(mayGo([own, next])).toEqual(["index"]);
  });

  test("as far as it goes", () => {
    const far = [old("c"), old("b", { children: [digestOf("c")] }), old("a", { children: [digestOf("b")] })];
    expect(mayGo([...far, image("now", 1, { children: [digestOf("a")] })])).toEqual([]);
    expect(mayGo([...far, next])).toEqual(["c", "b", "a"]);
  });

  test("and in another repository nothing does", () => {
    const elsewhere = old("amd64", { repository: parseRepository("host.example/vetted/other") });
    expect(mayGo([elsewhere, image("newer", 1, { repository: elsewhere.repository }), index])).toEqual(["amd64"]);
  });
});

describe("a line of what runs", () => {
  const shop = "host.example/vetted/shop";
  test.each<[what: string, line: string, says: string]>([
    ["that is no image", "pod/shop is Running", "it is no image: expected"],
    ["of a digest that is not there", `${shop}@${digestOf("gone")}`, "no tag of its repository points at it"],
    ["of a tag that is not there", `${shop}:nextt`, "did you mean next?"],
    ["without a tag", shop, "no tag of its repository points at it"],
    ["of a digest alone", digestOf("else"), "nobody knows whose"],
    ["of a repository that was not found", "host.example/vetted/chop:1", `did you mean ${shop}?`],
    ["of one beside", "host.example/veted/shop:1", `did you mean ${shop}?`],
  ])("%s is an error", (_what, line, says) => {
    const { failures, elsewhere } = plan([next], { running: [line, `${shop}:next`] });
    expect(failures).toEqual([{ what: line, problem: expect.stringContaining(says) }]);
    expect(elsewhere.size).toBe(0);
  });

  test("of another's repository is counted, and a list of nothing else is an error", () => {
    const running = ["registry.example/pause:3.9", `registry.example/x@${digestOf("x")}`, "host.example/tools/lint:1"];
    const told = plan([next], { running: [...running, `docker-pullable://${shop}@${digestOf("next")}`] });
    expect(told.failures).toEqual([]);
    expect(describePrune(told)).toMatchObject({ elsewhere: { "registry.example": 2, "host.example": 1 } });
    expect(plan([next], { running }).failures).toMatchObject([{ what: "the list of what runs" }]);
  });
});

describe("what an image was rebased from", () => {
  const place = (name: string, repository = "host.example/vetted/shop") => ({
    repository: parseRepository(repository),
    digest: digestOf(name),
  });
  const rebased = (days: number, ...from: string[]) =>
    image("rebased", days, { ancestors: from.map((each) => place(each)) });

  test("stays with it, however often that was rebased, and wherever it lies", () => {
    expect(mayGo([image("old", years(3)), image("first", years(3)), rebased(1, "first", "old")])).toEqual([]);
    // Beside a newer one of that repository, which is what a rollback there may go to.
    const { repository } = place("old", "host.example/vetted/other");
    const elsewhere = image("rebased", 1, { ancestors: [place("old", "host.example/vetted/other")] });
    const [own] = plan([image("old", years(3), { repository }), image("next", 1, { repository }), elsewhere]).images;
    expect(own?.keptFor).toEqual([expect.stringContaining("was rebased from it")]);
  });

  test("may go once that may go, and keeps nothing of what was made of it", () => {
    expect(mayGo([image("old", years(4)), rebased(years(3), "old"), next])).toEqual(["old", "rebased"]);
    expect(mayGo([image("old", 1), rebased(years(3), "old")])).toEqual(["rebased"]);
  });

  test("is told where no tag points at it, as long as something that stays needs it", () => {
    const gone = { ancestor: place("old"), needs: `host.example/vetted/shop@${digestOf("rebased")}` };
    expect(listUntagged(plan([rebased(1, "old")]))).toEqual([gone]);
    expect(listUntagged(plan([rebased(years(3), "old"), next]))).toEqual([]);
    expect(listUntagged(plan([image("old", years(3)), rebased(1, "old")]))).toEqual([]);
  });
});
