import { describe, expect, test } from "vitest";
import { z } from "zod";
import { choice, distinctKeyValues, flag, keyValues, lines, optionalText, parseInputs, requiredText } from "./verb.ts";

const schema = z.object({
  image: requiredText(),
  tags: lines(),
  env: keyValues(),
  mode: choice(["enforce", "audit"], "enforce"),
  "dry-run": flag(false),
  key: optionalText(),
});

describe("parseInputs names the input, its value and what is allowed", () => {
  test.each([
    [{}, "input 'image' is required and was not given"],
    [{ image: "  " }, "input 'image' is required and was not given"],
    [{ image: "a", mode: "warn" }, "input 'mode' is 'warn': expected one of enforce, audit"],
    [{ image: "a", "dry-run": "yes" }, "input 'dry-run' is 'yes': expected true or false"],
    [{ image: "a", env: "A=1\nB" }, "'B' is not KEY=VALUE"],
    [{ image: "a", env: "=1" }, "'=1' is not KEY=VALUE"],
  ])("%j", (raw, message) => {
    expect(() => parseInputs(schema, raw)).toThrow(message);
    expect(() => parseInputs(schema, raw)).toThrow(
      expect.objectContaining({ name: "UserError", code: "input-invalid" }),
    );
  });

  test("a secret's value is not named", () => {
    const secret = z.object({
      key: z.string().regex(/^-/, "expected a key").meta({ secret: true }),
      keyboard: z.string().regex(/^q/, "expected a layout"),
    });
    expect(() => parseInputs(secret, { key: "hunter2hunter2", keyboard: "azerty" })).toThrow(
      "input 'key' is '***': expected a key\ninput 'keyboard' is 'azerty': expected a layout",
    );
  });
});

describe("digests by platform, each by its own job's output", () => {
  const ofJobs = z.object({ digests: distinctKeyValues() });
  const read = (amd: string, arm: string) =>
    parseInputs(ofJobs, { digests: `linux/amd64=${amd}\nlinux/arm64=${arm}\n` });

  test("an output of several lines says nothing of another platform", () => {
    for (const [amd, arm] of [
      ["a", "b\nlinux/amd64=c"],
      ["a\nlinux/arm64=c", "b"],
      ["a", "b\n linux/arm64=b"],
    ] as const)
      expect(() => read(amd, arm)).toThrow(/input 'digests' .*it has 'linux\/a\w+' twice/s);
    expect(read("a", "b").digests).toEqual({ "linux/amd64": "a", "linux/arm64": "b" });
    expect(read("a", "").digests).toEqual({ "linux/amd64": "a", "linux/arm64": "" });
  });

  test("what is no pair is told as such", () => {
    expect(() => parseInputs(ofJobs, { digests: "linux/amd64" })).toThrow("'linux/amd64' is not KEY=VALUE");
  });
});

test("text becomes values, and the object is frozen", () => {
  const parsed = parseInputs(schema, {
    image: " a ",
    tags: "1\n\n# no\n 2 \r\n",
    env: "A=1=2\nB=",
    mode: "",
    "dry-run": "True",
    key: "",
  });
  expect(parsed).toEqual({
    image: "a",
    tags: ["1", "2"],
    env: { A: "1=2", B: "" },
    mode: "enforce",
    "dry-run": true,
    key: undefined,
  });
  expect(Object.isFrozen(parsed)).toBe(true);
});
