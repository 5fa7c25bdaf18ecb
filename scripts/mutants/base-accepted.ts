import type { Accepted } from "./survivors.ts";

const core = "packages/core/src/base";
const text = { mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' };

const ofHabits = [
  {
    ...text,
    line: 'cleanLine(command.trim().split(/\\s/)[0] ?? "", maxShown),',
    reason: "it is never taken: of a text that is split there is one piece at the least",
  },
  {
    ...{ line: "if (mustHave.length === 0) return [];", mutator: "ConditionalExpression" },
    ...{ original: "mustHave.length === 0", replacement: "false" },
    reason: "it is the same, after a look at packages that nobody has asked for",
  },
  {
    ...{ line: "const own = each[0]?.own;", mutator: "OptionalChaining" },
    ...{ original: "each[0]?.own", replacement: "each[0].own" },
    reason: "it is never taken: of those that wait together there is one at the least",
  },
  {
    ...{ mutator: "StringLiteral", original: '"utf8"', replacement: '""' },
    line: 'return hasFile(files.image, Buffer.from(thing.file, "utf8").toString("latin1"))',
    reason: "it is the same: by no encoding a text's bytes are those of UTF-8",
  },
].map((each) => ({ file: `${core}/habits/judge.ts`, ...each }));

const ofForbidden = [
  {
    ...{ line: "if (found.length === 0) return [];", mutator: "ConditionalExpression" },
    ...{ original: "found.length === 0", replacement: "false" },
    reason: "it is the same, after a look at the approved bases that tells nothing",
  },
].map((each) => ({ file: `${core}/forbidden.ts`, ...each }));

const full = '["Stryker was here"]';
const ofConfig = [
  { ...text, line: '.map(([, , id = ""]) => id);', reason: "it is the same: neither is a number" },
  {
    ...text,
    line: 'const commands = own?.flatMap(({ created_by: by = "", comment = "" }) => {',
    reason: "it is the same of a comment: neither is a builder's",
  },
  {
    line: 'for (const each of config?.Env ?? []) look(each, "environment variable");',
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: what has no name is no variable",
  },
  {
    ...text,
    line: 'for (const { created_by: by = "" } of history ?? []) {',
    reason: "it is the same: neither has an argument",
  },
  {
    line: 'for (const { created_by: by = "" } of history ?? []) {',
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: a text has nothing by which it was made",
  },
  {
    ...text,
    line: 'const values = runArguments.exec(by)?.[1] ?? /^(?:ENV|ARG) (.*)/s.exec(by)?.[1] ?? "";',
    reason: "it is the same: neither has a variable",
  },
].map((each) => ({ file: `${core}/habits/config.ts`, ...each }));

/** What only spares a look, and of which size the pieces are that are looked at. */
const ofCredentials = [
  ...[
    ["ArrayDeclaration", "[...new Set(forms.map(({ begins }) => begins.source))]", "[]"],
    ["ArrowFunction", "({ begins }) => begins.source", "() => undefined"],
  ].map(([mutator = "", original = "", replacement = ""]) => ({
    line: 'const anyBegins = new RegExp([...new Set(forms.map(({ begins }) => begins.source))].join("|"));',
    ...{ mutator, original, replacement },
    reason: "it is the same, slower: it says where nothing has to be looked for",
  })),
  ...["if (!anyBegins.test(text)) return;", "if (!begins.test(text)) continue;"].map((line) => ({
    ...{ line, mutator: "ConditionalExpression", original: line.slice(4, line.indexOf(") ")), replacement: "false" },
    reason: "it is the same, slower: a form has what it begins with",
  })),
  {
    ...{ line: "const window = 1024 * 1024;", mutator: "ArithmeticOperator" },
    ...{ original: "1024 * 1024", replacement: "1024 / 1024" },
    reason: "it is the same, slower: what comes is looked at again with each piece",
  },
  ...[
    ["ConditionalExpression", "true"],
    ["ConditionalExpression", "false"],
    ["EqualityOperator", "text.length <= window"],
    ["EqualityOperator", "text.length >= window"],
  ].map(([mutator = "", replacement = ""]) => ({
    line: "if (text.length < window) return;",
    ...{ mutator, original: "text.length < window", replacement },
    reason: "it is the same, slower or with more memory: it says how much is looked at in one go",
  })),
  ...['let text = "";', 'text = "";'].map((line) => ({
    ...{ ...text, line },
    reason: "it is the same: no form has a letter of it, nor asks what stands before a word that it begins",
  })),
].map((each) => ({ file: `${core}/habits/credentials.ts`, ...each }));

const ofContext = [
  {
    line: "return [...unresolved, ...found].toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));",
    ...{ mutator: "EqualityOperator", original: "a.file < b.file", replacement: "a.file <= b.file" },
    reason: "it is the same: of one file lines are compared",
  },
  {
    line: "if (newest === undefined || listed.some((each) => each.digests.length === 0)) return [];",
    ...{ mutator: "ConditionalExpression", original: "newest === undefined", replacement: "false" },
    reason: "it is the same: where no entry has a version, one has none",
  },
  ...[
    {
      ...{ line: "} catch (error) {", mutator: "BlockStatement", replacement: "{}" },
      original: "{\n    if (error instanceof UserError) return undefined;\n    throw error;\n  }",
    },
    {
      ...{ line: "if (error instanceof UserError) return undefined;", mutator: "ConditionalExpression" },
      ...{ original: "error instanceof UserError", replacement: "true" },
    },
  ].map((each) => ({ ...each, reason: "it is the same today: of a name nothing else is thrown" })),
].map((each) => ({ file: `${core}/context/judge.ts`, ...each }));

const ofBuildpacks = [
  {
    ...{ ...text, line: 'const read = parseJson(labels[lifecycleLabel] ?? "");' },
    reason: "it is the same: neither text is JSON",
  },
  {
    line: ".flatMap((each) => [each?.image ?? [], each?.mirrors ?? []].flat())",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: '["Stryker was here"]' },
    reason: "it is the same: no repository has that name",
  },
  ...["undefined", "false"].map((answer) => ({
    ...{ line: "} catch {", mutator: "BlockStatement", original: `{\n    return ${answer};\n  }`, replacement: "{}" },
    reason: "it is the same: a function without an answer answers undefined, which says no more than false",
  })),
].map((each) => ({ file: `${core}/rebase/buildpacks.ts`, ...each }));

