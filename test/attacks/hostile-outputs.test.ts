import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { planCheckRun } from "@goldenpath/core/report/check/plan";
import { describeResults } from "@goldenpath/core/report/comment/part";
import { renderComment } from "@goldenpath/core/report/comment/render";
import { commentMarker } from "@goldenpath/core/report/comment/state";
import type { ListedViolation } from "@goldenpath/core/result";
import { cleanText } from "@goldenpath/foundation/text/clean";
import { annotateViolations, writeOutputs } from "@goldenpath/runner/run-action";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { hostileTexts } from "../support/hostile.ts";
import { shownResult } from "../support/shown-chains.ts";

// What a runner reads from a step: commands in its log, and outputs in a file. Each text of the corpus stays a value of
// the one command or output that it belongs to, as the runner reads them.

const unfit = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const texts = Object.entries(hostileTexts);
const violationOf = (text: string): ListedViolation => ({
  ...{ rule: text, thing: text, problem: text, wayOut: text, platform: text },
  place: { file: text, line: 3 },
});

let directory: string;
let printed: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-hostile-"));
  writeFileSync(join(directory, "output"), "");
  printed = "";
  vi.stubEnv("GITHUB_OUTPUT", join(directory, "output"));
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    printed += String(chunk);
    return true;
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

/** As the runner reads a line of a step's log: `::NAME PROPERTY=VALUE,…::MESSAGE`, or the older `##[NAME …]`. */
function readCommand(line: string): { name: string; properties: Record<string, string>; message: string } | undefined {
  const [, name = "", given = "", message = ""] = /^\s*::(\S+?)(?: (.*?))?::(.*)$/s.exec(line) ?? [];
  if (name === "") return undefined;
  const decode = (value: string): string =>
    value
      .replaceAll("%0D", "\r")
      .replaceAll("%0A", "\n")
      .replaceAll("%3A", ":")
      .replaceAll("%2C", ",")
      .replaceAll("%25", "%");
  const properties = given.split(",").map((each): [string, string] => {
    const at = each.indexOf("=");
    return [each.slice(0, at), decode(each.slice(at + 1))];
  });
  return { name, properties: Object.fromEntries(properties), message: decode(message) };
}

describe("annotations", () => {
  test("the harmless twin is one command with its title, file and line", () => {
    annotateViolations([violationOf("pwned")], core.error);
    expect(printed.trimEnd().split("\n").map(readCommand)).toMatchObject([
      { name: "error", properties: { title: "pwned", file: "pwned", line: "3" }, message: "pwned: pwned\n→ pwned" },
    ]);
  });

  test.each(texts)("%s is one command, and no other", (_name, text) => {
    annotateViolations([violationOf(text)], core.error);
    const lines = printed.split(/\r\n|[\n\v\f\r\u0085\u2028\u2029]/).filter((line) => line !== "");
    expect(lines).toHaveLength(1);
    const command = readCommand(lines[0] ?? "");
    expect(Object.keys(command?.properties ?? {}).toSorted()).toEqual(["file", "line", "title"]);
    expect(command).toMatchObject({ name: "error", properties: { line: "3" } });
    expect(command?.message).toContain("wned");
    expect(command?.message).not.toMatch(unfit);
    // After a decoded line's end a runner does not look for commands; a person's terminal shows the log as it is.
    expect(printed).not.toMatch(/^\s*##\[/m);
  });
});

/** As the runner reads the file: `NAME<<DELIMITER`, lines, `DELIMITER`. */
function readOutputs(): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = readFileSync(join(directory, "output"), "utf8").split("\n");
  for (let at = 0; at < lines.length; at++) {
    const [, name = "", delimiter = ""] = /^(.+?)<<(.+)$/.exec(lines[at] ?? "") ?? [];
    if (name === "") {
      if (lines[at] !== "") throw new Error(`a line that is no output: ${lines[at]}`);
      continue;
    }
    const end = lines.indexOf(delimiter, at + 1);
    if (end === -1 || name in outputs) throw new Error(`output ${name} has no end, or is there twice`);
    outputs[name] = lines.slice(at + 1, end).join("\n");
    at = end;
  }
  return outputs;
}

test.each(texts)("%s as an output is the value of that one output", (_name, text) => {
  const outcome = { verdict: "fail" as const, outputs: { image: text, tags: `${text}\n${text}` } };
  writeOutputs({ outputs: ["image", "tags"] }, { outcome, resultFile: "/tmp/result.json" });
  const clean = cleanText(text);
  expect(readOutputs()).toEqual({
    ...{ verdict: "fail", result: "/tmp/result.json", image: clean, tags: `${clean}\n${clean}` },
  });
});

describe("the check run", () => {
  const planOf = (text: string) => {
    const result = shownResult("scan", { violations: [violationOf(text)] });
    const part = describeResults([result], { key: text, commit: "5".repeat(40), run: { id: "1", attempt: 1 } });
    return { plan: planCheckRun([part], result.violations), comment: renderComment([part]) };
  };

  test.each(texts)("%s: its summary is the comment's text, and all else is plain", (_name, text) => {
    const { plan, comment } = planOf(text);
    expect(plan.summary).toBe(
      comment.slice(commentMarker.length + 1, comment.lastIndexOf("<!-- goldenpath-parts:1:")).replace(/\n$/, ""),
    );
    expect(plan.conclusion).toBe("failure");
    for (const each of [plan.name, plan.title, ...plan.annotations.flatMap(({ path, title }) => [path, title])])
      expect(each).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    for (const { message } of plan.annotations) expect(message).not.toMatch(unfit);
  });
});
