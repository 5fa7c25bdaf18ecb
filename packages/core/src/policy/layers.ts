import { isDeepStrictEqual } from "node:util";
import { UserError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { stringify } from "yaml";
import { type DiffedPolicy, diffPolicies, type PolicyChange } from "./diff.ts";
import type { Meaning } from "./diff-meaning.ts";
import { meanings } from "./diff-meanings.ts";
import { show } from "./diff-words.ts";
import { forbidLeftOut } from "./forbidden-bases.ts";
import type { ForbiddenBase } from "./forbidden-section.ts";
import { readOldNames } from "./old-names.ts";
import { maxPolicyBytes, parsePolicy } from "./parse.ts";
import { chooseWalk } from "./policy-schema.ts";
import { type Policy, policyShape } from "./schema.ts";
import { policySections } from "./sections.ts";
import { readStrictYaml, type YamlText } from "./yaml.ts";

type Values = Readonly<Record<string, unknown>>;
type Path = readonly PropertyKey[];

/** A policy's own bytes, and what messages call them. */
export interface LayerFile {
  bytes: Uint8Array;
  where: string;
}

/** What a team's file says of the policy that it narrows. */
export interface Extends {
  /** A file beside it, or `oci://HOST/NAME@sha256:…`. */
  policy: string;
  /** Of that policy's bytes. */
  digest: `sha256:${string}`;
}

export interface ComposedPolicy {
  policy: Policy;
  /** The effective policy as a file of its own: the same layers always give the same bytes. */
  text: string;
  digest: Digest;
}

/** What of an organisation's policy is its own line, and no team's to say. */
const reserved: readonly string[] = [
  "accepts",
  "layers",
  "activators",
  "exceptions",
  "signedExceptions",
  "sigstore",
  "trustStores",
];

/**
 * The `extends` of a team's file; undefined where it has none, and so is a policy by itself.
 * @throws UserError `policy-invalid`
 */
export function readExtends({ bytes, where }: LayerFile): Extends | undefined {
  const { value, yaml } = readLayer(bytes, where);
  const said = value["extends"];
  if (said === undefined) return undefined;
  const { policy, digest, ...others } = isMap(said) ? said : {};
  const [other] = Object.keys(others);
  if (typeof policy !== "string" || policy === "" || !isSha256(digest) || other !== undefined) {
    const problem = `extends: expected \`policy\` (a file, or oci://HOST/NAME@sha256:…) and \`digest\` (sha256:… of its bytes), and nothing else`;
    throw invalid(where, [place(yaml, ["extends"], where, problem)]);
  }
  return { policy, digest };
}

/**
 * An organisation's policy as a team's file narrows it. Lists that let something in are what the team says of them,
 * lists that refuse or demand are both; of everything else the team's word holds where it is the stricter, by the table
 * of what a change of each key means. Whatever lets in more, or can't be told, refuses the file. Bases and builders that
 * the team leaves out are forbidden. The serial is the sum of both, so that it rises with either.
 * @throws UserError `policy-invalid` with each widening at its line and column in the team's file, and both values
 */
export function composeLayers(organisation: LayerFile, team: LayerFile): ComposedPolicy {
  const own = parsePolicy(organisation.bytes, organisation.where);
  const base = readLayer(organisation.bytes, organisation.where).value;
  const { value: written, yaml } = readLayer(team.bytes, team.where);
  const said = readExtends(team);
  const digest = digestOf(organisation.bytes);
  const refuse = (...problems: string[]): UserError => invalid(team.where, problems);
  if (said === undefined) throw refuse(`${team.where}: it has no \`extends\`, and so is no team's policy`);
  if (said.digest !== digest)
    throw refuse(
      place(
        yaml,
        ["extends", "digest"],
        team.where,
        `extends.digest: is ${said.digest}, and ${organisation.where} is ${digest}`,
      ),
    );
  const { version, name, serial, extends: _extends, ...narrowing } = written;
  const problems: string[] = [];
  const tell = (path: Path, problem: string): void => {
    const key = path.map(String).join(".");
    problems.push(place(yaml, path, team.where, `${cleanLine(key, 120)}: ${problem}`));
  };
  if (version !== 1) tell(["version"], "expected 1");
  if (typeof name !== "string") tell(["name"], "is missing, or no text");
  else if (name === own.name) tell(["name"], `is the organisation's own ('${own.name}'): a team's policy has another`);
  if (!Number.isSafeInteger(serial) || Number(serial) < 1) tell(["serial"], "expected 1 or more");
  for (const key of Object.keys(narrowing))
    if (reserved.includes(key)) tell([key], "is the organisation's alone: a team's policy does not say it");
  if (problems.length > 0) throw refuse(...problems);
  const merge = new Merge(tell);
  const merged = merge.fields(base, narrowing, { pattern: "", path: [], from: [] });
  const layers = [
    { name: own.name, serial: own.serial, digest },
    { name, serial, digest: digestOf(team.bytes) },
  ];
  const { accepts, ...others } = merged;
  const effective = {
    ...others,
    ...{ name, serial: own.serial + Number(serial), layers },
    // Those that the organisation lists are versions of its own policy.
    ...(typeof accepts === "string" ? { accepts } : {}),
  };
  // What widens is told as that, before what else is wrong with it by then.
  const shaped = policyShape.safeParse(effective, chooseWalk(organisation.bytes.byteLength + team.bytes.byteLength));
  const { changes, leftOut } = shaped.success
    ? {
        changes: diffLayers({ policy: own, digest }, effective, shaped.data),
        leftOut: forbidLeftOut(own, shaped.data, shaped.data.name),
      }
    : nothingToTell;
  for (const { direction, path, key, says } of changes)
    if (direction === "widening" || direction === "unknown")
      problems.push(
        place(
          yaml,
          merge.originOf(path),
          team.where,
          `${key}: ${says}; a team's policy may only narrow the organisation's${tellThere(base, path)}`,
        ),
      );
  if (problems.length > 0) throw refuse(...problems);
  const text = stringify(withForbidden(effective, leftOut), { lineWidth: 0 });
  const bytes = new TextEncoder().encode(text);
  const policy = parsePolicy(bytes, `${team.where} with ${organisation.where}`);
  return { policy, text, digest: digestOf(bytes) };
}

/** Of what has not the shape of a policy, which it is refused for when it is read whole. */
const nothingToTell: { changes: PolicyChange[]; leftOut: ForbiddenBase[] } = { changes: [], leftOut: [] };

function withForbidden(effective: Values, leftOut: readonly ForbiddenBase[]): Values {
  if (leftOut.length === 0) return effective;
  return { ...effective, forbiddenBases: [...asList(effective["forbiddenBases"]), ...leftOut] };
}

/** What the layers change of the organisation's policy. */
function diffLayers(own: DiffedPolicy, effective: Values, shaped: Policy): PolicyChange[] {
  const absent = policySections.filter((section) => !Object.hasOwn(effective, section));
  return diffPolicies(own, { policy: { ...shaped, absent }, digest: own.digest });
}

interface Place {
  pattern: string;
  /** In the effective policy. */
  path: Path;
  /** In the team's file. */
  from: Path;
}

/** Puts two policies' data together, and remembers where in the team's file each entry of a list stands. */
class Merge {
  private readonly origins = new Map<string, Path>();
  private readonly tell: (path: Path, problem: string) => void;

  constructor(tell: (path: Path, problem: string) => void) {
    this.tell = tell;
  }

  /** Of a path in the effective policy, where the team's file says it: the entries of lists alone stand elsewhere. */
  originOf(path: Path): Path {
    for (let length = path.length; length > 0; length--) {
      const origin = this.origins.get(keyOf(path.slice(0, length)));
      if (origin !== undefined) return [...origin, ...path.slice(length)];
    }
    return path;
  }

  fields(base: Values, over: Values, { pattern, path, from }: Place): Values {
    const merged = new Map(Object.entries(base));
    for (const [name, value] of Object.entries(over)) {
      const at = {
        pattern: pattern === "" ? name : `${pattern}.${name}`,
        path: [...path, name],
        from: [...from, name],
      };
      merged.set(name, this.value(merged.get(name), value, at));
    }
    return Object.fromEntries(merged);
  }

  private value(base: unknown, over: unknown, at: Place): unknown {
    const meaning: Meaning | undefined = Object.hasOwn(meanings, at.pattern) ? meanings[at.pattern] : undefined;
    switch (meaning?.as) {
      case "section":
        return isMap(over) ? this.fields(asMap(base), over, at) : over;
      case "days":
      case "names":
        return isMap(over) ? this.names(asMap(base), over, at) : over;
      case "list":
        return Array.isArray(over) ? this.list(asList(base), over, at, meaning) : over;
      case "demands":
        // Without the key everything is demanded, and naming some is less.
        return Array.isArray(over) && Array.isArray(base)
          ? [...base, ...over.filter((each) => !base.some((other) => isDeepStrictEqual(each, other)))]
          : over;
      case "told":
        if (!isDeepStrictEqual(base, over) && base !== undefined)
          this.tell(
            at.from,
            `is '${show(base)}' in the organisation's policy, and lets nothing in or out: a team's leaves it`,
          );
        return over;
      default:
        return over;
    }
  }

  private names(base: Values, over: Values, { pattern, path, from }: Place): Values {
    const merged = new Map(Object.entries(base));
    for (const [name, value] of Object.entries(over)) {
      const at = { pattern: `${pattern}.*`, path: [...path, name], from: [...from, name] };
      merged.set(name, isMap(value) ? this.fields(asMap(merged.get(name)), value, at) : value);
    }
    return Object.fromEntries(merged);
  }

  private list(
    base: readonly unknown[],
    over: readonly unknown[],
    { pattern, path, from }: Place,
    { by, more }: Extract<Meaning, { as: "list" }>,
  ): unknown[] {
    const [main] = by;
    const named = (entry: unknown): Values => (isMap(entry) ? entry : { [main]: entry });
    const nameOf = (entry: unknown): unknown[] => by.map((key) => named(entry)[key]);
    const kept: unknown[] = more === "narrowing" ? [...base] : [];
    for (const [index, entry] of over.entries()) {
      const isSame = (other: unknown): boolean => isDeepStrictEqual(nameOf(other), nameOf(entry));
      const there = kept.findIndex(isSame);
      const position = there === -1 ? kept.length : there;
      const at = { pattern: `${pattern}[]`, path: [...path, position], from: [...from, index] };
      this.origins.set(keyOf(at.path), at.from);
      const older = base.find(isSame);
      kept[position] = isMap(entry)
        ? this.fields(older === undefined ? {} : named(older), entry, at)
        : (older ?? entry);
    }
    return kept;
  }
}

function readLayer(bytes: Uint8Array, where: string): { value: Values; yaml: YamlText } {
  if (bytes.byteLength > maxPolicyBytes) throw invalid(where, [`${where}: is larger than ${maxPolicyBytes} bytes`]);
  const read = readStrictYaml(new TextDecoder().decode(bytes));
  if ("problems" in read)
    throw invalid(
      where,
      read.problems.map(({ line, column, message }) => `${where}:${line}:${column}: ${message}`),
    );
  const { yaml } = read;
  if (!isMap(yaml.value)) throw invalid(where, [`${where}:1:1: expected a map`]);
  const { value, problems } = readOldNames(yaml.value);
  if (problems.length > 0)
    throw invalid(
      where,
      problems.map(({ path, message }) => place(yaml, path, where, message)),
    );
  return { value, yaml };
}

function place(yaml: YamlText, path: Path, where: string, problem: string): string {
  const { line, column } = yaml.locate(path, "value");
  return `${where}:${line}:${column}: ${problem}`;
}

/** What the organisation's policy has there; in a list of maps the sentence names it. */
function tellThere(base: Values, path: Path): string {
  const index = path.findIndex((part) => typeof part === "number");
  const value = valueAt(base, index === -1 ? path : path.slice(0, index));
  const isOfMaps = Array.isArray(value) && value.some(isMap);
  return isOfMaps || isMap(value) ? "" : `, which has ${show(value)}`;
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? (value as Record<PropertyKey, unknown>)[part]
        : undefined,
    root,
  );
}

function invalid(where: string, problems: readonly string[]): UserError {
  return new UserError([`team's policy ${where} is not valid:`, ...problems.slice(0, 50)].join("\n"), {
    code: "policy-invalid",
    wayOut: "Say only what is stricter than the organisation's policy; docs/policy.md says what narrows each key.",
  });
}

const isSha256 = (text: unknown): text is Extends["digest"] =>
  typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text);
const keyOf = (path: Path): string => path.map(String).join("\0");
const isMap = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);
const asMap = (value: unknown): Values => (isMap(value) ? value : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
