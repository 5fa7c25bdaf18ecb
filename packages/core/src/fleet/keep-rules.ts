import { UserError } from "@goldenpath/foundation/errors";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { PrunedImage, PrunePlan } from "./plan-prune.ts";

/** Registries with rules for what stays. */
export const ruleKinds = ["harbor", "ecr", "gar", "acr", "ghcr"] as const;
export type RuleKind = (typeof ruleKinds)[number];

/** ECR has so many rules in one policy. */
const maxEcrRules = 50;
/** More than any repository has. */
const manyEvidence = 100_000;
/** Harbor has so many in one project. */
const maxHarborRules = 15;

/**
 * What a registry has to be told for all that is kept to stay: file name → JSON. Only rules that keep; what goes is its
 * owner's to say.
 * @throws UserError `rules-impossible` where the registry has no rule that would keep something
 */
export function renderKeepRules({ images }: PrunePlan, kind: RuleKind): Map<string, unknown> {
  const kept = images.filter(({ keptFor }) => keptFor.length > 0);
  return { harbor: renderHarbor, ecr: renderEcr, gar: renderGar, acr: renderAcr, ghcr: renderGhcr }[kind](kept);
}

type Kept = readonly PrunedImage[];

/** Evidence of registries that have no list of referrers: it lies under tags, and is kept whosever it is. */
const evidencePrefixes = ["sha256-", "sha512-"];
const evidenceTags = evidencePrefixes.map((prefix) => `${prefix}*`);

const byRepository = (kept: Kept): Map<string, Kept> =>
  Map.groupBy(kept, ({ image }) => formatRepository(image.repository));

const tagsOf = (kept: Kept): string[] => [...new Set(kept.flatMap(({ image }) => image.tags))].toSorted();

/**
 * A policy for each repository, as `aws ecr put-lifecycle-policy` takes it. ECR has no rule that keeps: an image that a
 * rule of higher priority selects is expired by none of a lower one, and of one tag there are never more than one. Each
 * tag has a rule of its own, since an image has to have all tags of one rule. A platform's image is not expired as long
 * as its index is there, and what refers to an image goes with it: but of what has no tag ECR has no rule that keeps, so
 * the one that says what goes must name tags.
 * https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
 */
function renderEcr(kept: Kept): Map<string, unknown> {
  const files = [...byRepository(kept)].map(([repository, own]): [string, unknown] => {
    const tags = tagsOf(own);
    // Those for evidence, and one that says what goes.
    const most = maxEcrRules - evidenceTags.length - 1;
    if (tags.length > most) {
      throw new UserError(
        `${repository} has ${tags.length} tags to keep, and a lifecycle policy of ECR has ${maxEcrRules} rules at most, ${most} of them for tags: the others are for evidence and for what goes`,
        {
          code: "rules-impossible",
          wayOut: "Take away what may go by hand, or give what has to stay a tag by a pattern of its own.",
        },
      );
    }
    const rules = [...tags, ...evidenceTags].map((tag, index) => ({
      rulePriority: index + 1,
      description: `goldenpath: keep ${tag}`,
      selection: {
        ...{ tagStatus: "tagged", tagPatternList: [tag], countType: "imageCountMoreThan" },
        countNumber: evidenceTags.includes(tag) ? manyEvidence : 1,
      },
      action: { type: "expire" },
    }));
    return [`ecr-${slug(repository)}.json`, { rules }];
  });
  return new Map(files);
}

/**
 * For each project the rules of `POST /api/v2.0/retentions`: of a repository that a rule is for, Harbor keeps what a rule
 * retains, and takes away all else once the policy runs. What has no tag is retained, and with it what refers to an
 * image and has a row of its own. Nothing runs by itself as they are: there is no schedule.
 * https://goharbor.io/docs/main/working-with-projects/working-with-images/create-tag-retention-rules/
 */
function renderHarbor(kept: Kept): Map<string, unknown> {
  const projects = Map.groupBy(byRepository(kept), ([repository]) => repository.split("/").slice(0, 2).join("/"));
  const files = [...projects].map(([project, repositories]): [string, unknown] => {
    const names = repositories.map(([repository]) => repository.slice(project.length + 1));
    const each = repositories.map(([, own], index) => harborRule([names[index] ?? ""], tagsOf(own)));
    // A rule for all keeps more than it has to, and nothing less.
    const rules =
      each.length <= maxHarborRules ? each : [harborRule(names, tagsOf(repositories.flatMap(([, own]) => own)))];
    return [
      `harbor-${slug(project)}.json`,
      { algorithm: "or", rules, trigger: { kind: "Schedule", settings: { cron: "" } } },
    ];
  });
  return new Map(files);
}

