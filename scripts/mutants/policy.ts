import type { Room } from "./survivors.ts";

const enforcement = "packages/core/src/policy/enforcement.ts";
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
const enforced = [
  {
    line: "return from === undefined || isDayReached(from, now) ? undefined : from;",
    ...{ mutator: "ConditionalExpression", original: "from === undefined", replacement: "false" },
    reason: "it is the same: no day is told either way",
  },
  {
    line: "const first = today < from ? today : from;",
    ...{ mutator: "EqualityOperator", original: "today < from", replacement: "today <= from" },
    reason: "it is the same: of two days that are one either is the first",
  },
].map((each) => ({ file: enforcement, ...each }));

const lives = [
  {
    line: "const kinds = Object.values(environments).flatMap(({ images }) => images?.refuse ?? []);",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: no exception is of a rule that a text has",
  },
  {
    line: ".toSorted((a, b) => (a.day < b.day ? -1 : 1));",
    ...{ mutator: "EqualityOperator", original: "a.day < b.day", replacement: "a.day <= b.day" },
    reason: "it is the same: no two of these days are one",
  },
].map((each) => ({ file: exceptionLife, ...each }));

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

/**
 * What was withdrawn, and that nobody who was counts again by another name; what waits for a day, until when exceptions
 * hold, whose a stage's signature is, and what a changed policy asks that nothing signed tells.
 */
export const policy: Room = {
  mutated: [enforcement, exceptionLife, untold, renamed, "packages/core/src/policy/stage-signers.ts", withdrawals],
  tests: [
    "packages/core/src/policy/{enforcement,exception-life,renamed,stage-signers,withdrawals}.test.ts",
    "packages/core/src/policy/judge-again/untold.test.ts",
  ],
  accepted: [...textForList, ...ofRenamed, ...enforced, ...lives, ...ofStageSigners, ...ofWithdrawn],
};