const ofVersions = [
  {
    ...{ line: "for (let at = 0; at < Math.max(a.length, b.length); at += 1) {", mutator: "EqualityOperator" },
    ...{ original: "at < Math.max(a.length, b.length)", replacement: "at <= Math.max(a.length, b.length)" },
    reason: "it is the same: behind both ends nothing is compared with nothing",
  },
  {
    ...text,
    line: 'const [, numbers = "", letter = "", suffixes = ""] = found;',
    reason:
      "it is never taken of numbers and suffixes, and of a letter it is the same: each text is before all letters",
  },
].map((each) => ({ file: `${core}/versions.ts`, ...each }));

const ofOverlay = [
  {
    line: 'if (scope.mayChange.some((allowed) => isAtOrBelow(path, Buffer.from(allowed.slice(1), "utf8").toString("latin1"))))',
    ...{ mutator: "StringLiteral", original: '"utf8"', replacement: '""' },
    reason: "it is the same: by no encoding a text's bytes are those of UTF-8",
  },
  {
    line: 'return after.kind === "file" && isHarmless',
    ...{ mutator: "ConditionalExpression", original: 'after.kind === "file"', replacement: "true" },
    reason: "it is the same: what is no file has no content, so no lines either",
  },
  {
    line: 'return place !== undefined && after.target.startsWith("/") && newFiles.has(place);',
    ...{ mutator: "ConditionalExpression", original: "place !== undefined", replacement: "true" },
    reason: "it is the same: no package has a file at no place",
  },
].map((each) => ({ file: `${core}/overlay.ts`, ...each }));

/** Of the base stage, what an image is looked at for, what files name before a build, and what a score has to prove. */
export const baseAccepted: readonly Accepted[] = [
  ...ofHabits,
  ...ofForbidden,
  ...ofConfig,
  ...ofCredentials,
  ...ofContext,
  ...ofVersions,
  ...ofBuildpacks,
  ...ofOverlay,
  {
    file: `${core}/decide.ts`,
    line: ": decideOverlay({ ...child.trees, mayChange: base.mayChange ?? [] });",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: '["Stryker was here"]' },
    reason: "it is the same: no base has a path of that name",
  },
  {
    ...{ file: `${core}/decide.ts`, line: "if (overlay === undefined || base === undefined) return [];" },
    ...{ mutator: "ConditionalExpression", original: "base === undefined", replacement: "false" },
    reason: "it is never taken: what stands on no base is compared with none",
  },
  {
    ...text,
    file: `${core}/added-lines.ts`,
    line: 'const [name = "", , id = ""] = fields;',
    reason: "it is never taken: each line has a first field, and one of too few is refused before",
  },
  {
    ...text,
    file: `${core}/rule-facts.ts`,
    line: 'const [own = "", architecture = ""] = name.split(":");',
    reason: "it is never taken: of a text that is split there is one piece at the least",
  },
  {
    file: `${core}/score/demands.ts`,
    line: '...{ "the image\'s own word": false, nothing: false },',
    mutator: "ObjectLiteral",
    original: '{ "the image\'s own word": false, nothing: false }',
    replacement: "{}",
    reason: "it is the same: what no table calls a proof is none",
  },
];
