import { now, policy as own, repository, whole } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import type { RequiredThing } from "../images-section.ts";
import type { Exception, Policy } from "../schema.ts";
import { judgeHabitsAgain } from "./habits.ts";

const place = `${repository.registry}/${repository.name}`;
const image = `${place}@sha256:1`;
type Images = Partial<Policy["images"]>;
type Habits = Parameters<typeof judgeHabitsAgain>[0]["habits"];
const policyOf = ({ refuse = [], mustHave = [] }: Images, ...exceptions: Exception[]): Policy => ({
  ...own.policy,
  ...{ images: { refuse, mustHave }, exceptions },
});
function judge(newer: Policy, older?: Policy, habits: Habits = { config: undefined }, ownLayers?: number) {
  const seen = { habits, labels: {}, ownLayers, image, statement: whole().base.statement };
  return judgeHabitsAgain(seen, { policy: newer, older, now });
}
const secrets: Images = { refuse: ["secrets"] };
const exception: Exception = {
  ...{ rule: "base.secret", repository: place, reason: "r", owner: "o", expires: "2026-12-31" },
};

describe("what only files tell is unknown", () => {
  const unknown = (asks: string, rule: string) => [
    {
      ...{ rule, thing: image, isUnknown: true, asks: expect.any(String) },
      problem: `\`images\` asks for ${asks}, which only its files tell`,
    },
  ];
  const must = (...mustHave: RequiredThing[]) => policyOf({ mustHave });

  test("where the older policy has not asked for it, and not where it has", () => {
    expect(judge(policyOf(secrets), policyOf({}))).toEqual(unknown("no `secrets`", "base.secret"));
    expect(judge(policyOf(secrets))).toEqual(unknown("no `secrets`", "base.secret"));
    expect(judge(policyOf(secrets), policyOf(secrets))).toEqual([]);
    expect(judge(must({ file: "/etc/a" }))).toEqual(unknown("file /etc/a", "base.missing"));
    expect(judge(must({ file: "/etc/a" }), must({ file: "/etc/a" }))).toEqual([]);
  });

  test("where that has asked for another, and not for its day", () => {
    expect(judge(policyOf(secrets), policyOf({ refuse: ["credentials", "package-caches"] }))).toHaveLength(1);
    expect(judge(must({ file: "/etc/a" }), must({ file: "/etc/b" }, { package: "curl" }))).toHaveLength(1);
    expect(judge(must({ file: "/etc/a" }), policyOf(secrets))).toHaveLength(1);
    expect(judge(must({ file: "/etc/a", enforceFrom: "2026-12-31" }), must({ file: "/etc/a" }))).toEqual([]);
  });

  test("where an exception is gone that the verdict may rest on, and says so", () => {
    expect(judge(policyOf(secrets), policyOf(secrets, exception))).toMatchObject([
      {
        rule: "base.secret",
        problem:
          "`images` asks for no `secrets`, which only its files tell, and an exception of base.secret that it may have needed is gone",
      },
    ]);
    expect(judge(policyOf(secrets, exception), policyOf(secrets, exception))).toEqual([]);
  });
});

test("whether a layer was committed is unknown where nobody knows which layers are the image's own", () => {
  const committed = policyOf({ refuse: ["committed"] });
  const habits = (by: string): Habits => ({ config: {}, history: [{ created_by: by }] });
  expect(judge(committed, undefined, habits("COPY . /app"))).toMatchObject([{ isUnknown: true }]);
  expect(judge(committed, undefined, habits("COPY . /app"), 1)).toEqual([]);
  expect(judge(committed, undefined, habits("nginx -g daemon"), 1)).toMatchObject([{ rule: "base.committed" }]);
});

test("an image without a config starts as root", () => {
  const refuse = policyOf({ refuse: ["root-user"] });
  const found = judge(refuse);
  expect(found).toMatchObject([{ rule: "base.root-user", thing: image }]);
  expect(found[0]).not.toHaveProperty("isUnknown");
  expect(judge(refuse, undefined, { config: { User: "1000" } })).toEqual([]);
});
