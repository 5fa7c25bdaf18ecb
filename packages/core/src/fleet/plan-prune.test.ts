import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { describe, expect, test } from "vitest";
import { renderKeepRules } from "./keep-rules.ts";
import { describePrune, type PrunableImage, type PruneFacts, planPrune } from "./plan-prune.ts";

const now = new Date("2026-11-26T12:00:00Z");
const ago = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const years = (many: number): number => many * 366;

const image = (name: string, days: number, more: Partial<PrunableImage> = {}): PrunableImage => ({
  repository: parseRepository("host.example/vetted/shop"),
  ...{ digest: digestOf(name), tags: [name], environments: ["production"], children: [], evidence: [] },
  promotions: [{ environment: "production", at: ago(days) }],
  ...more,
});
const plan = (images: PrunableImage[], more: Partial<PruneFacts> = {}) =>
  planPrune({ images, running: [], rollbacks: 1, evidenceYears: 1, now, ...more });
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

test("what runs by the list and is not there is told, and others' images are none of it", () => {
  const gone = `host.example/vetted/shop@${digestOf("gone")}`;
  const running = [gone, "host.example/vetted/shop:9", "other.example/x:1", digestOf("else")];
  expect(plan([next], { running }).failures.map(({ what }) => what)).toEqual([gone, "host.example/vetted/shop:9"]);
});

describe("rules that keep", () => {
  const rules = (images: PrunableImage[], kind: "harbor" | "ecr" | "gar") =>
    Object.fromEntries(renderKeepRules(plan(images), kind));
  const kept = image("next", 1, {
    tags: ["1.1.0", "prod"],
    evidence: [digestOf("evidence")],
    children: [digestOf("c")],
  });

  test("of ECR: a rule for each tag, since an image has to have all tags of one", () => {
    const [first, second, ...more] = (
      rules([old(), kept], "ecr")["ecr-host.example-vetted-shop.json"] as { rules: object[] }
    ).rules;
    expect(first).toMatchObject({ rulePriority: 1, selection: { tagStatus: "tagged", tagPatternList: ["1.1.0"] } });
    expect(second).toMatchObject({ rulePriority: 2, selection: { tagPatternList: ["prod"], countNumber: 1 } });
    expect(more).toMatchObject([{ selection: { tagPatternList: ["sha256-*"] } }]);
    const many = Array.from({ length: 49 }, (_, at) => `t${at}`);
    expect(() => rules([image("next", 1, { tags: many })], "ecr")).toThrow(/49 tags to keep/);
    expect(() => rules([image("next", 1, { tags: many.slice(1) })], "ecr")).not.toThrow();
  });

  test("of Harbor: a rule for each repository, and one for all where a project has no room for that", () => {
    expect(rules([old(), kept], "harbor")["harbor-host.example-vetted.json"]).toMatchObject({
      algorithm: "or",
      rules: [
        {
          ...{ action: "retain", template: "always" },
          tag_selectors: [{ pattern: "{1.1.0,prod,sha256-*}" }],
          scope_selectors: { repository: [{ decoration: "repoMatches", pattern: "shop" }] },
        },
      ],
    });
    const many = Array.from({ length: 16 }, (_, at) =>
      image(`i${at}`, 1, { repository: parseRepository(`host.example/vetted/a${at}`) }),
    );
    const all = rules(many, "harbor")["harbor-host.example-vetted.json"] as { rules: { tag_selectors: object[] }[] };
    expect(all.rules).toHaveLength(1);
    expect(JSON.stringify(all.rules)).toContain("{a0,a1,");
  });

  test("of Artifact Registry: by digest, with what runs of it and what is signed about it", () => {
    expect(rules([old(), kept], "gar")["gar-host.example-vetted-shop.json"]).toEqual([
      {
        ...{ name: "goldenpath-keep", action: { type: "Keep" } },
        condition: {
          tagState: "any",
          versionNamePrefixes: [digestOf("c"), digestOf("evidence"), digestOf("next")].toSorted(),
        },
      },
    ]);
  });
});