function harborRule(repositories: readonly string[], tags: readonly string[]): Record<string, unknown> {
  const anyOf = (names: readonly string[]): string => (names.length === 1 ? (names[0] ?? "") : `{${names.join(",")}}`);
  return {
    ...{ disabled: false, action: "retain", template: "always", params: {} },
    tag_selectors: [
      {
        ...{ kind: "doublestar", decoration: "matches", pattern: anyOf([...tags, ...evidenceTags]) },
        extras: '{"untagged":true}',
      },
    ],
    scope_selectors: {
      repository: [{ kind: "doublestar", decoration: "repoMatches", pattern: anyOf(repositories) }],
    },
  };
}

/**
 * For each repository of Artifact Registry (the third part of the name: HOST/PROJECT/REPOSITORY) policies that keep, as
 * `gcloud artifacts repositories set-cleanup-policies` takes them: by digest what stays, with all that its index names
 * and all that refers to any of it, which are versions of their own there; and, since a rescan signs something new each
 * week, whatever has no tag, and what lies under evidence's tags. What both kinds of policy have is kept.
 * https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy
 */
function renderGar(kept: Kept): Map<string, unknown> {
  const places = Map.groupBy(kept, ({ image }) => formatRepository(image.repository).split("/").slice(0, 3).join("/"));
  const keep = (name: string, condition: object) => ({ name, action: { type: "Keep" }, condition });
  const files = [...places].map(([place, own]): [string, unknown] => {
    const digests = own.flatMap(({ image }) => digestsOf(image));
    return [
      `gar-${slug(place)}.json`,
      [
        keep("goldenpath-keep", { tagState: "any", versionNamePrefixes: [...new Set(digests)].toSorted() }),
        keep("goldenpath-keep-untagged", { tagState: "untagged" }),
        keep("goldenpath-keep-evidence", { tagState: "tagged", tagPrefixes: evidencePrefixes }),
      ],
    ];
  });
  return new Map(files);
}

/**
 * For each registry the requests that lock what stays: Azure Container Registry has no rule that keeps, and what deletes,
 * `acr purge` among that, leaves what is locked alone unless it is told otherwise. A tag has a lock of its own. What is
 * locked can still be signed: a referrer is a manifest of its own.
 * https://learn.microsoft.com/azure/container-registry/container-registry-image-lock
 */
function renderAcr(kept: Kept): Map<string, unknown> {
  const registries = Map.groupBy(kept, ({ image }) => image.repository.registry);
  const files = [...registries].map(([registry, own]): [string, unknown] => {
    const paths = own.flatMap(({ image }) => [
      ...digestsOf(image).map((digest) => `/acr/v1/${image.repository.name}/_manifests/${digest}`),
      ...image.tags.map((tag) => `/acr/v1/${image.repository.name}/_tags/${tag}`),
    ]);
    const lock = (path: string) => ({ method: "PATCH", path, body: { deleteEnabled: false, writeEnabled: true } });
    return [`acr-${slug(registry)}.json`, [...new Set(paths)].toSorted().map(lock)];
  });
  return new Map(files);
}

/** What a step's input may have: GitHub's runner hands it over as a variable of the environment. Bytes. */
const maxGhcrInput = 100_000;

/**
 * For each container package of GitHub the inputs of actions/delete-package-versions that keep: GitHub has no rules of its
 * own, and that action deletes no version whose name the expression matches. A container's version is named by its
 * digest, whatever tags it has.
 * https://github.com/actions/delete-package-versions
 */
function renderGhcr(kept: Kept): Map<string, unknown> {
  const files = [...byRepository(kept)].map(([repository, own]): [string, unknown] => {
    const digests = [...new Set(own.flatMap(({ image }) => digestsOf(image)))].toSorted();
    const ignored = `^(?:${digests.join("|")})$`;
    if (ignored.length > maxGhcrInput) {
      throw new UserError(
        `${repository} has ${digests.length} versions to keep, and an input of actions/delete-package-versions has no room for more than some ${Math.floor(maxGhcrInput / 72)}`,
        { code: "rules-impossible", wayOut: "Take away what may go by hand, by the list that prune prints." },
      );
    }
    const [, owner = "", ...name] = repository.split("/");
    const inputs = { owner, "package-name": name.join("/"), "package-type": "container", "ignore-versions": ignored };
    return [`ghcr-${slug(repository)}.json`, inputs];
  });
  return new Map(files);
}

/** All that goes with an image: each a version of its own where a registry deletes one by one. */
const digestsOf = ({ digest, children, evidence }: PrunedImage["image"]): string[] => [
  digest,
  ...children,
  ...evidence,
];

const slug = (name: string): string => name.replaceAll(/[^A-Za-z0-9.]+/g, "-");
