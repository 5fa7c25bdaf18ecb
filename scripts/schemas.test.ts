import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parsePolicy } from "../packages/core/src/policy/parse.ts";
import { fakeDigest, samplePolicyText } from "../packages/testing/src/policy.ts";
import { refreshPolicyDocs, renderGeneratedFiles, root } from "./schemas.ts";

const read = (name: string): string => readFileSync(join(root, name), "utf8");

/** The published file itself, in a validator that is not ours. */
function validatorOf(name: string): (value: unknown) => boolean {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(JSON.parse(read(name)) as object);
}

test.each([...renderGeneratedFiles().keys()])("%s is what the schemas in core say", (name) => {
  expect(read(name), "run: node --conditions=goldenpath-source scripts/schemas.ts --write").toBe(
    renderGeneratedFiles().get(name),
  );
});

test("a documentation without the generated part is an error, not a pass", () => {
  expect(() => refreshPolicyDocs("# The policy\n")).toThrow("no generated part");
});

describe("schemas/policy.v1.json", () => {
  const isValid = validatorOf("schemas/policy.v1.json");

  test.each([
    ["a typo in a key", "failOn: high", "failsOn: high"],
    ["a key too many", "failOn: high", "failOn: high\n  colour: red"],
    ["another version", "version: 1", "version: 2"],
    ["an unknown severity", "failOn: high", "failOn: hihg"],
    ["a digest that is none", fakeDigest("a"), "sha256:abc"],
    ["a buildpack without digest", `@${fakeDigest("b")}`, ":1"],
    ["a day that is none", "until: 2026-12-31", "until: 2026-13-31"],
    ["an age that is none", "maxAge: 7d", "maxAge: 7"],
    ["a name with capitals", "name: acme", "name: Acme"],
    ["a missing key", "serial: 7\n", ""],
  ])("refuses %s", (_what, from, to) => {
    expect(samplePolicyText).toContain(from);
    expect(isValid(parse(samplePolicyText.replace(from, to)))).toBe(false);
  });

  test("accepts a policy that core accepts", () => {
    expect(isValid(parse(samplePolicyText))).toBe(true);
  });
});

describe("schemas/stage-result.v1.json", () => {
  const isValid = validatorOf("schemas/stage-result.v1.json");
  const result = {
    schemaVersion: "1.0",
    stage: "base",
    verdict: "pass",
    subject: {
      repository: "r.example/shop",
      digest: fakeDigest("a"),
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      children: [{ digest: fakeDigest("a"), mediaType: "application/vnd.oci.image.manifest.v1+json", verdict: "pass" }],
    },
    violations: [],
    policy: { uri: "policy.yaml", digest: fakeDigest("f"), serial: 7 },
    run: { builderId: "local" },
    tools: [],
    startedAt: "2026-05-10T12:00:00.000Z",
    finishedAt: "2026-05-10T12:00:01.000Z",
  };

  test.each([
    ["an unknown verdict", { verdict: "maybe" }],
    ["an unknown stage", { stage: "dream" }],
    ["a digest that is none", { policy: { uri: "policy.yaml", digest: "latest", serial: 7 } }],
    ["a time that is none", { startedAt: "yesterday" }],
    ["a violation without a way out", { violations: [{ rule: "r", thing: "t", problem: "p" }] }],
    ["no verdict", { verdict: undefined }],
  ])("refuses %s", (_what, change) => {
    expect(isValid(JSON.parse(JSON.stringify({ ...result, ...change })))).toBe(false);
  });

  test("accepts a result", () => {
    expect(isValid(result)).toBe(true);
  });
});

describe("docs/policy.md", () => {
  const docs = read("docs/policy.md");
  const example = /<!-- example -->\n```yaml\n([\s\S]*?)\n```/.exec(docs)?.[1] ?? "";

  test("has a complete example that is a valid policy", () => {
    const policy = parsePolicy(new TextEncoder().encode(example), "docs/policy.md");
    expect(policy.environments["production"]?.requires.map(({ stage }) => stage)).toEqual(["build", "base", "scan"]);
    expect(validatorOf("schemas/policy.v1.json")(parse(example))).toBe(true);
  });

  test("has an example in which every key is used", () => {
    const documented = [...docs.matchAll(/^\| `([A-Za-z]+)` \| /gm)].map((match) => match[1] ?? "");
    const used = new Set([...example.matchAll(/^[\s-]*([A-Za-z]+):/gm)].map((match) => match[1]));
    expect(documented.length).toBeGreaterThan(30);
    // What a team's policy and its organisation's make together says it; nobody writes it.
    used.add("layers");
    expect(documented.filter((key) => !used.has(key))).toEqual([]);
  });
});
