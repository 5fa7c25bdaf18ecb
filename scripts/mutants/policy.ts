import { policyAccepted } from "./policy-accepted.ts";
import type { Room } from "./survivors.ts";

const judgeRules = "packages/core/src/policy/custom-rules/judge-rules.ts";
const choose = "packages/core/src/policy/signed-exceptions/choose.ts";
const consistency = "packages/core/src/policy/consistency.ts";
const enforcement = "packages/core/src/policy/enforcement.ts";
const exceptions = "packages/core/src/policy/exceptions.ts";
const exceptionLife = "packages/core/src/policy/exception-life.ts";
const withdrawals = "packages/core/src/policy/withdrawals.ts";
const renamed = "packages/core/src/policy/renamed.ts";
const certificates = 'if (a.kind === "certificate" && b.kind === "certificate") return a.identity === b.identity;';
const unknown = `if (signer === undefined) throw new TypeError(\`no signer '\${name}'\`);`;

const untold = "packages/core/src/policy/judge-again/untold.ts";
const textForList = [
  {
    line: "const gates = [scan, ...Object.values(environments)].flatMap(({ refuse }) => refuse ?? []);",
    reason: "it is the same: a text asks nothing of CISA's list",
  },
  {
    line: "const { approval, mayChange = [], name } = after;",
    reason: "it is the same: no path is below that text",
  },
  {
    line: "const reports = (after.reports ?? []).filter(",
    reason: "it is the same: a text is no report that is required",
  },
  ...[
    'const refused = enforceFrom?.["base.build-image"] === undefined ? listBuildImages(build.builders) : [];',
    "const told = [...refused, ...(now.lineage ? [] : bases)];",
  ].map((line) => ({ line, reason: "it is the same: a text is no version of an image" })),
].map((each) => ({
  file: untold,
  mutator: "ArrayDeclaration",
  original: "[]",
  replacement: '["Stryker was here"]',
  ...each,
}));

const ofRenamed = [
  {
    line: "if (name === thing.name || !isAlike(readMaterial(policy, name), withdrawn)) continue;",
    mutator: "ConditionalExpression",
    original: "name === thing.name",
    replacement: "false",
    reason: "it is the same: of that name and alike it was there before, which is let through next",
  },
  {
    line: "if (signer.until !== undefined && signer.until <= thing.from) continue;",
    mutator: "ConditionalExpression",
    original: "signer.until !== undefined",
    replacement: "true",
    reason: "it is the same: what is not there is before nothing",
  },
  ...[
    { mutator: "ConditionalExpression", original: "signer === undefined", replacement: "false" },
    { mutator: "StringLiteral", original: `\`no signer '\${name}'\``, replacement: "``" },
  ].map((each) => ({
    line: unknown,
    ...each,
    reason: "it is never taken: who is asked about is a name of the policy's own",
  })),
  {
    line: `return materialOf(signer, \`the public key of signer '\${name}' in the policy\`);`,
    mutator: "StringLiteral",
    original: `\`the public key of signer '\${name}' in the policy\``,
    replacement: "``",
    reason: "it is never shown: a policy with a key that is none is refused when it is read",
  },
  ...[
    {
      mutator: "LogicalOperator",
      original: 'a.kind === "certificate" && b.kind === "certificate"',
      replacement: 'a.kind === "certificate" || b.kind === "certificate"',
    },
    { mutator: "ConditionalExpression", original: 'a.kind === "certificate"', replacement: "true" },
    { mutator: "ConditionalExpression", original: 'b.kind === "certificate"', replacement: "true" },
  ].map((each) => ({
    line: certificates,
    ...each,
    reason: "it is the same: what is no certificate has no identity, and is like no certificate",
  })),
].map((each) => ({ file: renamed, ...each }));

