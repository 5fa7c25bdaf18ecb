import type { Room } from "./survivors.ts";

const judge = "packages/core/src/origin/judge-origin.ts";
const level = "packages/core/src/origin/judge-level.ts";
const commits = "packages/core/src/origin/git-commits.ts";
const foreign = "packages/core/src/origin/read-foreign.ts";
const slsa = "packages/core/src/origin/read-slsa-v02.ts";
const summary = "packages/core/src/origin/read-summary.ts";
const full = '["Stryker was here"]';

/** In place of a list of nothing one of a text, which has none of the fields that are asked of it. */
const textOfNothing = [
  {
    file: level,
    line: "...(view.lapsed ?? []).filter(isWord).map((signed) => ({ signed, onlyRefuses: true })),",
    reason: "it is the same: a text is about no image",
  },
  {
    file: judge,
    line: '{ rejected = [] }: Pick<SignedView, "rejected">,',
    reason: "it is the same: a text is about no image",
  },
  {
    file: slsa,
    line: 'if ((materials ?? []).some((each) => each.uri === uri && each.digest?.["sha1"] !== version))',
    reason: "it is the same: a text is no material of that address",
  },
  {
    file: slsa,
    line: "const all: NamedDigest[] = [{ uri, digest }, ...(materials ?? [])];",
    reason: "it is the same: a text names no commit",
  },
  ...[
    {
      file: commits,
      line: "const [, repository, ref, named = version] = gitUri.exec(uri) ?? buildkitUri.exec(uri) ?? [];",
    },
    { file: slsa, line: "const [, repository, ref] = generatorUri.exec(uri) ?? [];" },
    {
      file: summary,
      line: "const [, version, query] = /^pkg:oci\\/[^/@?#]+(?:@([^?#]+))?\\?([^#]+)$/.exec(uri) ?? [];",
    },
  ].map((each) => ({ ...each, reason: "it is the same: the first of what a pattern finds is never looked at" })),
  ...[
    'const wanted = ofType.flatMap(({ provenance }) => provenance?.builders ?? []).join(" or ");',
    'return { problem: judged.flatMap(({ level }) => ("problem" in level ? level.problem : [])).join("; it ") };',
  ].map((line) => ({ file: judge, line, reason: "it is never taken: each of these has what is asked of it" })),
].map((each) => ({ ...each, mutator: "ArrayDeclaration", original: "[]", replacement: full }));

/** Only rules for provenances judge one. */
const ofProvenances = [
  [
    "const ofType = rules.filter(({ provenance }) => provenance?.buildTypes.includes(buildType) === true);",
    "buildTypes",
  ],
  [
    "({ provenance }) => provenance?.builders.some((pattern) => matchesWorkflow(builderId, pattern)) === true,",
    "builders",
  ],
  ['const wanted = ofType.flatMap(({ provenance }) => provenance?.builders ?? []).join(" or ");', "builders"],
  ["provenance?.level === undefined ? { rests: [] } : judgeLevel(provenance.level, build, view);", "level"],
].map(([line = "", field]) => ({
  ...{ file: judge, line, mutator: "OptionalChaining" },
  ...{ original: `provenance?.${field}`, replacement: `provenance.${field}` },
  reason: "it is the same: a rule by which a provenance is judged has something to say of them",
}));

/** Asked for the compiler's sake. */
const noCommit = [
  [commits, "if (repository === undefined || version === undefined || !isCommit(version))"],
  [foreign, "if (version === undefined || others.length > 0 || !isCommit(version))"],
  [slsa, "if (repository === undefined || version === undefined || !isCommit(version))"],
].map(([file = "", line = ""]) => ({
  ...{ file, line, mutator: "ConditionalExpression", original: "version === undefined", replacement: "false" },
  reason: "it is the same: what is not there is no commit",
}));

const noAddress = [
  [commits, 'const commits = used.flatMap(({ uri = "", digest = {} }) => {'],
  [slsa, 'const { uri = "", digest, entryPoint } = invocation?.configSource ?? {};'],
].map(([file = "", line = ""]) => ({
  ...{ file, line, mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
  reason: "it is the same: neither is the address of a repository",
}));

/** By whose word an image is taken that the path has not built. */
export const origin: Room = {
  mutated: [
    "packages/core/src/origin/git-commits.ts",
    "packages/core/src/origin/judge-level.ts",
    "packages/core/src/origin/judge-origin.ts",
    "packages/core/src/origin/read-buildkit.ts",
    "packages/core/src/origin/read-foreign.ts",
    "packages/core/src/origin/read-import.ts",
    "packages/core/src/origin/read-slsa-v02.ts",
    "packages/core/src/origin/read-summary.ts",
  ],
  tests: ["packages/core/src/origin/*.test.ts"],
  accepted: [
    ...textOfNothing,
    ...ofProvenances,
    ...noCommit,
    ...noAddress,
    {
      ...{ file: judge, line: ".toSorted((a, b) => b.time - a.time || (a.bundle < b.bundle ? -1 : 1))[0];" },
      ...{ mutator: "EqualityOperator", original: "a.bundle < b.bundle", replacement: "a.bundle <= b.bundle" },
      reason: "it is the same: a bundle says one thing of an image",
    },
    {
      ...{
        file: judge,
        line: '.filter((each) => each.subject === digest && kinds.includes(each.claimedPredicateType ?? ""))',
      },
      ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
      reason: "it is the same: neither is a type that counts",
    },
    {
      ...{ file: slsa, line: 'const event = invocation?.environment?.["github_event_name"];' },
      ...{ mutator: "OptionalChaining", original: "invocation?.environment", replacement: "invocation.environment" },
      reason: "it is the same: without an invocation there is no commit, and it ends before",
    },
    {
      file: summary,
      line: "if (repository === undefined || others.length > 0 || !isParsable(() => parseReference(repository))) return undefined;",
      ...{ mutator: "ConditionalExpression", original: "repository === undefined", replacement: "false" },
      reason: "it is the same: what is not there is no reference",
    },
  ],
};
