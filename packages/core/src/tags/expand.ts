import { UserError } from "@goldenpath/foundation/errors";
import type { RunFacts } from "@goldenpath/foundation/ports";
import { formatRepository, parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { invalid, isTagRule, parseFlavor, parseTagRule, type TagFlavor, type TagRule } from "./rules.ts";

/** What tags are made of. */
export type TagFacts = Pick<RunFacts, "sourceRef" | "sourceCommit" | "event" | "defaultBranch"> & { now: Date };

export interface TagRequest {
  /** References as they are, or rules. */
  lines: readonly string[];
  flavor: readonly string[];
  /** Where the tags that rules make are put; by default where the first plain reference is. */
  repository: string | undefined;
}

export interface ExpandedTags {
  /** `HOST/NAME:TAG` each, once. */
  references: string[];
  /** Why a rule made none, where its author would wonder. */
  remarks: string[];
}

/**
 * Plain references and rules of docker/metadata-action's kind → references. The order is that action's: rules by their
 * priority, `latest` last; plain references go before them.
 * @throws UserError `tag-rule-invalid`; `tags-missing` where nothing says which repository, or no rule makes a tag
 */
export function expandTags(request: TagRequest, facts: TagFacts): ExpandedTags {
  const plain = request.lines.filter((line) => !isTagRule(line));
  const flavor = parseFlavor(request.flavor);
  const rules = request.lines.filter(isTagRule).map(parseTagRule);
  if (rules.length === 0) return { references: plain, remarks: [] };
  const repository = findRepository(request.repository, plain);
  const remarks: string[] = [];
  const names = makeTags(rules, flavor, facts, remarks);
  if (names.length === 0 && plain.length === 0) {
    const where = facts.sourceRef === undefined ? "without a ref" : `of ${facts.sourceRef}`;
    throw new UserError(
      `no line of input 'tags' makes a tag in a run ${where}: ${rules.map(({ text }) => text).join("; ")}`,
      {
        code: "tags-missing",
        wayOut: "Add a line that does for such runs, such as type=sha.",
      },
    );
  }
  return { references: [...new Set([...plain, ...names.map((name) => `${repository}:${name}`)])], remarks };
}

/**
 * The same for tags alone, whose repository is known: plain ones first. That no rule makes one is no error, since an
 * image need not have any.
 * @throws UserError `tag-rule-invalid`
 */
export function expandTagNames(
  { lines, flavor }: Pick<TagRequest, "lines" | "flavor">,
  facts: TagFacts,
): { names: string[]; remarks: string[] } {
  const remarks: string[] = [];
  const rules = lines.filter(isTagRule).map(parseTagRule);
  const made = makeTags(rules, parseFlavor(flavor), facts, remarks);
  return { names: [...new Set([...lines.filter((line) => !isTagRule(line)), ...made])], remarks };
}

function findRepository(given: string | undefined, [first]: readonly string[]): string {
  if (given !== undefined) return formatRepository(parseRepository(given, "input 'repository'"));
  if (first !== undefined) return formatRepository(parseReference(first, "input 'tags':"));
  throw new UserError("input 'tags' has rules alone, and nothing says which repository their tags are for", {
    code: "tags-missing",
    wayOut: "Give it in input 'repository', HOST/NAME in quarantine.",
  });
}

function makeTags(rules: readonly TagRule[], flavor: TagFlavor, facts: TagFacts, remarks: string[]): string[] {
  const tags: string[] = [];
  // The first rule that makes a tag decides on `latest`, as it decides on the image's version.
  let latest: boolean | undefined;
  for (const rule of rules.toSorted((a, b) => b.priority - a.priority)) {
    const enabled = fill(rule.given.get("enable") ?? "true", rule, facts);
    if (enabled !== "true" && enabled !== "false")
      throw invalid(rule.text, `enable is '${enabled}' and not true or false`);
    const made = enabled === "true" ? makeTag(rule, facts, remarks) : undefined;
    if (made === undefined) continue;
    const prefix = fill(rule.given.get("prefix") ?? ownPrefix(rule) ?? flavor.prefix, rule, facts);
    const suffix = fill(rule.given.get("suffix") ?? flavor.suffix, rule, facts);
    const tag = sanitize(`${prefix}${made.value}${suffix}`);
    if (tag === "") continue;
    if (!tags.includes(tag)) tags.push(tag);
    latest ??= flavor.latest === "auto" ? made.isLatest : flavor.latest === "true";
  }
  if (latest !== true) return tags;
  const [before, after] = [flavor.prefixLatest ? flavor.prefix : "", flavor.suffixLatest ? flavor.suffix : ""];
  return [...new Set([...tags, sanitize(`${before}latest${after}`)])];
}

/** Whatever the flavor says, unless the rule names another. */
const ownPrefix = ({ type, given }: TagRule): string | undefined =>
  type === "sha" ? "sha-" : type === "ref" && given.get("event") === "pr" ? "pr-" : undefined;

interface MadeTag {
  value: string;
  /** Whether `latest=auto` means this one. */
  isLatest: boolean;
}

/** Undefined: not in such a run. */
function makeTag(rule: TagRule, facts: TagFacts, remarks: string[]): MadeTag | undefined {
  const plain = (value: string | undefined): MadeTag | undefined =>
    value === undefined || value === "" ? undefined : { value, isLatest: false };
  switch (rule.type) {
    case "schedule":
      return facts.event === "schedule" ? plain(fill(rule.given.get("pattern") ?? "nightly", rule, facts)) : undefined;
    case "semver":
      return makeVersion(rule, facts, remarks);
    case "edge": {
      const branch = branchOf(facts);
      return branch !== undefined && branch === (rule.given.get("branch") || facts.defaultBranch)
        ? plain("edge")
        : undefined;
    }
    case "ref": {
      const event = rule.given.get("event");
      if (event === "branch") return plain(branchOf(facts));
      if (event === "pr") return plain(/^refs\/pull\/(\d+)\//.exec(facts.sourceRef ?? "")?.[1]);
      const tag = tagOf(facts);
      return tag === undefined ? undefined : { value: tag, isLatest: true };
    }
    case "raw":
      return plain(fill(rule.given.get("value") ?? "", rule, facts));
    case "sha":
      return plain(rule.given.get("format") === "long" ? facts.sourceCommit : shortCommit(facts));
  }
}

/** semver.org's grammar, with a `v` before it as tags of git have it. */
const version =
  /^v?(?<version>(?<major>0|[1-9]\d*)\.(?<minor>0|[1-9]\d*)\.(?<patch>0|[1-9]\d*)(?<prerelease>-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)(?:\+[0-9A-Za-z.-]+)?$/;

function makeVersion(rule: TagRule, facts: TagFacts, remarks: string[]): MadeTag | undefined {
  const given = rule.given.get("value");
  const raw = given === undefined || given === "" ? tagOf(facts) : fill(given, rule, facts);
  if (raw === undefined) return undefined;
  const groups = version.exec(raw)?.groups;
  if (groups === undefined) {
    remarks.push(`'${raw}' is no version that semver.org knows, so '${rule.text}' makes no tag of it`);
    return undefined;
  }
  const pattern = rule.given.get("pattern") ?? "";
  const parts: Record<string, string> = { raw };
  for (const name of ["version", "major", "minor", "patch"]) parts[name] = groups[name] ?? "";
  // 2.0.0-rc.1 is no 2: of what comes before a release there is the whole version alone.
  if (groups["prerelease"] === undefined) return { value: fillWith(pattern, rule, parts), isLatest: true };
  const isRaw = /^\{\{\s*raw\s*\}\}$/.test(pattern);
  return { value: isRaw ? raw : (parts["version"] ?? ""), isLatest: false };
}

const branchOf = ({ sourceRef = "" }: TagFacts): string | undefined => /^refs\/heads\/(.+)$/.exec(sourceRef)?.[1];
const tagOf = ({ sourceRef = "" }: TagFacts): string | undefined => /^refs\/tags\/(.+)$/.exec(sourceRef)?.[1];
const shortCommit = ({ sourceCommit }: TagFacts): string | undefined => sourceCommit?.slice(0, 7);
/** What a registry takes no tag with becomes a hyphen, as `feature/x` does. */
const sanitize = (tag: string): string => tag.replaceAll(/[^A-Za-z0-9._-]+/g, "-");

/** The expressions that any attribute may have. */
function fill(text: string, rule: TagRule, facts: TagFacts): string {
  const branch = branchOf(facts);
  // A schedule runs on the default branch, and its event does not say which that is.
  const isDefault = branch !== undefined && (branch === facts.defaultBranch || facts.event === "schedule");
  const values: Record<string, string> = {
    branch: branch ?? "",
    tag: tagOf(facts) ?? "",
    sha: shortCommit(facts) ?? "",
    is_default_branch: String(isDefault),
    is_not_default_branch: String(!isDefault),
  };
  const dated = text.replaceAll(/\{\{\s*date\s+'([^']*)'\s*\}\}/g, (_all, format: string) =>
    formatDate(format, facts.now),
  );
  return fillWith(dated, rule, values);
}

function fillWith(text: string, rule: TagRule, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{\{([^{}]*)\}\}/g, (all, inner: string) => {
    const name = inner.trim();
    if (!Object.hasOwn(values, name))
      throw invalid(rule.text, `${all} is none of {{${Object.keys(values).join("}}, {{")}}}`);
    return values[name] ?? "";
  });
}

/** YYYY, MM, DD, HH, mm and ss, in UTC. */
function formatDate(format: string, now: Date): string {
  const [date = "", time = ""] = now.toISOString().split("T");
  const [year = "", month = "", day = ""] = date.split("-");
  const parts: Record<string, string> = { YYYY: year, MM: month, DD: day };
  for (const [index, name] of ["HH", "mm", "ss"].entries()) parts[name] = time.slice(index * 3, index * 3 + 2);
  return format.replaceAll(/YYYY|MM|DD|HH|mm|ss/g, (part) => parts[part] ?? "");
}