const full = '["Stryker was here"]';
const sameThing = 'return b.kind !== "signer" && a.kind === b.kind && a.digest === b.digest;';
const found = 'return listWithdrawn(inForce).find(({ thing }) => thing.kind !== "signer" && thing.digest === digest);';
const earlier = "const isEarlier = end !== undefined && (signer.until === undefined || end < signer.until);";
const ofWithdrawn = [
  ...[
    { line: found, mutator: "ConditionalExpression", original: 'thing.kind !== "signer"', replacement: "true" },
    { line: found, mutator: "StringLiteral", original: '"signer"', replacement: '""' },
  ].map((each) => ({ ...each, reason: "it is the same: a signer has no digest" })),
  {
    line: "active.some((root) => root.at.getTime() === at.getTime());",
    mutator: "MethodExpression",
    original: "active.some((root) => root.at.getTime() === at.getTime())",
    replacement: "active.every(root => root.at.getTime() === at.getTime())",
    reason: "it is the same: a thing is withdrawn once, until that is lifted",
  },
  {
    line: 'if (a.kind === "signer") return b.kind === "signer" && a.name === b.name && a.from.getTime() === b.from.getTime();',
    ...{ mutator: "ConditionalExpression", original: 'b.kind === "signer"', replacement: "true" },
    reason: "it is the same: what is no signer has no name",
  },
  ...[
    { line: sameThing, mutator: "ConditionalExpression", original: 'b.kind !== "signer"', replacement: "true" },
    { line: sameThing, mutator: "StringLiteral", original: '"signer"', replacement: '""' },
  ].map((each) => ({ ...each, reason: "it is the same: the first of the two is no signer, and both are of one kind" })),
  {
    line: "if (known === undefined || thing.from < known) ends.set(thing.name, thing.from);",
    ...{ mutator: "EqualityOperator", original: "thing.from < known", replacement: "thing.from <= known" },
    reason: "it is the same: of two times that are one either is the earlier",
  },
  {
    ...{ line: earlier, mutator: "ConditionalExpression", original: "end !== undefined", replacement: "true" },
    reason: "it is the same: an end that is there and undefined is none, and before nothing",
  },
  {
    ...{ line: earlier, mutator: "EqualityOperator", original: "end < signer.until" },
    replacement: "end <= signer.until",
    reason: "it is the same: of two times that are one either is the earlier",
  },
].map((each) => ({ file: withdrawals, ...each }));

const stageSigners = "packages/core/src/policy/stage-signers.ts";
const ofStageSigners = [
  { mutator: "ConditionalExpression", original: "path[0] === undefined", replacement: "false" },
  { mutator: "StringLiteral", original: '"it"', replacement: '""' },
].map((each) => ({
  file: stageSigners,
  line: `problems.add(\`\${path[0] === undefined ? "it" : String(path[0])}: \${message}\`);`,
  ...each,
  reason: "it is never taken: what can be wrong with a signer that is made here is one of its keys",
}));

const boundary = "it is the same: a cost is a bound, and whatever is that near to it is done in time as well";
const noBoolean = 'return typeof answer === "boolean" ? answer : { unclear: "it says neither true nor false" };';
const isQuick = "const isQuick = cost <= quickCost && !usesPatterns(read.expression);";
const ofOwnRules = [
  {
    line: "if (asked.length === 0) return [];",
    ...{ mutator: "ConditionalExpression", original: "asked.length === 0", replacement: "false" },
    reason: "it is the same: none is broken of none, and facts are measured for nothing",
  },
  {
    line: "if (cost > maxCost)",
    ...{ mutator: "EqualityOperator", original: "cost > maxCost", replacement: "cost >= maxCost" },
    reason: boundary,
  },
  {
    ...{ line: isQuick, mutator: "EqualityOperator", original: "cost <= quickCost", replacement: "cost < quickCost" },
    reason: boundary,
  },
  {
    ...{ line: isQuick, mutator: "ConditionalExpression", replacement: "false" },
    original: "cost <= quickCost && !usesPatterns(read.expression)",
    reason: "it is the same, and slower: with a clock it is asked as without",
  },
  ...[
    { mutator: "ConditionalExpression", original: 'typeof answer === "boolean"', replacement: "true" },
    { mutator: "ObjectLiteral", original: '{ unclear: "it says neither true nor false" }', replacement: "{}" },
    { mutator: "StringLiteral", original: '"it says neither true nor false"', replacement: '""' },
  ].map((each) => ({
    ...{ line: noBoolean, ...each },
    reason: "it is never taken: an expression that says anything else is refused when it is read, and this asks again",
  })),
  {
    line: "if (Array.isArray(value) || value instanceof Map) sizes.longest = Math.max(sizes.longest, parts.length);",
    ...{ mutator: "ConditionalExpression", original: "Array.isArray(value) || value instanceof Map" },
    replacement: "true",
    reason: "it is the same: no fact has so many fields as a list is taken to have at the least",
  },
].map((each) => ({ file: judgeRules, ...each }));

