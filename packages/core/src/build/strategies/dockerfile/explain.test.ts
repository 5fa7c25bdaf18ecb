import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { describe, expect, it } from "vitest";
import { explainFailure, explainNoCache } from "./explain.ts";
import { renderSourcePolicy } from "./invocation.ts";
import { createRedactor } from "./redact.ts";

const explain = (text: string, exitCode = 1) =>
  explainFailure({ exitCode, lines: text.split("\n"), file: "web/Dockerfile" });

const failed = `#8 [2/3] RUN make
#8 0.101 cc main.c
#9 0.110 something else
#8 0.220 main.c:3: no such header
#8 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
------
 > [2/3] RUN make:
0.220 main.c:3: no such header
------
Dockerfile:7
--------------------
   5 |     COPY . .
   7 | >>> RUN make
--------------------
error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2`;

describe("a build that BuildKit ended", () => {
  it("is told at its line, with the output of the step that failed and of no other", () => {
    const error = explain(failed);
    expect(error).toBeInstanceOf(UserError);
    expect(error.code).toBe("dockerfile-build-failed");
    expect(error.message).toBe(
      'web/Dockerfile:7: process "/bin/sh -c make" did not complete successfully: exit code: 2\ncc main.c\nmain.c:3: no such header',
    );
    expect(error.places).toEqual([
      { file: "web/Dockerfile", line: 7, message: expect.stringContaining("exit code: 2") },
    ]);
  });

  it("for what it may not fetch is a refusal", () => {
    const text = `Dockerfile:3\n   3 | >>> ADD $URL /x\nerror: failed to solve: could not connect: source "https://a.example/x" not allowed by policy: action DENY: source denied by policy`;
    expect(explain(text)).toMatchObject({ code: "dockerfile-refused", places: [{ line: 3 }] });
  });

  it("for a file that it can't parse is the file's", () => {
    const text = "error: failed to solve: dockerfile parse error on line 4: COPY requires at least two arguments";
    expect(explain(text)).toMatchObject({ code: "dockerfile-invalid" });
  });

  it("without a word of a cause, or without BuildKit, is the machine's", () => {
    expect(explain("killed", 137)).toBeInstanceOf(InfrastructureError);
    expect(explain("error: cannot start", 125)).toMatchObject({ code: "dockerfile-engine-failed" });
  });
});

describe("secrets in what is printed", () => {
  const hide = createRedactor(["abc", "abcdef", "line one\nline two", " "]);
  it.each([
    ["x abcdef y abc", "x *** y ***"],
    ["line two", "***"],
    ["nothing of it", "nothing of it"],
  ])("%s", (line, expected) => expect(hide(line)).toBe(expected));
});

it("BuildKit may fetch what was judged and nothing else, the last rule that fits deciding", () => {
  const { rules } = renderSourcePolicy([{ url: "https://a.example/x", checksum: "sha256:1" }]) as {
    rules: { action: string }[];
  };
  expect(rules[0]).toEqual({ action: "DENY", selector: { identifier: "*" } });
  expect(rules.filter(({ action }) => action === "ALLOW")).toEqual([
    ...["local://context", "local://dockerfile", "oci-layout://*"].map((identifier) => ({
      action: "ALLOW",
      selector: { identifier },
    })),
    {
      action: "ALLOW",
      selector: {
        identifier: "https://a.example/x",
        constraints: [{ key: "http.checksum", value: "sha256:1", condition: "EQUAL" }],
      },
    },
  ]);
});

describe("why a build left no cache", () => {
  const exporting = ["#5 exporting cache to client directory", "#5 writing layer sha256:d76e done"];

  it.each([
    [
      "is what BuildKit says",
      [...exporting, "#5 ERROR: error writing layer blob: refused"],
      "error writing layer blob: refused",
    ],
    ["is not another step's failure", ["#4 ERROR: of a step", ...exporting], "BuildKit does not say why"],
    ["is not known where it says nothing", [], "BuildKit does not say why"],
  ])("%s", (_what, lines, reason) => {
    expect(explainNoCache(lines)).toBe(reason);
  });

  it("is nothing to be told where there was nothing to leave", () => {
    expect(explainNoCache([exporting[0] ?? "", "#5 skipping cache export for empty result done"])).toBeUndefined();
  });
});
