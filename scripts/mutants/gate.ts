import { gateAccepted } from "./gate-accepted.ts";
import type { Accepted, Room } from "./survivors.ts";

const verdict = "packages/core/src/gate/judge-verdict.ts";
const withdrawn = "packages/core/src/gate/withdrawn.ts";
const binding = "packages/core/src/gate/binding.ts";
const judgeBuild = "packages/core/src/gate/judge-build.ts";
const full = '["Stryker was here"]';

const neverShown = ["refs", "workflows", "callers"].map((field) => ({
  file: binding,
  line: `source.${field} ?? [],`,
  reason: "it is never shown: an entry that names none is met by any",
}));

const onlyOfPasses = [
  "const refuse = (...problems: Problem[]): StageDecision => ({ accepted: [], problems });",
  'if (provenance.problems.some((problem) => problem.rule === "gate.missing")) return { accepted: [], problems: [] };',
  'return { accepted: [], problems: [explainAbsence(scope, "the SBOM", of, claims, "gate.incomplete")] };',
  ': { accepted: [], problems: [malformed(scope, "the SBOM", "it is not a CycloneDX document")] };',
].map((line) => ({
  file: judgeBuild,
  line,
  reason: "it is the same: what of one half is accepted is dropped where the other half or this one has a problem",
}));

const whereNoneLapsed = [
  {
    file: binding,
    line: "...(past.length === 0 ? [] : judgeSources(policy, [...provenances, ...past], destination)),",
  },
  { file: judgeBuild, line: "...(past.length === 0 ? [] : held([...read, ...past]))," },
].map((each) => ({
  ...each,
  mutator: "ConditionalExpression",
  original: "past.length === 0",
  replacement: "false",
  reason: "it is the same: without any, the same builds are judged again, and what is said twice is told once",
}));

const unreadableTimes = [
  { mutator: "ConditionalExpression", original: "newest.length === 0", replacement: "false" },
  ...["a provenance", "its time cannot be read"].map((text) => ({
    mutator: "StringLiteral",
    original: JSON.stringify(text),
    replacement: '""',
  })),
].map((each) => ({
  file: judgeBuild,
  line: 'if (newest.length === 0) return refuse(malformed(scope, "a provenance", "its time cannot be read"));',
  ...each,
  reason: "it is never reached: the schema of a provenance refuses each time that is no date before",
}));

const deferral = "packages/core/src/gate/deferral.ts";
const isDeferred =
  'if (newest?.summary.countsFrom === undefined || newest.summary.result !== "FAILED") return undefined;';
