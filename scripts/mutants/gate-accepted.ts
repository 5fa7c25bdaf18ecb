import type { Accepted } from "./survivors.ts";

const full = '["Stryker was here"]';

const ofWithdrawnSigner =
  'thing.kind === "signer" && thing.name === vex.by && !(Date.parse(vex.time ?? "") < thing.from.getTime()),';
const judgedFindings = [
  ...[
    `{ rule: "gate.finding", problem: \`and \${left}\`, wayOut, ...(own === undefined ? {} : { own }) },`,
    'problems.push({ rule: "gate.finding", problem, wayOut, ...(own === undefined ? {} : { own }) });',
  ].map((line) => ({
    ...{ line, mutator: "ConditionalExpression", original: "own === undefined", replacement: "false" },
    reason: "it is the same: a day of its own that is there and undefined is none",
  })),
  {
    line: "const signers: readonly string[] = policy.policy.scan.vex?.signers ?? [];",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: no signer of a policy has such a name",
  },
  {
    ...{ line: ofWithdrawnSigner, mutator: "ConditionalExpression" },
    ...{ original: 'thing.kind === "signer"', replacement: "true" },
    reason: "it is the same: only what is withdrawn of a signer has a name",
  },
  {
    ...{ line: ofWithdrawnSigner, mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    reason: "it is the same: neither is a time",
  },
  {
    line: "const from = countsFrom === undefined ? undefined : new Date(countsFrom);",
    ...{ mutator: "ConditionalExpression", original: "countsFrom === undefined", replacement: "false" },
    reason: "it is the same: what counts from a time that can't be read counts at once",
  },
].map((each) => ({ file: "packages/core/src/gate/judge-findings.ts", ...each }));

const ownRules = [
  {
    line: "const about = accepted.get(digest) ?? [];",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is never taken: an environment requires a stage at the least, and of each something is noted",
  },
  {
    line: "...(platform === undefined ? {} : { platform }),",
    ...{ mutator: "ConditionalExpression", original: "platform === undefined", replacement: "false" },
    reason: "it is the same: a rule is not told of what is undefined",
  },
  {
    line: "...(time === undefined ? {} : { signedAt: time }),",
    ...{ mutator: "ConditionalExpression", original: "time === undefined", replacement: "false" },
    reason: "it is the same: a rule is not told of what is undefined",
  },
  {
    line: 'return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined && value !== ""));',
    ...{ mutator: "ConditionalExpression", original: "value !== undefined", replacement: "true" },
    reason: "it is the same: a rule is not told of what is undefined",
  },
  {
    line: '.filter(({ stage, signed }) => stage === "build" && signed.statement.predicateType === predicateTypes.provenance)',
    ...{ mutator: "ConditionalExpression", original: 'stage === "build"', replacement: "true" },
    reason: "it is the same: no other stage accepts a provenance",
  },
  {
    line: 'return first === undefined || others.length > 0 || "problem" in first ? undefined : first;',
    ...{ mutator: "StringLiteral", original: '"problem"', replacement: '""' },
    reason: "it is never taken: a provenance that can't be read is not accepted",
  },
].map((each) => ({ file: "packages/core/src/gate/judge-own-rules.ts", ...each }));

const rebases = [
  {
    ...{ line: "return statements", mutator: "MethodExpression", replacement: "statements" },
    original: "statements\n    .filter(({ statement }) => statement.predicateType === predicateTypes.provenance)",
    reason: "it is the same: what is none can't be read as one",
  },
  {
    line: ".filter(({ statement }) => statement.predicateType === predicateTypes.provenance)",
    mutator: "ConditionalExpression",
    ...{ original: "statement.predicateType === predicateTypes.provenance", replacement: "true" },
    reason: "it is the same: what is none can't be read as one",
  },
  {
    line: 'return "problem" in read ? [] : listNamedImages(read, runImage);',
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is refused either way: where one can't be read, the build does not count",
  },
  {
    ...{ line: 'place: "from",', mutator: "StringLiteral", original: '"from"', replacement: '""' },
    reason: "it is the same: whether it is where it goes to is all that is asked",
  },
  ...[
    [
      "children: old.children.map(({ digest }) => digest),",
      "ArrowFunction",
      "({ digest }) => digest",
      "() => undefined",
    ],
    [
      "layers: new Map(old.children.map(({ digest, config }) => [digest, config.rootfs.diff_ids])),",
      ...["ArrayDeclaration", "[digest, config.rootfs.diff_ids]", "[]"],
    ],
    [
      "platforms: new Map(old.children.map(({ digest, config }) => [digest, formatPlatform(config)])),",
      ...["ArrayDeclaration", "[digest, formatPlatform(config)]", "[]"],
    ],
  ].map(([line = "", mutator = "", original = "", replacement = ""]) => ({
    ...{ line, mutator, original, replacement },
    reason: "it is the same today: what judges a build asks for none of them; facts of an image are whole all the same",
  })),
  {
    line: 'return "problem" in read || !isSameSource(read, provenance);',
    ...{ mutator: "StringLiteral", original: '"problem"', replacement: '""' },
    reason: "it is never taken: a provenance that can't be read is not accepted",
  },
].map((each) => ({ file: "packages/core/src/gate/judge-rebase.ts", ...each }));

const rebasedWithdrawn = [
  {
    line: "if (statement.predicateType === predicateTypes.base) return [];",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: a text is no digest that a base could have",
  },
  {
    line: 'if (provenance !== undefined && !("problem" in provenance) && findByBuildType(provenance.buildType) !== undefined)',
    ...{ mutator: "StringLiteral", original: '"problem"', replacement: '""' },
    reason: "it is the same: one that can't be read is of no build type that is known",
  },
].map((each) => ({ file: "packages/core/src/gate/withdrawn.ts", ...each }));

/** Of what an environment asks besides verdicts: findings, rules of the policy's own, rebases. */
export const gateAccepted: readonly Accepted[] = [
  ...judgedFindings,
  ...ownRules,
  ...rebases,
  ...rebasedWithdrawn,
  {
    file: "packages/core/src/gate/problems.ts",
    line: 'return problems.some(({ own, ...problem }) => isCounted(deferViolation({ ...problem, thing: "" }, days, own)));',
    ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    reason: "it is the same: whether a problem counts is not told by what it is about",
  },
  {
    file: "packages/core/src/gate/facts-json.ts",
    line: "...(destination === undefined ? {} : { destination }),",
    ...{ mutator: "ConditionalExpression", original: "destination === undefined", replacement: "false" },
    reason: "it is the same: a destination that is there and undefined is none",
  },
];
