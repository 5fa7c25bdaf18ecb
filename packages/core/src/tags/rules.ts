import { UserError } from "@goldenpath/foundation/errors";

/** The kinds of docker/metadata-action's rules that are understood, with what goes first where none says it. */
export const tagTypes = { schedule: 1000, semver: 900, edge: 700, ref: 600, raw: 200, sha: 100 } as const;
export type TagType = keyof typeof tagTypes;

/** `type=semver,pattern={{version}}`: what makes a tag of the run's facts. */
export interface TagRule {
  type: TagType;
  /** As written, for messages. */
  text: string;
  /** Of every kind: `enable`, `prefix`, `suffix`; the others by {@link attributes}. */
  given: ReadonlyMap<string, string>;
  priority: number;
}

/** What holds for all tags of a build: docker/metadata-action's `flavor`. */
export interface TagFlavor {
  latest: "auto" | "true" | "false";
  prefix: string;
  suffix: string;
  prefixLatest: boolean;
  suffixLatest: boolean;
}

const shared = ["type", "enable", "priority", "prefix", "suffix"];
const attributes: Readonly<Record<TagType, { takes: readonly string[]; needs?: string }>> = {
  schedule: { takes: ["pattern"] },
  semver: { takes: ["pattern", "value"], needs: "pattern" },
  edge: { takes: ["branch"] },
  ref: { takes: ["event"], needs: "event" },
  raw: { takes: ["value"], needs: "value" },
  sha: { takes: ["format"] },
};
const choices: Readonly<Record<string, readonly string[]>> = {
  event: ["branch", "tag", "pr"],
  format: ["short", "long"],
};

export const isTagRule = (line: string): boolean => /^type=/.test(line);

/**
 * One line of the input `tags` that is a rule.
 * @throws UserError `tag-rule-invalid`
 */
export function parseTagRule(text: string): TagRule {
  const given = new Map(splitFields(text).map((field) => splitField(field, text)));
  const type = given.get("type") ?? "";
  if (!isTagType(type)) throw invalid(text, `type '${type}' is none of ${Object.keys(tagTypes).join(", ")}`);
  const { takes, needs } = attributes[type];
  const known = [...shared, ...takes];
  const stray = [...given.keys()].find((name) => !known.includes(name));
  if (stray !== undefined) throw invalid(text, `'${stray}' is not one of its attributes: ${known.join(", ")}`);
  if (needs !== undefined && !given.has(needs)) throw invalid(text, `it has no '${needs}'`);
  for (const [name, allowed] of Object.entries(choices)) {
    const value = given.get(name);
    if (value !== undefined && !allowed.includes(value))
      throw invalid(text, `${name} '${value}' is none of ${allowed.join(", ")}`);
  }
  const priority = given.get("priority") ?? String(tagTypes[type]);
  if (!/^\d{1,6}$/.test(priority)) throw invalid(text, `priority '${priority}' is no number`);
  return { type, text, given, priority: Number(priority) };
}

/**
 * The lines of the input `flavor`: `latest=auto|true|false`, `prefix=TEXT[,onlatest=true]`, `suffix=TEXT[,onlatest=true]`.
 * @throws UserError `tag-rule-invalid`
 */
export function parseFlavor(lines: readonly string[]): TagFlavor {
  const flavor: TagFlavor = { latest: "auto", prefix: "", suffix: "", prefixLatest: false, suffixLatest: false };
  for (const text of lines) {
    let of: "prefix" | "suffix" | undefined;
    for (const [name, value] of splitFields(text).map((field) => splitField(field, text))) {
      if (name === "latest" && (value === "auto" || value === "true" || value === "false")) flavor.latest = value;
      else if (name === "prefix" || name === "suffix") {
        of = name;
        flavor[name] = value;
      } else if (name === "onlatest" && of !== undefined && (value === "true" || value === "false"))
        flavor[`${of}Latest`] = value === "true";
      else {
        throw invalid(
          text,
          `'${name}=${value}' is not latest=auto|true|false, nor prefix=TEXT or suffix=TEXT, each with onlatest=true|false after it`,
        );
      }
    }
  }
  return flavor;
}

export function invalid(text: string, why: string): UserError {
  return new UserError(`'${text}' can't be used to make a tag: ${why}`, {
    code: "tag-rule-invalid",
    wayOut: "Write lines of docker/metadata-action's kind, such as type=semver,pattern={{version}}, or HOST/NAME:TAG.",
  });
}

const isTagType = (text: string): text is TagType => Object.hasOwn(tagTypes, text);

const splitFields = (text: string): string[] =>
  text
    .split(",")
    .map((field) => field.trim())
    .filter((field) => field !== "");

function splitField(field: string, text: string): [name: string, value: string] {
  const at = field.indexOf("=");
  if (at <= 0) throw invalid(text, `'${field}' is not NAME=VALUE`);
  return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
}
