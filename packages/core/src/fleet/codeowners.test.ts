import { expect, test } from "vitest";
import { findCodeowner } from "./codeowners.ts";

const text = `# who answers for what
*                 @acme/everybody
*.js              @acme/web dev@acme.example # and a remark
/build/logs/      @ada
docs/*            @acme/writers
apps/             @bob
/scripts/         @carol @dave
/apps/github      @erin
/apps/legacy
!/x               @nobody
/notes/[a-z].md   @nobody
`;

test.each<[path: string, owner: string | undefined]>([
  ["README.md", "@acme/everybody"],
  ["src/a.js", "@acme/web dev@acme.example"],
  ["build/logs/today/x.txt", "@ada"],
  ["other/build/logs/x.txt", "@acme/everybody"],
  ["docs/start.md", "@acme/writers"],
  // A star is not for what is below.
  ["docs/build/start.md", "@acme/everybody"],
  ["some/apps/x.txt", "@bob"],
  ["scripts/x.js", "@carol @dave"],
  ["apps/github/x.js", "@erin"],
  // The last line that has it names nobody.
  ["apps/legacy/x.js", undefined],
  ["x", "@acme/everybody"],
  ["notes/a.md", "@acme/everybody"],
])("%s is %s's", (path, owner) => {
  expect(findCodeowner(text, path)).toBe(owner);
});

test("names that are none, and a file without a line, are nobody's", () => {
  expect(findCodeowner("* owner <img>", "a")).toBeUndefined();
  expect(findCodeowner("", "a")).toBeUndefined();
  expect(findCodeowner("/b @x", "a")).toBeUndefined();
});
