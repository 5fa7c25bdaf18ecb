import { describe, expect, it } from "vitest";
import { type BuildOptions, noOptions, requireTaken } from "./options.ts";

const taker = { name: "some", takes: ["file", "engine"] as const, engines: ["one", "two"] };
const given =
  (options: Partial<BuildOptions>, variables = {}) =>
  () =>
    requireTaken(taker, { ...noOptions, ...options }, variables);

describe("what a strategy is told and does not take", () => {
  it.each<[string, Partial<BuildOptions>, Record<string, string>]>([
    ["env", {}, { A: "1" }],
    ["target", { target: "web" }, {}],
    ["build-args", { buildArgs: { A: "1" } }, {}],
    ["secrets", { secrets: new Map([["token", { value: "s3cret-value" }]]) }, {}],
  ])("%s is refused by its name, and no value is repeated", (name, options, variables) => {
    expect(given(options, variables)).toThrow(
      `input '${name}' is given, and strategy 'some' does not take it (it takes: file, engine)`,
    );
    expect(given(options, variables)).not.toThrow("s3cret-value");
  });

  it("are several at once, and an engine that it does not have", () => {
    expect(given({ target: "web", buildArgs: { A: "1" } })).toThrow("input 'target', 'build-args' is given");
    expect(given({ engine: "three" })).toThrow(
      "input 'engine' is 'three', and strategy 'some' has the engines auto, one, two",
    );
  });

  it("is none of those that it takes", () => {
    expect(given({ file: "web.Dockerfile", engine: "two" })).not.toThrow();
    expect(given({})).not.toThrow();
  });
});
