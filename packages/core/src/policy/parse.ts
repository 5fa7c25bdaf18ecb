import { UserError } from "@goldenpath/foundation/errors";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { z } from "zod";
import { completeSigners } from "../signing/schemes/find.ts";
import { listInstances } from "../signing/sigstore-instance.ts";
import type { Inconsistency } from "./inconsistency.ts";
import { readOldNames } from "./old-names.ts";
import { chooseWalk, policySchema } from "./policy-schema.ts";
import type { Policy } from "./schema.ts";
import { policySections } from "./sections.ts";
import { suggestWord } from "./suggest.ts";
import { readStrictYaml, type YamlProblem, type YamlText } from "./yaml.ts";

/** A policy is read by people: what is larger than this is something else. */
export const maxPolicyBytes = 1024 * 1024;

const maxProblems = 50;
const maxQuotedLine = 120;

/**
 * Bytes of a policy file → policy. `where` is what messages call the file.
 * @throws UserError `policy-invalid` with every problem found, each as `FILE:LINE:COLUMN: path.to.key: message` and the
 *   line itself; `policy-version` where the file is of a version that this goldenpath does not know
 */
export function parsePolicy(bytes: Uint8Array, where: string): Policy {
  return readPolicy(bytes, where).policy;
}

/**
 * The same, and what its owners may want to change although it is read: `FILE:LINE:COLUMN: path.to.key: message` each.
 * @throws as `parsePolicy`
 */
export function readPolicy(bytes: Uint8Array, where: string): { policy: Policy; notes: string[] } {
  if (bytes.byteLength > maxPolicyBytes) {
    throw invalid(`policy ${where} is larger than ${maxPolicyBytes} bytes`);
  }
  const text = decode(bytes, where);
  if (text.trim() === "") throw invalid(`policy ${where} is empty`);
  const read = readStrictYaml(text);
  if ("problems" in read) throw invalidWith(read.problems, text, where);
  const { yaml } = read;
  if (typeof yaml.value !== "object" || yaml.value === null || Array.isArray(yaml.value)) {
    throw invalidWith(
      [{ line: 1, column: 1, message: `expected a map with \`version: 1\`, found ${describeValue(yaml.value)}` }],
      text,
      where,
    );
  }
  refuseUnknownVersion(yaml.value, where);
  const { value, notes, problems, writtenAt } = readOldNames(yaml.value);
  const placed = ({ path, message }: Inconsistency): LocatedProblem => ({ ...yaml.locate(path, "key"), path, message });
  if (problems.length > 0) throw invalidWith(problems.map(placed), text, where);
  const parsed = policySchema.safeParse(value, { reportInput: true, ...chooseWalk(bytes.byteLength) });
  if (!parsed.success) {
    const locate: YamlText["locate"] = (path, at) => yaml.locate(writtenAt(path), at);
    throw invalidWith(describeIssues(parsed.error.issues, { value, locate }), text, where);
  }
  const absent = policySections.filter((section) => !Object.hasOwn(value, section));
  // Names are looked up in these: `constructor` must not be found where nobody wrote it.
  const sections = { sigstore: listInstances(parsed.data.sigstore), trustStores: parsed.data.trustStores };
  const signers = withoutPrototype(completeSigners(parsed.data.signers, sections));
  const environments = withoutPrototype(parsed.data.environments);
  const policy = { ...parsed.data, signers, environments, ...(absent.length === 0 ? {} : { absent }) };
  return { policy, notes: notes.map((note) => describePlace(placed(note), where)) };
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid(`policy ${where} is not UTF-8 text`, error);
  }
}

function refuseUnknownVersion(value: object, where: string): void {
  const version = Object.hasOwn(value, "version") ? (value as { version: unknown }).version : undefined;
  const isOther =
    (typeof version === "number" && version !== 1) ||
    (typeof version === "string" && /\d/.test(version) && version.trim() !== "1");
  if (!isOther) return;
  throw new UserError(`policy ${where} is of version ${quote(String(version))}; this goldenpath reads version 1`, {
    code: "policy-version",
    wayOut: "Use a goldenpath release that knows this version of the policy format, or write the policy in version 1.",
  });
}

