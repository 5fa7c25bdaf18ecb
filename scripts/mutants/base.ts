import type { Room } from "./survivors.ts";

const core = "packages/core/src/base";

/** On which base an image stands, whether that is the newest, and which one a rebase takes. */
export const base: Room = {
  mutated: [
    `${core}/approval/choose-newest.ts`,
    `${core}/identify.ts`,
    `${core}/rebase/choose.ts`,
    `${core}/rebase/compare.ts`,
    `${core}/rebuilt.ts`,
    `${core}/standing.ts`,
  ],
  tests: [
    `${core}/approval/choose-newest.test.ts`,
    `${core}/{identify,rebuilt,standing}.test.ts`,
    `${core}/rebase/{choose,compare}.test.ts`,
  ],
  accepted: [
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
