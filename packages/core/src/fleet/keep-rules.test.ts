import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type RuleKind, renderKeepRules, ruleKinds } from "./keep-rules.ts";
import type { PrunableImage } from "./plan-prune.ts";

// What is written is held to what each product's documentation says that it takes: written down here after that, as none
// of these can be run here.

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html */
const ecrRule = z.strictObject({
  rulePriority: z.number().int().min(1),
  description: z.string(),
  selection: z.strictObject({
    tagStatus: z.literal("tagged"),
    // Four wildcards in a pattern; an image has to have all tags of one rule.
    tagPatternList: z.tuple([z.string().regex(/^[^*]+(?:\*[^*]*){0,4}$/)]),
    countType: z.literal("imageCountMoreThan"),
    countNumber: z.number().int().min(1),
  }),
  action: z.strictObject({ type: z.literal("expire") }),
});
const ecr = z.strictObject({
  rules: z
    .array(ecrRule)
    .min(1)
    .max(50)
    .refine((rules) => new Set(rules.map(({ rulePriority }) => rulePriority)).size === rules.length),
});

/** Harbor's api/v2.0/swagger.yaml: RetentionPolicy, RetentionRule, RetentionSelector. */
const selector = (decoration: string) =>
  z.strictObject({
    kind: z.literal("doublestar"),
    decoration: z.literal(decoration),
    pattern: z.string().min(1),
    extras: z.string().optional(),
  });
const harbor = z.strictObject({
  algorithm: z.literal("or"),
  rules: z
    .array(
      z.strictObject({
        disabled: z.literal(false),
        action: z.literal("retain"),
        template: z.literal("always"),
        params: z.strictObject({}),
        tag_selectors: z.tuple([selector("matches")]),
        scope_selectors: z.strictObject({ repository: z.tuple([selector("repoMatches")]) }),
      }),
    )
    .min(1)
    .max(15),
  trigger: z.strictObject({ kind: z.literal("Schedule"), settings: z.strictObject({ cron: z.string() }) }),
});

/** https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy: a policy file, ten policies at most. */
const gar = z
  .array(
    z.strictObject({
      name: z.string().regex(/^[a-z][a-z0-9-]*$/),
      action: z.strictObject({ type: z.literal("Keep") }),
      condition: z.strictObject({
        tagState: z.enum(["tagged", "untagged", "any"]),
        tagPrefixes: z.array(z.string().min(1)).min(1).optional(),
        versionNamePrefixes: z.array(digest).min(1).optional(),
      }),
    }),
  )
  .max(10);

/** Azure's REST reference: Manifests and Tags, Update Properties. */
const acr = z.array(
  z.strictObject({
    method: z.literal("PATCH"),
    path: z.string().regex(/^\/acr\/v1\/[a-z0-9/-]+\/(?:_manifests\/sha256:[0-9a-f]{64}|_tags\/[\w][\w.-]{0,127})$/),
    body: z.strictObject({ deleteEnabled: z.literal(false), writeEnabled: z.literal(true) }),
  }),
);

/** action.yml of actions/delete-package-versions. */
const ghcr = z.strictObject({
  owner: z.string().min(1),
  "package-name": z.string().min(1),
  "package-type": z.literal("container"),
  "ignore-versions": z.string(),
});

const schemas: Record<RuleKind, z.ZodType> = { ecr, harbor, gar, acr, ghcr };

const image = (text: string, more: Partial<PrunableImage> = {}): PrunableImage => ({
  ...{ repository: parseRepository("host.example/vetted/shop"), digest: digestOf(text), tags: [text] },
  ...{ environments: ["production"], promotions: [], children: [], evidence: [], ancestors: [], ...more },
});
const next = image("next", { tags: ["1.1.0", "prod"], evidence: [digestOf("evidence")], children: [digestOf("c")] });
const old = image("old");
const all: Digest[] = [digestOf("c"), digestOf("evidence"), digestOf("next")];

function rules(kind: RuleKind, kept: readonly PrunableImage[] = [next]): Record<string, unknown> {
  const images = [...kept.map((each) => ({ image: each, keptFor: ["it runs"] })), { image: old, keptFor: [] }];
  return Object.fromEntries(renderKeepRules({ images, failures: [], elsewhere: new Map() }, kind));
}

