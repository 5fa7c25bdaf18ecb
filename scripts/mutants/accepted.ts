import type { Accepted } from "./survivors.ts";

const times = "packages/core/src/signing/signer-times.ts";

const described = [
  "From when its word counts: what is signed earlier does not.",
  "Until when its word counts: what is signed then or later does not. Where nobody but the signer says when that was, nothing of it counts from then on.",
];

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

export const accepted: readonly Accepted[] = [
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
  ...described.map((text) => ({
    file: times,
    line: text.startsWith("From") ? `from: time(${JSON.stringify(text)}),` : `${JSON.stringify(text)},`,
    mutator: "StringLiteral",
    original: JSON.stringify(text),
    replacement: '""',
    reason: "a field's description, which the policy's reference shows and nothing decides by",
  })),
  {
    file: times,
    line: 'return Number.isNaN(time.getTime()) ? "a time that can\'t be read" : time.toISOString().replace(/\\.000Z$/, "Z");',
    mutator: "Regex",
    original: "/\\.000Z$/",
    replacement: "/\\.000Z/",
    reason: "it is the same: what toISOString gives has that at its end alone",
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
