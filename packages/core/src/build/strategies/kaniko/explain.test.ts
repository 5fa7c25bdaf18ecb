import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { describe, expect, it } from "vitest";
import { explainKaniko, readLine } from "./explain.ts";

const said = (...lines: string[]) => lines.map(readLine);
const own = (msg: string): string => JSON.stringify({ level: "info", msg, time: "t" });
const explain = (lines: ReturnType<typeof said>, content = "FROM a\nRUN one\n\n  RUN two\n") =>
  explainKaniko({ exitCode: 1, lines, file: "web/Dockerfile", content });

describe("a build that kaniko ended", () => {
  it("is told at the line of the instruction that it announced last, with that one's output", () => {
    const error = explain(
      said(
        own("RUN one"),
        "of one",
        own("RUN two"),
        own("Running: [/bin/sh]"),
        "of two",
        "error building image: exit status 3",
      ),
    );
    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toBe("web/Dockerfile:4: error building image: exit status 3\nof two");
    expect(error.places).toEqual([{ file: "web/Dockerfile", line: 4, message: "error building image: exit status 3" }]);
  });

  it("is told without a line where the file has no such line", () => {
    expect(explain(said(own("RUN three"), "error building image: x")).places).toEqual([
      { file: "web/Dockerfile", message: "error building image: x" },
    ]);
  });

  it("is the machine's where kaniko gives no cause", () => {
    expect(explain(said("killed"))).toBeInstanceOf(InfrastructureError);
  });
});

it("a step's output is no word of kaniko's unless it looks in every way like one", () => {
  expect(readLine('{"a": 1}')).toEqual({ text: '{"a": 1}', isKanikos: false });
  expect(readLine("{broken")).toEqual({ text: "{broken", isKanikos: false });
  expect(readLine(own("x"))).toEqual({ text: "x", isKanikos: true });
});
