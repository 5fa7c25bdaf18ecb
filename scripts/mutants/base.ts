import { baseAccepted } from "./base-accepted.ts";
import type { Room } from "./survivors.ts";

const core = "packages/core/src/base";

/** Of what nobody has asked for there is no day. */
const undated = [
  {
    line: "const list = enforceFrom === undefined || isDayReached(enforceFrom, now) ? verdict.refused : verdict.waiting;",
    original: "enforceFrom === undefined",
    reason: "it is the same: what is no day has come",
  },
  {
    line: "const demand = (refused: Refused) => list.push({ ...refused, ...(enforceFrom === undefined ? {} : { enforceFrom }) });",
    original: "enforceFrom === undefined",
    reason: "it is the same: a day that is there and undefined is none",
  },
  {
    line: "return { ...each, ...(own === undefined ? {} : { own }) };",
    original: "own === undefined",
    reason: "it is the same: a day of its own that is there and undefined is none",
  },
].map((each) => ({ mutator: "ConditionalExpression", replacement: "false", ...each }));

const neverBehind = [
  { mutator: "ConditionalExpression", replacement: "true" },
  { mutator: "EqualityOperator", replacement: "ahead.length >= 0" },
].map((each) => ({
  line: "if (ahead.length > 0) {",
  original: "ahead.length > 0",
  ...each,
  reason: "it is the same: the first of none is at no time, which is never reached",
}));

const ofForbidden = [
  {
    ...{
      file: `${core}/forbidden.ts`,
      line: "...(own === undefined ? {} : { own }),",
      mutator: "ConditionalExpression",
    },
    ...{ original: "own === undefined", replacement: "false" },
    reason: "it is the same: a day of its own that is there and undefined is none",
  },
];

/**
 * On which base an image stands, whether that is the newest and still approved, which users and libraries may be added
 * to it, how the image looks and was made, what files name before a build, how versions and releases stand to each
 * other, and whether and on which base a rebase may put it.
 */
export const base: Room = {
  mutated: [
    `${core}/added-lines.ts`,
    `${core}/approval/choose-newest.ts`,
    `${core}/approval/choose.ts`,
    `${core}/approval/judge.ts`,
    `${core}/approval/predicate.ts`,
    `${core}/changes-text.ts`,
    `${core}/context/judge.ts`,
    `${core}/context/rules.ts`,
    `${core}/decide.ts`,
    `${core}/forbidden.ts`,
    `${core}/habits/config.ts`,
    `${core}/habits/credentials.ts`,
    `${core}/habits/judge.ts`,
    `${core}/habits/leftovers.ts`,
    `${core}/identify.ts`,
    `${core}/kept-tag.ts`,
    `${core}/label.ts`,
    `${core}/loader-cache.ts`,
    `${core}/overlay.ts`,
    `${core}/packages.ts`,
    `${core}/rebase/buildpacks.ts`,
    `${core}/rebase/choose.ts`,
    `${core}/rebase/compare.ts`,
    `${core}/rebase/judge.ts`,
    `${core}/rebase/plan-index.ts`,
    `${core}/rebase/plan.ts`,
    `${core}/rebuilt.ts`,
    `${core}/release.ts`,
    `${core}/rule-facts.ts`,
    `${core}/score/demands.ts`,
    `${core}/score/score.ts`,
    `${core}/standing.ts`,
    `${core}/versions.ts`,
  ],
  tests: [
    `${core}/approval/{choose-newest,choose,judge,predicate}.test.ts`,
    `${core}/{changes-text,context/rules,kept-tag,rule-facts}.test.ts`,
    `${core}/{context,habits}/judge.test.ts`,
    `${core}/habits/{config,credentials,leftovers}.test.ts`,
    `${core}/{added-lines,decide,decide-overlay,decide-passes,forbidden,identify,label,loader-cache}.test.ts`,
    `${core}/{overlay,overlay-packages,packages,rebuilt,release,standing,versions}.test.ts`,
    `${core}/rebase/{buildpacks,choose,compare,judge,plan,plan-index}.test.ts`,
    `${core}/score/{demands,score}.test.ts`,
  ],
  accepted: [
    ...baseAccepted,
    ...ofForbidden,
    ...[...undated, ...neverBehind].map((each) => ({ file: `${core}/approval/judge.ts`, ...each })),
    {
      file: `${core}/rebase/judge.ts`,
      line: 'const release = readRelease(readLinked(tree, "etc/os-release") ?? readLinked(tree, "usr/lib/os-release") ?? "");',
      mutator: "StringLiteral",
      original: '""',
      replacement: '"Stryker was here!"',
      reason: "it is the same: neither text says a release",
    },
    {
      file: `${core}/rebuilt.ts`,
      line: 'if (before.file.kind === "file" && before.file.size > 0) {',
      mutator: "ConditionalExpression",
      original: 'before.file.kind === "file"',
      replacement: "true",
      reason: "it is the same: whoever reads an archive refuses a size of what is no file",
    },
  ],
};