interface LocatedProblem extends YamlProblem {
  path?: readonly PropertyKey[];
}

function describeIssues(issues: readonly z.core.$ZodIssue[], yaml: YamlText): LocatedProblem[] {
  const problems: LocatedProblem[] = [];
  issues = issues.flatMap(unfoldUnion).flatMap((issue) => findMistypedKind(issue, yaml.value));
  // A mistyped key is missing under its right name as well: one problem, not two.
  const mistyped = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const known = knownKeys(issue.path, yaml.value);
    for (const key of issue.keys.slice(0, maxProblems)) {
      const path = [...issue.path, key];
      const meant = suggestWord(key, known);
      if (meant !== undefined) mistyped.add(formatPath([...issue.path, meant]));
      const message =
        meant === undefined
          ? `unknown key (known here: ${known.join(", ")})`
          : `unknown key; did you mean \`${meant}\`?`;
      problems.push({ ...yaml.locate(path, "key"), path, message });
    }
  }
  for (const issue of issues) {
    const { path } = issue;
    if (issue.code === "unrecognized_keys") continue;
    if (issue.code === "invalid_key") {
      const message = `\`${quote(String(path.at(-1)))}\` cannot be a name here: ${issue.issues[0]?.message ?? issue.message}`;
      problems.push({ ...yaml.locate(path, "key"), path, message });
      continue;
    }
    const found = valueAt(yaml.value, path);
    if (!found.exists && mistyped.has(formatPath(path))) continue;
    problems.push({ ...yaml.locate(path, "value"), path, message: describeIssue(issue, found) });
  }
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** Where a value can be one of several kinds, and is of one of them by its type, what is wrong with it as that kind. */
function unfoldUnion(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const hasRoot = (branch: readonly z.core.$ZodIssue[], code: string): boolean =>
    branch.some((each) => each.path.length === 0 && each.code === code);
  // A fixed word is of no type of its own, and the union's message names it.
  if (issue.errors.some((branch) => hasRoot(branch, "invalid_value"))) return [issue];
  const [fitting, ...others] = issue.errors.filter((branch) => !hasRoot(branch, "invalid_type"));
  if (fitting === undefined || others.length > 0) return [issue];
  return fitting.flatMap((each) => unfoldUnion({ ...each, path: [...issue.path, ...each.path] }));
}

/**
 * Where the key is missing that says which of several kinds a map is, nothing else of the map was looked at: the keys
 * that none of the kinds has, as that key may be among them.
 */
function findMistypedKind(issue: z.core.$ZodIssue, root: unknown): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union" || issue.errors.length > 0 || valueAt(root, issue.path).exists) return [issue];
  const path = issue.path.slice(0, -1);
  const known = knownKeys(path, root);
  const keys = Object.keys(valueAt(root, path).value ?? {}).filter((key) => !known.includes(key));
  return keys.length === 0 ? [issue] : [{ code: "unrecognized_keys", keys, path, message: "" }, issue];
}

function describeIssue(issue: z.core.$ZodIssue, found: Found): string {
  if (!found.exists) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeNames[issue.expected] ?? issue.expected}, found ${describeValue(found.value)}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const meant = typeof found.value === "string" ? suggestWord(found.value, values) : undefined;
      const expected = values.length === 1 ? `expected ${values[0]}` : `expected one of ${values.join(", ")}`;
      return `${expected}, found ${describeValue(found.value)}${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`;
    }
    case "too_small":
      if (issue.origin === "array") return "must have at least one entry";
      return issue.origin === "number"
        ? `must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`
        : issue.message;
    case "too_big":
      return `must not be ${issue.origin === "string" ? "longer" : "more"} than ${issue.maximum}${issue.origin === "string" ? " characters" : ""}`;
    case "invalid_union": {
      // Which kind of several it is, in a key of its own: these are the kinds.
      const options =
        "options" in issue && Array.isArray(issue.options) ? issue.options.filter((each) => each !== undefined) : [];
      if (options.length > 0) return describeIssue({ ...issue, code: "invalid_value", values: options }, found);
      const words = issue.errors
        .flat()
        .flatMap((each) => (each.code === "invalid_value" && each.path.length === 0 ? each.values.map(String) : []));
      const meant = typeof found.value === "string" ? suggestWord(found.value, words) : undefined;
      return `${issue.message}, found ${describeValue(found.value)}${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`;
    }
    case "invalid_format":
      return `${issue.message}, found ${describeValue(found.value)}`;
    default:
      return typeof found.value === "string" && issue.message.startsWith("expected ")
        ? `${issue.message}, found ${describeValue(found.value)}`
        : issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

function describeValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  return typeof value === "string" ? `'${quote(value)}'` : String(value);
}

interface Found {
  exists: boolean;
  value?: unknown;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): Found {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return { exists: false };
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return { exists: true, value };
}

/** The keys that the schema has at a path of the data. */
function knownKeys(path: readonly PropertyKey[], root: unknown): string[] {
  let schema: unknown = policySchema;
  for (const [depth, part] of path.entries()) {
    schema = optionWithin(unwrap(schema), valueAt(root, path.slice(0, depth)).value);
    if (schema instanceof z.ZodObject) schema = schema.shape[String(part)];
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else return [];
  }
  const inner = unwrap(schema);
  schema = optionWithin(inner, valueAt(root, path).value);
  // Of a kind that is not said, the keys of each.
  const kinds = schema === undefined && inner instanceof z.ZodDiscriminatedUnion ? inner.options : [schema];
  return [...new Set(kinds.flatMap((each) => (each instanceof z.ZodObject ? Object.keys(each.shape) : [])))];
}

/** Of a value that can be of several kinds, the kind that it says it is, else the kind that has something in it. */
function optionWithin(schema: unknown, value: unknown): unknown {
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const { discriminator } = schema.def;
    const said = valueAt(value, [discriminator]).value;
    return schema.options.find(
      (option) => option instanceof z.ZodObject && option.shape[discriminator]?.safeParse(said).success === true,
    );
  }
  if (!(schema instanceof z.ZodUnion)) return schema;
  return schema.options.map(unwrap).find((option) => option instanceof z.ZodObject || option instanceof z.ZodArray);
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
    inner = inner.unwrap();
  return inner;
}

function invalidWith(problems: readonly LocatedProblem[], text: string, where: string): UserError {
  const lines = text.split(/\r?\n/);
  const listed = problems.slice(0, maxProblems).map((problem) => {
    const line = quote(lines[problem.line - 1] ?? "");
    return `${describePlace(problem, where)}${line.trim() === "" ? "" : `\n    ${problem.line} | ${line}`}`;
  });
  const more = problems.length > maxProblems ? ["and more"] : [];
  const count =
    problems.length === 1
      ? "1 problem"
      : problems.length > maxProblems
        ? "many problems"
        : `${problems.length} problems`;
  return invalid([`policy ${where} is not valid, ${count}:`, ...listed, ...more].join("\n"));
}

function describePlace({ line, column, path = [], message }: LocatedProblem, where: string): string {
  return `${where}:${line}:${column}: ${path.length === 0 ? "" : `${formatPath(path)}: `}${message}`;
}

/** `bases[0].digests[1]` */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${quote(String(part))}`))
    .join("");
}

/** Text of the file as it may stand in a message: tabs, which are no indentation here, are seen. */
function quote(text: string): string {
  return cleanLine(text.replaceAll("\t", "→"), maxQuotedLine);
}

function invalid(message: string, cause?: unknown): UserError {
  return new UserError(message, {
    code: "policy-invalid",
    cause,
    wayOut:
      "Correct the policy; docs/policy.md says what each key means, and schemas/policy.v1.json checks it in an editor.",
  });
}

export function withoutPrototype<T>(record: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, record);
}
