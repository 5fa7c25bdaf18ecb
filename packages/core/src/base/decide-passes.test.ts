import {
  amd64,
  arm64,
  base,
  child,
  decide,
  exception,
  golden,
  id,
  labelled,
  now,
} from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import type { Exception } from "../policy/schema.ts";
import type { Approval } from "./approval/choose.ts";
import type { ApprovalState } from "./approval/judge.ts";
import type { BaseFacts, ChildBaseFacts } from "./decide.ts";
import { lifecycleLabel } from "./label.ts";

const credential = (path: string): ChildBaseFacts["leftovers"][number] => ({
  ...{ kind: "credential", layer: 2, path, what: "a token of npm", size: 9, at: { line: 1, hash: "01234567" } },
});

describe("an image that passes", () => {
  const decideBaseOf = (image: ChildBaseFacts, change: Partial<BaseFacts> = {}) => {
    const decision = decide([image], change);
    expect(decision.violations.filter((violation) => violation.exception === undefined)).toEqual([]);
    expect(decision.children[0]?.verdict).toBe("pass");
    return decision;
  };

  test.each([
    ["base.root-user", { habits: { config: { User: "root" } } }, { refuse: ["root-user" as const], mustHave: [] }],
    ["base.missing", {}, { refuse: [], mustHave: [{ label: "org.opencontainers.image.source", reason: "r" }] }],
  ] as const)(
    "with %s, which is set aside for its repository; for no other, and not by another rule's",
    (rule, own, rules) => {
      const image = child("os libc app", own as Partial<ChildBaseFacts>);
      const change = (excepted: Partial<Exception>): Partial<BaseFacts> =>
        ({ rules, exceptions: [exception(excepted)] }) as Partial<BaseFacts>;
      decideBaseOf(image, change({ rule }));
      for (const other of [{ rule, repository: "r.test/quarantine/till" }, { rule: "base.approved" as const }])
        expect(decide([image], change(other)).violations.filter((each) => each.exception === undefined)).toMatchObject([
          { rule },
        ]);
    },
  );

  test("with what an environment alone refuses: it is told, and noted, and of what nobody asks there is no word", () => {
    const has = child("os libc app", { habits: { config: { User: "root" } } });
    const told = decideBaseOf(has, { looked: ["root-user", "committed"] });
    expect(told.children[0]?.antipatterns).toEqual({
      looked: ["root-user", "committed"],
      found: [{ kind: "root-user", problem: expect.stringContaining("starts as root") }],
    });
    expect(told.notes).toEqual([expect.stringContaining("linux/amd64: it starts as root")]);
    expect(decideBaseOf(has).children[0]?.antipatterns).toEqual({ looked: [], found: [] });
    // What the stage itself refuses is told as well, and noted as that.
    const own = decide([has], { rules: { refuse: ["root-user"], mustHave: [] } });
    expect(own.children[0]).toMatchObject({ verdict: "fail", antipatterns: { looked: ["root-user"] } });
    expect(own.children[0]?.antipatterns.found).toHaveLength(1);
    expect(own.notes).toEqual([]);
  });

  test("with many of them: ten are noted, and how many more an environment may refuse", () => {
    const noted = (count: number) => {
      const leftovers = Array.from({ length: count }, (_, at) => credential(`srv/${at}`));
      return decideBaseOf(child("os libc app", { leftovers }), { looked: ["credentials"] }).notes;
    };
    expect(noted(10)).toHaveLength(10);
    expect(noted(11)).toHaveLength(11);
    expect(noted(12).at(-1)).toBe("linux/amd64: 2 more that an environment may refuse");
  });

  test("with a credential in a file, which is told with it, and which an exception for that file alone sets aside", () => {
    const image = child("os libc app", { leftovers: [credential("srv/a")] });
    const rules: BaseFacts["rules"] = { refuse: ["credentials"], mustHave: [] };
    const excepted = (file: string) => ({ rules, exceptions: [exception({ rule: "base.credential", file })] });
    expect(decideBaseOf(image, excepted("/srv/a")).children[0]?.antipatterns.found).toStrictEqual([
      { kind: "credentials", problem: expect.stringContaining("at /srv/a"), file: "/srv/a" },
    ]);
    expect(decide([image], excepted("/srv/b")).children[0]?.verdict).toBe("fail");
    const user = decide([child("os libc app")], { looked: ["root-user"] }).children[0]?.antipatterns.found;
    expect(user?.[0]).not.toHaveProperty("file");
  });

  test("on an approved base", () => {
    expect(decideBaseOf(child("os libc app more")).children[0]).toMatchObject({
      base: golden,
      matchedLayers: 2,
      totalLayers: 4,
      sameLayers: [],
    });
  });

  test("on the longest of its approved bases, wherever that is in the policy", () => {
    const small = base("small", "os");
    const rich = base("rich", "os libc extra");
    for (const approved of [
      [small, golden, rich],
      [rich, golden, small],
      [golden, rich, small],
    ]) {
      expect(decideBaseOf(child("os libc extra app"), { approved }).children[0]).toMatchObject({
        base: rich,
        matchedLayers: 3,
      });
    }
  });

  test("on a base of two names, the first in the policy, and the other is listed", () => {
    const twin = base("twin", "os libc");
    expect(decideBaseOf(child("os libc app"), { approved: [golden, twin] }).children[0]).toMatchObject({
      base: golden,
      sameLayers: [twin],
    });
    expect(decideBaseOf(child("os libc app"), { approved: [twin, golden] }).children[0]).toMatchObject({
      base: twin,
      sameLayers: [golden],
    });
  });

  test("on a base of which one of two names is over", () => {
    const over = base("over", "os libc", { until: "2026-05-09" });
    expect(decideBaseOf(child("os libc app"), { approved: [over, golden] }).children[0]).toMatchObject({
      base: golden,
      sameLayers: [over],
    });
  });

  test("on the last day of its base", () => {
    decideBaseOf(child("os libc app"), { approved: [{ ...golden, until: "2026-05-10" }] });
  });

  test("that is the base itself, with a note", () => {
    expect(decideBaseOf(child("os libc")).notes).toEqual([
      "linux/amd64: the image is base 'golden' itself, with nothing on top of it",
    ]);
    expect(decideBaseOf(child("os libc app")).notes).toEqual([]);
    // Of no layers at all none is a base's.
    expect(decide([child("")]).notes).toEqual([]);
  });

  test("with a base that counts by signed approvals, and what will be refused of that as a note", () => {
    const approval: Approval = {
      ...{ approvedAt: now, endOfLife: "2026-05-12", role: "run-only", proven: [], signers: ["platform"] },
      bundle: id("approval"),
    };
    const signed = (change: Partial<Approval>, rules: ApprovalState["rules"] = {}) => ({
      ...golden,
      approval: { rules, newer: [], found: { kind: "approved" as const, approval: { ...approval, ...change } } },
    });
    const app = child("os libc app");
    expect(decideBaseOf(app, { approved: [signed({})] }).notes).toEqual([]);
    const warned = decideBaseOf(app, { approved: [signed({}, { warnBefore: 5 * 86_400_000 })] });
    expect(warned.notes).toEqual([
      expect.stringMatching(`^linux/amd64: base 'golden' \\(r.test/golden@${golden.digest}\\): .*2026-05-12`),
    ]);
    // Refused beside it: the day after, and where nobody has approved it.
    const over = decide([app], { approved: [signed({ endOfLife: "2026-05-09" })] });
    expect(over.violations).toMatchObject([
      { rule: "base.expired", problem: expect.stringMatching(/^it stands on base 'golden' \(r\.test\/golden@sha256:/) },
    ]);
    const problem = "nobody of platform has signed an approval of it";
    const unsigned = { ...golden, approval: { rules: {}, newer: [], found: { kind: "refused" as const, problem } } };
    expect(decide([app], { approved: [unsigned] }).violations).toMatchObject([
      { rule: "base.approval", problem: expect.stringContaining(problem) },
    ]);
    // Of two names of the same layers one that holds counts, and only that is a way out.
    const twin = base("twin", "os libc");
    expect(decideBaseOf(app, { approved: [unsigned, twin] }).children[0]?.base).toEqual(twin);
    const [foreign] = decide([child("foreign")], { approved: [unsigned, twin] }).violations;
    expect(foreign?.wayOut).toContain("('twin', r.test/twin)");
  });

  test("with a label that agrees with the layers, whatever it calls the base", () => {
    const decision = decideBaseOf(child("os libc app", labelled({ topLayer: id("libc"), image: "r.test/elsewhere" })));
    expect(decision.children[0]?.claimed).toEqual({ by: lifecycleLabel, name: "r.test/elsewhere" });
  });

  test("with a variant that everybody leaves out", () => {
    decideBaseOf(child("os libc app", { platform: { ...arm64, variant: "v8" } }), {
      approved: [{ ...golden, platform: arm64 }],
    });
    decideBaseOf(child("os libc app", { platform: { os: "linux", architecture: "arm" } }), {
      approved: [{ ...golden, platform: { os: "linux", architecture: "arm", variant: "v7" } }],
    });
    decideBaseOf(child("os libc app", { platform: { ...amd64, variant: "v1" } }));
  });

  test("by an exception: the violation stays, with who answers for it", () => {
    const decision = decideBaseOf(child("foreign app"), { exceptions: [exception()] });
    expect(decision.violations).toMatchObject([
      { rule: "base.approved", exception: { owner: "team-shop", expires: "2026-05-31" } },
    ]);
    const [told] = decision.children;
    for (const none of ["base", "claimed"]) expect(told).not.toHaveProperty(none);
    expect(told).toMatchObject({ matchedLayers: 0, totalLayers: 2, sameLayers: [], upgraded: [] });
  });
});
