import type { Room } from "./survivors.ts";

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

/** That nobody who was withdrawn counts again by another name, and what a changed policy asks that nothing signed tells. */
export const policy: Room = {
  mutated: [untold, renamed],
  tests: ["packages/core/src/policy/renamed.test.ts", "packages/core/src/policy/judge-again/untold.test.ts"],
  accepted: [...textForList, ...ofRenamed],
};
