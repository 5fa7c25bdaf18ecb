import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { verbLoaders } from "../packages/cli/src/commands/verbs.ts";
import { stageRows } from "../packages/core/src/stages.ts";
import { approveInputs } from "../packages/core/src/verbs/approve-base.ts";
import { mirrorInputs } from "../packages/core/src/verbs/mirror-data.ts";
import { rebaseInputs } from "../packages/core/src/verbs/rebase-images.ts";
import type { Verb } from "../packages/core/src/verbs/verb.ts";
import { listActions, readAction, refreshReadme } from "./docs.ts";

const root = join(import.meta.dirname, "..");
const verbs = new Map<string, Verb>();
beforeAll(async () => {
  for (const load of Object.values(verbLoaders)) {
    const verb = await load();
    verbs.set(verb.name, verb);
  }
  // All code there is, compiled as it is loaded.
}, 120_000);

test("each verb says which stage its result belongs to, and no other name does", () => {
  expect(stageRows.map(({ verb }) => verb).sort()).toEqual([...verbs.keys()].sort());
});

/** No stage of the path, and what runs of it after the job. */
const apart: Readonly<Record<string, object>> = {
  "approve-base": {},
  "cache-pull-request": { post: "dist/index.js" },
  "mirror-data": {},
  rebase: {},
};
const withVerb = listActions().filter((name) => !Object.hasOwn(apart, name));

test("each action has a verb, and each verb an action", () => {
  expect([...verbs.keys()].sort()).toEqual(withVerb);
});

test.each([
  ["approve-base", approveInputs],
  ["mirror-data", mirrorInputs],
  ["rebase", rebaseInputs],
])("%s takes what the command line does", (action, { shape }) => {
  const { inputs } = readAction(action);
  expect(Object.keys(inputs).sort()).toEqual(Object.keys(shape).sort());
  for (const [name, schema] of Object.entries(shape)) {
    const isRequired = !schema.safeParse("").success;
    expect(`${name} ${inputs[name]?.required === true}`).toBe(`${name} ${isRequired}`);
    const { default: documented } = inputs[name] ?? {};
    if (documented !== undefined) expect(schema.safeParse(documented).data).toEqual(schema.safeParse("").data);
  }
});

describe.each(Object.entries(apart))("%s, which has no verb", (name, after) => {
  test("runs the bundle on Node 24, and everything is described in its README", () => {
    const action = readAction(name);
    expect(action.runs).toEqual({ using: "node24", main: "dist/index.js", ...after });
    for (const entry of [...Object.values(action.inputs), ...Object.values(action.outputs)])
      expect(entry.description).toMatch(/\S.{15,}/);
    const readme = readFileSync(join(root, "actions", name, "README.md"), "utf8");
    expect(readme).toBe(refreshReadme(readme, action));
  });
});

describe.each(withVerb)("%s", (name) => {
  const action = readAction(name);
  const verbOf = (): Verb => verbs.get(name) as Verb;

  test("action.yml has the inputs of the schema, no more and no less", () => {
    expect(Object.keys(action.inputs).sort()).toEqual(Object.keys(verbOf().inputs.shape).sort());
  });

  test("what action.yml requires is what the schema requires", () => {
    for (const [input, schema] of Object.entries(verbOf().inputs.shape)) {
      // The runner hands in the empty string for an input that was not given.
      const takesNothing = schema.safeParse(undefined).success && schema.safeParse("").success;
      expect(`${input} ${action.inputs[input]?.required === true ? "required" : "optional"}`).toBe(
        `${input} ${takesNothing ? "optional" : "required"}`,
      );
    }
  });

  test("a default in action.yml is what the schema takes an absent input for", () => {
    for (const [input, schema] of Object.entries(verbOf().inputs.shape)) {
      const documented = action.inputs[input]?.default;
      if (documented === undefined) continue;
      const asDocumented = schema.safeParse(documented);
      expect(asDocumented.success, `${input}: ${documented}`).toBe(true);
      expect(schema.safeParse(undefined).data, input).toEqual(asDocumented.data);
    }
  });

  test("a choice or a flag of the schema has its default in action.yml", () => {
    for (const [input, schema] of Object.entries(verbOf().inputs.shape)) {
      const absent = schema.safeParse(undefined);
      if (!absent.success || (typeof absent.data !== "string" && typeof absent.data !== "boolean")) continue;
      expect(action.inputs[input]?.default, input).toBe(String(absent.data));
    }
  });

  test("action.yml has the verb's outputs, and those that all have", () => {
    expect(Object.keys(action.outputs).sort()).toEqual(["verdict", "result", ...verbOf().outputs].sort());
  });

  test("it runs the bundle on Node 24, and everything is described", () => {
    expect(action.runs).toEqual({ using: "node24", main: "dist/index.js" });
    for (const entry of [...Object.values(action.inputs), ...Object.values(action.outputs)])
      expect(entry.description).toMatch(/\S.{15,}/);
  });

  test("its README's tables are those of action.yml", () => {
    const readme = readFileSync(join(root, "actions", name, "README.md"), "utf8");
    expect(readme).toBe(refreshReadme(readme, action));
  });
});