const again = (file: string): string => `packages/core/src/policy/judge-again/${file}.ts`;
const nowhere = 'const nowhere: Repository = { registry: "", name: "" };';
const basesAgain = [
  {
    line: 'approvedAt: z.string().default(""),',
    ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    reason: "it is the same: neither text is a time",
  },
  {
    line: 'role: z.enum(baseRoles).default("both"),',
    ...{ mutator: "StringLiteral", original: '"both"', replacement: '""' },
    reason: "it is the same: to stand on, the role build-only alone is refused",
  },
  {
    line: 'return [{ rule: "base.forbidden", problem, ...(own === undefined ? {} : { own }) }];',
    ...{ mutator: "ConditionalExpression", original: "own === undefined", replacement: "false" },
    reason: "it is the same: a day of its own that is there and undefined is none",
  },
  ...[
    "const found = { signers, endOfLife, role, approvedAt, proven: [], bundle: stood.digest };",
    'const state: ApprovalState = { rules, found: { kind: "approved", approval: found }, newer: [] };',
  ].map((line) => ({
    ...{ line, mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is never looked at: how a base scored and what is newer is not asked of what is signed",
  })),
  {
    line: "{ digest: own.digest, platform: own.platform, labels, habits, layers: layers ?? [], blobs: own.manifest.layers },",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is never asked for: without signed layers a rule on them is unknown",
  },
  ...[
    { mutator: "ObjectLiteral", original: '{ registry: "", name: "" }', replacement: "{}" },
    { mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
  ].map((each) => ({
    ...{ line: nowhere, ...each },
    reason: "it is never asked for: a rule on where the image is is unknown then",
  })),
  {
    ...{ line: "} catch {", mutator: "BlockStatement", original: "{\n    return undefined;\n  }", replacement: "{}" },
    reason: "it is the same: a function without an answer answers undefined",
  },
].map((each) => ({ file: again("base"), ...each }));
const judgedAgain = [
  ...basesAgain,
  {
    file: again("facts"),
    line: 'const names = subject.flatMap(({ name }) => (name === "" ? [] : [name.replace(/@.*$/, "")]));',
    ...{ mutator: "Regex", original: "/@.*$/", replacement: "/@.*/" },
    reason: "it is the same: a name of several lines is no repository's either way",
  },
  {
    file: again("rules"),
    line: 'const tellAsked = ({ stage, when = "", expression }: CustomRule): string => JSON.stringify([stage, when, expression]);',
    ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    reason: "it is the same: both policies' rules are told by the same word",
  },
  {
    file: again("rules"),
    line: "if (rules.length === 0) return [];",
    ...{ mutator: "ConditionalExpression", original: "rules.length === 0", replacement: "false" },
    reason: "it is the same: nothing is said of no rules",
  },
  {
    file: again("rules"),
    line: "const before = Map.groupBy(facts.older?.rules ?? [], tellAsked);",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: no rule asks what a text does",
  },
  ...[
    {
      line: "const known = rules.filter((rule) => lacking.get(rule)?.length === 0);",
      ...{ mutator: "OptionalChaining", original: "lacking.get(rule)?.length" },
      replacement: "lacking.get(rule).length",
    },
    {
      line: 'return withoutExcepted(settled.map((violation) => ({ ...violation, asks: asks.get(each.name) ?? "" })));',
      ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    },
    {
      line: "const lacks = lacking.get(rule) ?? [];",
      ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    },
  ].map((each) => ({ file: again("rules"), ...each, reason: "it is never taken: each of these rules is there" })),
  {
    file: again("rules"),
    line: "const own = { before: told ?? [], now: rule.name };",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is never looked at: of a rule that was not asked before no exception is lost",
  },
  {
    file: again("scan"),
    line: "const signers: readonly string[] = policy.scan.vex?.signers ?? [];",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: no signer of a policy has such a name",
  },
];

/**
 * Which policies are refused; what was withdrawn, and that nobody who was counts again by another name; which policy is
 * in force; what waits for a day, what exceptions are for and until when they hold, whose a stage's signature is, what a
 * team's policy may say, and what a changed policy asks that nothing signed tells.
 */
export const policy: Room = {
  mutated: [
    judgeRules,
    consistency,
    ...["base", "facts", "habits", "judge", "rules", "scan"].map(again),
    enforcement,
    exceptionLife,
    exceptions,
    "packages/core/src/policy/forbidden-bases.ts",
    "packages/core/src/policy/layers.ts",
    untold,
    "packages/core/src/policy/pointer.ts",
    renamed,
    choose,
    stageSigners,
    withdrawals,
  ],
  tests: [
    "packages/core/src/policy/{consistency,consistency-signers,enforcement,exception-life,exceptions,exceptions-match}.test.ts",
    "packages/core/src/policy/{forbidden-bases,layers,layers-told,pointer,pointer-repository,renamed,stage-signers,withdrawals}.test.ts",
    "packages/core/src/policy/{custom-rules/judge-rules,judge-again/*,judge-impact,signed-exceptions/choose}.test.ts",
  ],
  accepted: [
    ...policyAccepted,
    ...judgedAgain,
    ...ofOwnRules,
    ...textForList,
    ...ofRenamed,
    ...ofStageSigners,
    ...ofWithdrawn,
  ],
};