test.each(ruleKinds)("%s: what is written is what its documentation takes, and names nothing that may go", (kind) => {
  const several = [next, image("pay", { repository: parseRepository("host.example/vetted/team/pay") })];
  const files = Object.values(rules(kind, several));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect(schemas[kind].safeParse(file).error).toBeUndefined();
  expect(JSON.stringify(files)).not.toContain(digestOf("old"));
  expect(JSON.stringify(files)).not.toMatch(/"old"/);
  expect(rules(kind, [])).toEqual({});
});

describe("rules that keep", () => {
  test("of ECR: a rule for each tag, since an image has to have all tags of one", () => {
    const [first, second, ...more] = (rules("ecr")["ecr-host.example-vetted-shop.json"] as { rules: object[] }).rules;
    expect(first).toMatchObject({ rulePriority: 1, selection: { tagStatus: "tagged", tagPatternList: ["1.1.0"] } });
    expect(second).toMatchObject({ rulePriority: 2, selection: { tagPatternList: ["prod"], countNumber: 1 } });
    expect(more).toMatchObject([
      { selection: { tagPatternList: ["sha256-*"], countNumber: 100_000 } },
      { selection: { tagPatternList: ["sha512-*"], countNumber: 100_000 } },
    ]);
    const many = Array.from({ length: 48 }, (_, at) => `t${at}`);
    expect(() => rules("ecr", [image("next", { tags: many })])).toThrow(/48 tags to keep/);
    expect(() => rules("ecr", [image("next", { tags: many.slice(1) })])).not.toThrow();
  });

  test("of Harbor: a rule for each repository, and one for all where a project has no room for that", () => {
    expect(rules("harbor")["harbor-host.example-vetted.json"]).toMatchObject({
      algorithm: "or",
      rules: [
        {
          ...{ action: "retain", template: "always" },
          tag_selectors: [{ pattern: "{1.1.0,prod,sha256-*,sha512-*}" }],
          scope_selectors: { repository: [{ decoration: "repoMatches", pattern: "shop" }] },
        },
      ],
    });
    const many = Array.from({ length: 16 }, (_, at) =>
      image(`i${at}`, { repository: parseRepository(`host.example/vetted/a${at}`) }),
    );
    const one = rules("harbor", many)["harbor-host.example-vetted.json"] as { rules: { tag_selectors: object[] }[] };
    expect(one.rules).toHaveLength(1);
    expect(JSON.stringify(one.rules)).toContain("{a0,a1,");
    expect(harbor.safeParse(one).success).toBe(true);
  });

  test("of Artifact Registry: by digest, with what its index names and what refers to it, and what is signed later", () => {
    expect(rules("gar")["gar-host.example-vetted-shop.json"]).toEqual([
      {
        ...{ name: "goldenpath-keep", action: { type: "Keep" } },
        condition: { tagState: "any", versionNamePrefixes: all.toSorted() },
      },
      { name: "goldenpath-keep-untagged", action: { type: "Keep" }, condition: { tagState: "untagged" } },
      {
        ...{ name: "goldenpath-keep-evidence", action: { type: "Keep" } },
        condition: { tagState: "tagged", tagPrefixes: ["sha256-", "sha512-"] },
      },
    ]);
  });

  test("of Azure: a lock for each tag, and for each manifest of an image and about it", () => {
    const requests = rules("acr")["acr-host.example.json"] as { path: string }[];
    expect(requests.map(({ path }) => path)).toEqual(
      [
        ...all.map((each) => `/acr/v1/vetted/shop/_manifests/${each}`),
        ...["/acr/v1/vetted/shop/_tags/1.1.0", "/acr/v1/vetted/shop/_tags/prod"],
      ].toSorted(),
    );
  });

  test("of GitHub: an expression that matches each version of an image and about it, and no other", () => {
    const file = rules("ghcr")["ghcr-host.example-vetted-shop.json"] as Record<string, string>;
    expect(file).toMatchObject({ owner: "vetted", "package-name": "shop", "package-type": "container" });
    const ignored = new RegExp(file["ignore-versions"] ?? "");
    expect(all.filter((each) => ignored.test(each))).toEqual(all);
    expect([digestOf("old"), `${digestOf("next")}0`, "prod", ""].some((each) => ignored.test(each))).toBe(false);
    const many = Array.from({ length: 1500 }, (_, at) => digestOf(`e${at}`));
    expect(() => rules("ghcr", [image("next", { evidence: many })])).toThrow(/1501 versions to keep/);
  });
});
