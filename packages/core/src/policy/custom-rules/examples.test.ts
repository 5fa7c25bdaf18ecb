import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import { parseCases } from "../cases.ts";
import { judgeCase } from "../judge-cases.ts";
import { parsePolicy } from "../parse.ts";

const folder = join(import.meta.dirname, "../../../../../examples/rules");
const bytes = readFileSync(join(folder, "policy.yaml"));
const policy = parsePolicy(bytes, "policy.yaml");
const loaded = { policy, uri: "policy.yaml", digest: digestOf(bytes) };
const cases = parseCases(readFileSync(join(folder, "policy.cases.yaml"), "utf8"), "policy.cases.yaml");
const now = new Date("2026-05-10T12:00:00Z");

test.each(cases.map(({ what }) => [what.name, what] as const))("%s", (_name, what) => {
  const answers = judgeCase(what, loaded, now);
  expect(answers.map(({ problems }) => problems.map(({ problem }) => problem))).toEqual(
    answers.map(({ expected }) => expected.map(() => expect.stringMatching(/^rule '/))),
  );
  expect(answers.filter(({ holds }) => !holds)).toEqual([]);
});

test("each rule refuses one of the cases by its own message, and a case without it", () => {
  const refusedBy = (rules: typeof policy.rules): Set<string> =>
    new Set(
      cases.flatMap(({ what }) =>
        judgeCase(what, { ...loaded, policy: { ...policy, rules } }, now).flatMap(({ problems }) =>
          problems.flatMap(({ problem }) => /^rule '([^']+)'/.exec(problem)?.[1] ?? []),
        ),
      ),
    );
  expect([...refusedBy(policy.rules)].toSorted()).toEqual(policy.rules.map(({ name }) => name).toSorted());
  expect([...refusedBy([])]).toEqual([]);
});
