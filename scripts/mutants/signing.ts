import type { Accepted, Room } from "./survivors.ts";

const times = "packages/core/src/signing/signer-times.ts";

const described = [
  "From when its word counts: what is signed earlier does not.",
  "Until when its word counts: what is signed then or later does not. Where nobody but the signer says when that was, nothing of it counts from then on.",
];

const certificate = "packages/core/src/signing/certificate.ts";
const certificates = [
  ...[
    { mutator: "StringLiteral", original: '"it is not in DER"', replacement: '""' },
    { mutator: "ConditionalExpression", original: "!certificate.root.toDER().equals(bytes)", replacement: "false" },
  ].map((each) => ({
    file: certificate,
    line: 'if (!certificate.root.toDER().equals(bytes)) throw new CertificateProblem("it is not in DER");',
    ...each,
    reason: "it is never taken: today's parser refuses what is not in DER, and this asks again",
  })),
  {
    file: certificate,
    line: "const [start, length] = first < 0x80 ? [2, first] : first === 0x81 ? [3, second] : [4, (second << 8) | third];",
    mutator: "EqualityOperator",
    original: "first < 0x80",
    replacement: "first <= 0x80",
    reason: "it is the same: where that is the length's byte, it is refused as not the shortest",
  },
  {
    file: certificate,
    line: "if (tag !== 0x0c || !isShortest || length === 0 || value.byteLength !== start + length) throw malformed;",
    mutator: "ConditionalExpression",
    original: "length === 0",
    replacement: "false",
    reason: "it is the same: an empty text is refused where its characters are",
  },
  {
    file: certificate,
    line: 'text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value.subarray(start));',
    mutator: "BooleanLiteral",
    original: "true",
    replacement: "false",
    reason: "fatal's is the same: what is not UTF-8 becomes a character that is refused (the other's fails a test)",
  },
  {
    file: "packages/core/src/signing/extensions.ts",
    line: 'if (oid === undefined || value === undefined) throw new CertificateProblem("an extension of it has no value");',
    mutator: "ConditionalExpression",
    original: "oid === undefined",
    replacement: "false",
    reason: "it is the same: what has no number has no value either",
  },
  {
    file: "packages/core/src/signing/extensions.ts",
    line: "const isCritical = rest.length > 1 && rest[0]?.toBoolean() === true;",
    mutator: "OptionalChaining",
    original: "rest[0]?.toBoolean",
    replacement: "rest[0].toBoolean",
    reason: "it is the same: there are two or more",
  },
];

const envelope = "packages/core/src/signing/notary/judge-envelope.ts";
const undated = "return { holds: { from, until: expires !== undefined && expires < until ? expires : until } };";
const envelopes = [
  {
    mutator: "ConditionalExpression",
    original: "expires !== undefined",
    replacement: "true",
    reason: "it is the same: what is not there is not before anything",
  },
  {
    mutator: "EqualityOperator",
    original: "expires < until",
    replacement: "expires <= until",
    reason: "it is the same: where both are one time, either is that",
  },
].map((each) => ({ file: envelope, line: undated, ...each }));
const remembered = [
  {
    line: "if (known !== undefined) return known;",
    mutator: "ConditionalExpression",
    original: "known !== undefined",
    replacement: "false",
  },
  {
    line: "trustedSigners.set(signers, trusted);",
    mutator: "CallExpression",
    original: "trustedSigners.set(signers, trusted);",
    replacement: ";",
  },
].map((each) => ({
  file: "packages/core/src/signing/collect.ts",
  ...each,
  reason: "it is the same, and slower: what was verified is verified again",
}));

const manifest = "packages/core/src/signing/schemes/keyless-manifest.ts";
const about =
  "How this signer signs: as a workflow, the manifest of BuildKit's attestations in an image's index, and no statement itself. docker/github-builder does.";
