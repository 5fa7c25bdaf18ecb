import { expect, test } from "vitest";
import { judgeSurvivors, listSurvivors, listUntried } from "./survivors.ts";

const report = (status: string) => ({
  files: {
    "a.ts": {
      source: "const a =\n  b <\n  c;\n",
      mutants: [
        {
          mutatorName: "EqualityOperator",
          replacement: "b <= c",
          status,
          location: { start: { line: 2, column: 3 }, end: { line: 3, column: 4 } },
        },
      ],
    },
  },
});
const survivor = {
  file: "a.ts",
  line: "b <",
  mutator: "EqualityOperator",
  original: "b <\n  c",
  replacement: "b <= c",
};

test.each(["Survived", "NoCoverage", "Ignored", "Pending", "CompileError", "RuntimeError", "a status to come"])(
  "a mutant with the status %s survives",
  (status) => expect(listSurvivors(report(status))).toEqual([survivor]),
);

test.each(["Killed", "Timeout"])("one with the status %s does not", (status) =>
  expect(listSurvivors(report(status))).toEqual([]),
);

test("a file of which nothing was mutated is told", () => {
  const { files } = report("Killed");
  const none = { "b.ts": { source: "", mutants: [] } };
  expect(listUntried(["a.ts"], { files })).toEqual([]);
  expect(listUntried(["a.ts", "b.ts", "c.ts"], { files: { ...files, ...none } })).toEqual([
    "nothing of b.ts was mutated",
    "nothing of c.ts was mutated",
  ]);
});

test.each(["Timeout", "Survived", "RuntimeError"])(
  "a file is told of which less than half fails a test: %s",
  (status) => {
    const of = (...statuses: string[]) => ({
      files: { "a.ts": { source: "", mutants: statuses.flatMap((each) => report(each).files["a.ts"].mutants) } },
    });
    expect(listUntried(["a.ts"], of("Killed", status))).toEqual([]);
    expect(listUntried(["a.ts"], of("Killed", status, status))).toEqual([
      "a test fails at 1 of 3 mutants of a.ts: expected half of them or more",
    ]);
  },
);

test("a survivor that is not listed is told, and so is what is listed and survives no more, or has no reason", () => {
  expect(judgeSurvivors([survivor], [])).toEqual([expect.stringContaining("no test fails at a.ts")]);
  for (const change of [{ file: "b.ts" }, { line: "x" }, { mutator: "x" }, { original: "x" }, { replacement: "x" }]) {
    expect(judgeSurvivors([survivor], [{ ...survivor, ...change, reason: "none" }])).toHaveLength(2);
  }
  expect(judgeSurvivors([], [{ ...survivor, reason: "none" }])).toEqual([expect.stringContaining("and is none")]);
  expect(judgeSurvivors([survivor], [{ ...survivor, reason: " " }])).toEqual([
    expect.stringContaining("without a reason"),
  ]);
  expect(judgeSurvivors([survivor], [{ ...survivor, reason: "the same either way" }])).toEqual([]);
});
