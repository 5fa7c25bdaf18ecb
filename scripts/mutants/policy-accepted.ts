import type { Accepted } from "./survivors.ts";

const consistency = "packages/core/src/policy/consistency.ts";
const enforcement = "packages/core/src/policy/enforcement.ts";
const exceptions = "packages/core/src/policy/exceptions.ts";
const exceptionLife = "packages/core/src/policy/exception-life.ts";
const full = '["Stryker was here"]';
const bothTimes = "from !== undefined && until !== undefined";
const ofConsistency = [
  {
    line: "return forbiddenBases.flatMap(({ name, image, digests = [] }, index): Inconsistency[] => {",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: no base has a version of that digest",
  },
  {
    line: "const { builders = [], level: { builders: leveled = [], verifiers = [] } = {} } = provenance ?? {};",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "the first is never looked at: what has no provenance has no level either (the others' fail a test)",
  },
  ...[
    { mutator: "ConditionalExpression", original: bothTimes, replacement: "true" },
    { mutator: "LogicalOperator", original: bothTimes, replacement: "from !== undefined || until !== undefined" },
    { mutator: "ConditionalExpression", original: "from !== undefined", replacement: "true" },
    { mutator: "ConditionalExpression", original: "until !== undefined", replacement: "true" },
  ].map((each) => ({
    line: `if (${bothTimes} && from >= until)`,
    ...each,
    reason: "it is the same: what is not there is neither before nor after anything",
  })),
].map((each) => ({ file: consistency, ...each }));

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

const ofExceptions = [
  { mutator: "ConditionalExpression", replacement: "false" },
  { mutator: "EqualityOperator", replacement: "a.expires <= b.expires" },
].map((each) => ({
  file: exceptions,
  line: ".toSorted((a, b) => (a.expires < b.expires ? 1 : a.expires > b.expires ? -1 : 0));",
  original: "a.expires < b.expires",
  ...each,
  reason: "it is the same: sorting, the engine asks of two only whether the answer is below zero",
}));

const pointer = "packages/core/src/policy/pointer.ts";
const ofPointer = [
  {
    line: "...(revoked === true ? { revoked } : {}),",
    ...{ mutator: "ConditionalExpression", original: "revoked === true", replacement: "true" },
    reason: "it is the same: JSON has nothing that is undefined",
  },
  {
    line: 'const [where = ""] = pointer.repositories;',
    ...{ mutator: "StringLiteral", original: '""', replacement: '"Stryker was here!"' },
    reason: "it is never taken: a pointer is made for one repository at the least",
  },
  {
    line: "if (policy.serial > pointer.serial) {",
    ...{ mutator: "EqualityOperator", original: "policy.serial > pointer.serial" },
    replacement: "policy.serial >= pointer.serial",
    reason: "it is the same: of one serial was said before",
  },
  {
    line: "oldest !== undefined &&",
    ...{ mutator: "ConditionalExpression", original: "oldest !== undefined", replacement: "true" },
    reason: "it is the same: of so many there is an oldest one",
  },
].map((each) => ({ file: pointer, ...each }));

const layers = "packages/core/src/policy/layers.ts";
const ofLayers = [
  {
    line: "const nothingToTell: { changes: PolicyChange[]; leftOut: ForbiddenBase[] } = { changes: [], leftOut: [] };",
    ...{ mutator: "ArrayDeclaration", original: "[]", replacement: full },
    reason: "it is the same: what has not the shape of a policy is refused by that, with a text in it or without",
  },
  {
    line: "const shaped = policyShape.safeParse(effective, chooseWalk(organisation.bytes.byteLength + team.bytes.byteLength));",
    ...{ mutator: "ArithmeticOperator", original: "organisation.bytes.byteLength + team.bytes.byteLength" },
    replacement: "organisation.bytes.byteLength - team.bytes.byteLength",
    reason: "it is the same: it says by which of two ways, one of them the faster, the same is read",
  },
  {
    line: "for (let length = path.length; length > 0; length--) {",
    ...{ mutator: "EqualityOperator", original: "length > 0", replacement: "length >= 0" },
    reason: "it is the same: no entry of a list stands at no path",
  },
  {
    line: "? this.fields(older === undefined ? {} : named(older), entry, at)",
    ...{ mutator: "ConditionalExpression", original: "older === undefined", replacement: "false" },
    reason: "it is the same: a key that is there and undefined is written nowhere",
  },
  {
    line: 'typeof value === "object" && value !== null && Object.hasOwn(value, part)',
    ...{ mutator: "ConditionalExpression", original: "value !== null", replacement: "true" },
    reason: "it is the same: a policy that was read has no null",
  },
].map((each) => ({ file: layers, ...each }));

/** Of what a policy says, and of which one is in force. */
export const policyAccepted: readonly Accepted[] = [
  ...ofConsistency,
  ...enforced,
  ...lives,
  ...ofExceptions,
  ...ofLayers,
  ...ofPointer,
];