const rescans = [
  {
    ...{ line: isDeferred, mutator: "OptionalChaining", original: "newest?.summary", replacement: "newest.summary" },
    reason: "it is the same: without a verdict this is not asked",
  },
  {
    ...{ line: isDeferred, mutator: "ConditionalExpression" },
    ...{ original: 'newest.summary.result !== "FAILED"', replacement: "false" },
    reason: "it is the same: of a pass it is not told why it does not count later",
  },
  {
    ...{ line: "...(rested?.problems ?? []),", mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: where a pass is of another level, that is told",
  },
  {
    line: "return new Date(Math.min(timeVerified.getTime(), passed.getTime() + (rules?.every ?? rescannedEvery)));",
    ...{ mutator: "OptionalChaining", original: "rules?.every", replacement: "rules.every" },
    reason: "it is the same: without rules nothing counts later, and it ends before",
  },
].map((each) => ({ file: deferral, ...each }));

const accepted: readonly Accepted[] = [
  ...rescans,
  ...gateAccepted,
  {
    file: "packages/core/src/gate/lineage.ts",
    line: "const old = rebased === undefined ? undefined : lineage?.get(rebased);",
    ...{ mutator: "ConditionalExpression", original: "rebased === undefined", replacement: "false" },
    reason: "it is the same: nothing is known of what is not there",
  },
  {
    file: "packages/core/src/gate/judge-antipatterns.ts",
    line: "if (refuse.length === 0 || !image.children.includes(scope.digest)) return [];",
    ...{ mutator: "ConditionalExpression", original: "refuse.length === 0", replacement: "false" },
    reason: "it is the same: of nothing that is refused nothing is found",
  },
  ...[
    "const told = parsed.success ? parsed.data.children.filter(({ digest }) => digest === scope.digest) : [];",
    "const found = told.flatMap(({ antipatterns }) => antipatterns?.found ?? []);",
  ].map((line) => ({
    ...{ file: "packages/core/src/gate/judge-antipatterns.ts", line },
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: a text tells of no antipattern, and is of no kind",
  })),
  {
    file: "packages/core/src/gate/judge-approvals.ts",
    line: "({ statement }) => findingSchema.safeParse(statement.predicate).data?.children ?? [],",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: a text is no image",
  },
  ...[
    ["const findingSchema = z.looseObject({ children: z.array(z.unknown()) });", "{ children: z.array(z.unknown()) }"],
    ["const digestSchema = z.looseObject({ digest: z.string() });", "{ digest: z.string() }"],
  ].map(([line = "", original = ""]) => ({
    ...{ file: "packages/core/src/gate/judge-approvals.ts", line },
    ...{ mutator: "ObjectLiteral", original, replacement: "{}" },
    reason: "it is the same: what is no list has no image in it, and what is no text is no digest",
  })),
  {
    file: "packages/core/src/gate/judge-approvals.ts",
    line: "const isListed = bases.some((each) => each.approval === undefined && each.digests?.some((one) => one === digest));",
    ...{ mutator: "OptionalChaining", original: "each.digests?.some", replacement: "each.digests.some" },
    reason: "it is never taken: a base without an approval has digests",
  },
  {
    file: "packages/core/src/gate/problems.ts",
    line: "} catch {",
    mutator: "BlockStatement",
    original: "{\n    return false;\n  }",
    replacement: "{}",
    reason: "it is the same: what is undefined is no more the image's own than what is false",
  },
  {
    file: "packages/core/src/gate/problems.ts",
    line: "if (maxAge !== undefined && age > maxAge) {",
    mutator: "ConditionalExpression",
    original: "maxAge !== undefined",
    replacement: "true",
    reason: "it is the same: nothing is older than what is not there",
  },
  ...[
    ...neverShown,
    ...onlyOfPasses,
    {
      file: binding,
      line: 'const allowed = fitting.flatMap(({ to }) => to ?? []).join(", ");',
      reason: "it is never taken: an entry that names no destination lets a build become any, and nothing is refused",
    },
    {
      file: binding,
      line: "passed: readonly PolicyEnvironment[] = [],",
      reason: "it is the same: environments alone are looked for among those that were passed",
    },
  ].map((each) => ({ ...each, mutator: "ArrayDeclaration", original: "[]", replacement: full })),
  ...whereNoneLapsed,
  ...unreadableTimes,
  {
    file: binding,
    line: 'const [name = "", owner = ""] = sourceRepository.toLowerCase().split("/").toReversed();',
    mutator: "StringLiteral",
    original: '""',
    replacement: '"Stryker was here!"',
    reason: "the name's is never taken: what is split has one part at the least (the owner's is, and a test fails)",
  },
  {
    file: binding,
    line: "if (events !== undefined) return event !== undefined && events.includes(event);",
    mutator: "ConditionalExpression",
    original: "event !== undefined",
    replacement: "true",
    reason: "it is the same: no list of events has one that is not known",
  },
  ...[
    { mutator: "ConditionalExpression", original: "newest === undefined", replacement: "false" },
    { mutator: "StringLiteral", original: '"no newest of some"', replacement: '""' },
  ].map((mutant) => ({
    file: verdict,
    line: 'if (newest === undefined) throw new TypeError("no newest of some");',
    ...mutant,
    reason: "it is never taken: where there is none, it has ended before",
  })),
  ...[
    {
      mutator: "ConditionalExpression",
      original: "Number.isNaN(summary.timeVerified.getTime())",
      replacement: "false",
    },
    { mutator: "StringLiteral", original: '"its time cannot be read"', replacement: '""' },
  ].map((mutant) => ({
    file: verdict,
    line: 'if (Number.isNaN(summary.timeVerified.getTime())) return malformed(scope, what, "its time cannot be read");',
    ...mutant,
    reason: "it is never taken: whoever reads the summary takes no text for a time that is none, and this asks again",
  })),
  {
    file: "packages/core/src/gate/layers.ts",
    line: "found.success ? found.data.children.filter(({ digest }) => digest === child).map(({ layers }) => layers) : [];",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is refused either way: a text is no list of layers",
  },
  {
    file: "packages/core/src/gate/signed-view.ts",
    line: "const collected = facts.evidence.get(digest) ?? { statements: [], lapsed: [], rejected: [] };",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "of statements and of lapsed ones it is the same: what is about no image is left out of both",
  },
  {
    file: withdrawn,
    line: "if (withdrawn.length === 0) return [];",
    mutator: "ConditionalExpression",
    original: "withdrawn.length === 0",
    replacement: "false",
    reason: "it is the same: of nothing that was withdrawn nothing concerns an image",
  },
  {
    file: withdrawn,
    line: 'return thing.kind === "base" && told.some(({ bases }) => bases !== "unreadable" && bases.includes(thing.digest));',
    mutator: "ConditionalExpression",
    original: 'thing.kind === "base"',
    replacement: "true",
    reason: "it is the same: what is left besides is a signer, who has no digest",
  },
  {
    file: withdrawn,
    line: 'return thing.kind === "base" && told.some(({ bases }) => bases !== "unreadable" && bases.includes(thing.digest));',
    mutator: "ConditionalExpression",
    original: 'bases !== "unreadable"',
    replacement: "true",
    reason: "it is the same: that word has no digest in it",
  },
  {
    file: withdrawn,
    line: 'return thing.kind === "base" && told.some(({ bases }) => bases !== "unreadable" && bases.includes(thing.digest));',
    mutator: "StringLiteral",
    original: '"unreadable"',
    replacement: '""',
    reason: "it is the same: that word has no digest in it",
  },
  {
    file: withdrawn,
    line: "const materialsSchema = z.looseObject({ materials: used.nullable().transform((materials) => materials ?? []) });",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is the same: a text has no digest that a base could have",
  },
  {
    file: withdrawn,
    line: "children?.flatMap(({ base, sameLayers }) => [base, ...sameLayers].flatMap((each) => each?.digest ?? [])) ??",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is the same: a text is no digest that a base could have",
  },
  {
    file: withdrawn,
    line: "if (!foreignTypes.includes(predicateType)) return [];",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is the same: a text is no digest that a base could have",
  },
  {
    file: withdrawn,
    line: "const used = z.array(z.looseObject({ digest: z.record(z.string(), z.string()).optional() })).default([]);",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is the same: a text has no digest that a base could have",
  },
  {
    file: withdrawn,
    line: "children: z.array(z.looseObject({ base: found.nullish(), sameLayers: z.array(found).default([]) })),",
    mutator: "ArrayDeclaration",
    original: "[]",
    replacement: '["Stryker was here"]',
    reason: "it is the same: a text has no digest that a base could have",
  },
  {
    file: "packages/core/src/gate/match-source.ts",
    line: 'const component = components[index] ?? "";',
    mutator: "StringLiteral",
    original: '""',
    replacement: '"Stryker was here!"',
    reason: "it is never taken: there are as many components as wanted ones",
  },
];

/** What the gate decides, each stage and all of them. */
export const gate: Room = {
  mutated: [
    "packages/core/src/gate/binding.ts",
    "packages/core/src/gate/decide.ts",
    "packages/core/src/gate/deferral.ts",
    "packages/core/src/gate/facts-json.ts",
    "packages/core/src/gate/find-environment.ts",
    "packages/core/src/gate/judge-antipatterns.ts",
    "packages/core/src/gate/judge-approvals.ts",
    "packages/core/src/gate/judge-build.ts",
    "packages/core/src/gate/judge-findings.ts",
    "packages/core/src/gate/judge-origin.ts",
    "packages/core/src/gate/judge-own-rules.ts",
    "packages/core/src/gate/judge-rebase.ts",
    "packages/core/src/gate/judge-verdict.ts",
    "packages/core/src/gate/layers.ts",
    "packages/core/src/gate/lineage.ts",
    "packages/core/src/gate/match-run.ts",
    "packages/core/src/gate/match-source.ts",
    "packages/core/src/gate/problems.ts",
    "packages/core/src/gate/rescan.ts",
    "packages/core/src/gate/signed-view.ts",
    "packages/core/src/gate/verdict-findings.ts",
    "packages/core/src/gate/withdrawn.ts",
  ],
  tests: ["packages/core/src/gate/*.test.ts"],
  accepted,
};