const forgetting = "if (known.size >= maxRemembered) known.clear();";
const rememberedManifests = [
  ...[
    ["ConditionalExpression", "true"],
    ["ConditionalExpression", "false"],
    ["EqualityOperator", "known.size > maxRemembered"],
    ["EqualityOperator", "known.size < maxRemembered"],
  ].map(([mutator = "", replacement = ""]) => ({
    ...{ line: forgetting, mutator, replacement, original: "known.size >= maxRemembered" },
  })),
  { line: forgetting, mutator: "CallExpression", original: "known.clear();", replacement: ";" },
  {
    line: "known.set(bundle, answer);",
    mutator: "CallExpression",
    original: "known.set(bundle, answer);",
    replacement: ";",
  },
].map((each) => ({
  ...{ file: manifest, ...each },
  reason: "it is the same: what is forgotten is verified again, and what is not is held longer",
}));
const untimed = [
  { mutator: "ObjectLiteral", original: '{ reason: "it has no verified time" }', replacement: "{}" },
  { mutator: "StringLiteral", original: '"it has no verified time"', replacement: '""' },
].map((each) => ({
  file: "packages/core/src/signing/certified-bundle.ts",
  line: 'return Number.isFinite(time) ? { time: new Date(time) } : { reason: "it has no verified time" };',
  ...each,
  reason: "it is never taken: who verifies wants one such time, and this asks again",
}));

const toldOfNobody = "if (names.length === 0 && nearest !== undefined)";
const certifiedSigners = [
  {
    line: 'if (material.kind !== "workflow" || material.instance === undefined) continue;',
    ...{ mutator: "ConditionalExpression", original: 'material.kind !== "workflow"', replacement: "false" },
    reason: "it is the same: what is no workflow has no instance",
  },
  ...[
    ["ConditionalExpression", "names.length === 0 && nearest !== undefined", "true"],
    ["LogicalOperator", "names.length === 0 && nearest !== undefined", "names.length === 0 || nearest !== undefined"],
    ["ConditionalExpression", "names.length === 0", "true"],
  ].map(([mutator = "", original = "", replacement = ""]) => ({
    ...{ line: toldOfNobody, mutator, original, replacement },
    reason: "it is never shown: where somebody has signed it, nobody is told why another has not",
  })),
  {
    ...{ line: toldOfNobody, mutator: "ConditionalExpression" },
    ...{ original: "nearest !== undefined", replacement: "true" },
    reason: "it is the same: an instance is there for a signer at the least",
  },
].map((each) => ({ file: "packages/core/src/signing/certified-signers.ts", ...each }));

const accepted: readonly Accepted[] = [
  ...certifiedSigners,
  ...rememberedManifests,
  ...untimed,
  {
    ...{ file: manifest, mutator: "StringLiteral", original: JSON.stringify(about), replacement: '""' },
    line: `${JSON.stringify(about)},`,
    reason: "a field's description, which the policy's reference shows and nothing decides by",
  },
  ...envelopes,
  ...remembered,
  ...certificates,
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
];

/** Whose a statement is, and of when. */
export const signing: Room = {
  mutated: [
    "packages/core/src/signing/certificate.ts",
    "packages/core/src/signing/certified-bundle.ts",
    "packages/core/src/signing/certified-signers.ts",
    "packages/core/src/signing/collect.ts",
    "packages/core/src/signing/extensions.ts",
    "packages/core/src/signing/judge-signed.ts",
    "packages/core/src/signing/notary/judge-envelope.ts",
    "packages/core/src/signing/reading-bounds.ts",
    "packages/core/src/signing/run-differences.ts",
    "packages/core/src/signing/schemes/keyless-manifest.ts",
    "packages/core/src/signing/signer-times.ts",
    "packages/core/src/signing/validity.ts",
    "packages/core/src/signing/workflow-identity.ts",
  ],
  tests: [
    "packages/core/src/signing/{certificate,collect,judge-signed,reading-bounds,run-differences,signer-times}.test.ts",
    "packages/core/src/signing/{validity,workflow-identity,notary/judge-envelope}.test.ts",
    "packages/core/src/gate/verdict-time.test.ts",
    "test/attacks/{certified-proofs,signed-manifest-proofs}.test.ts",
  ],
  accepted,
};
