import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { type ContextRules, judgeContext } from "./judge.ts";
import type { FileMentions, MentionUse } from "./mention.ts";

const [old, newest, foreign, oldTool, tool] = ["old", "newest", "foreign", "old tool", "tool"].map((each) =>
  digestOf(each),
) as [Digest, Digest, Digest, Digest, Digest];

const golden = { name: "golden", image: "r.test/bases/golden", digests: [old, newest] };
const maven = { image: "r.test/tools/maven", digests: [oldTool, tool] };
const whole = { image: "r.test/tools/whole", digests: [] };
const rules: ContextRules = {
  bases: [golden],
  buildImages: [maven, whole],
  now: new Date("2026-05-10T12:00:00Z"),
};
const over = { until: "2026-05-09" };
const lastDay = { until: "2026-05-10" };

function judge(name: string, use: MentionUse = "base", change: Partial<ContextRules> = {}) {
  const mentions = [{ file: "Dockerfile", line: 3, name, use }];
  return judgeContext({ mentions, unread: [] }, { ...rules, ...change }).map(({ level, problem, wayOut, fix }) =>
    [level, problem, wayOut, ...(fix === undefined ? [] : [`${fix.from} → ${fix.to}`])].join(" | "),
  );
}

const base = (version: Digest | string) => `r.test/bases/golden${version.startsWith("sha256:") ? "@" : ":"}${version}`;

describe("what an image stands on", () => {
  const newer = `r.test/bases/golden@${newest}`;
  // Each refused name stands beside one that is let through.
  test.each<[what: string, refused: string[], says: string, passes: string[]]>([
    [
      "no name",
      judge("r.test/Golden"),
      "refused | 'r.test/Golden' is no name of an image | Write HOST/NAME:TAG@sha256:…",
      judge(base(newest)),
    ],
    [
      "another image",
      judge("r.test/bases/golden2"),
      `refused | r.test/bases/golden2 is no approved base | Build on one of: ${newer} (golden).`,
      judge(base(newest)),
    ],
    [
      "what is to build with alone",
      judge(`r.test/tools/maven@${tool}`),
      `refused | r.test/tools/maven@${tool} is no approved base | Build on one of: ${newer} (golden).`,
      judge(`r.test/tools/maven@${tool}`, "build"),
    ],
    [
      "a version that is not approved",
      judge(base(foreign)),
      `refused | ${base(foreign)} is no approved version of base 'golden' | Write ${newer}. | ${base(foreign)} → ${newer}`,
      judge(base(old)),
    ],
    [
      "a version of a base that is over",
      judge(base(newest), "base", { bases: [{ ...golden, ...over }] }),
      `refused | ${newer} is base 'golden', which was approved until 2026-05-09 | Build on another base, or have its approval extended.`,
      judge(base(newest), "base", { bases: [{ ...golden, ...lastDay }] }),
    ],
    [
      "a version where none has an approval that holds",
      judge(base(newest), "base", { bases: [{ ...golden, digests: [] }] }),
      `refused | ${newer} is base 'golden', of which no version has an approval that holds | Build on another base, or have its approval extended.`,
      judge(base(newest), "base", { bases: [{ ...golden, digests: [newest] }] }),
    ],
    [
      "a version that only a base has which is over, beside another of the same repository",
      judge(base(old), "base", {
        bases: [
          { ...golden, name: "before", digests: [old], ...over },
          { ...golden, digests: [newest] },
        ],
      }),
      `refused | ${base(old)} is no approved version of base 'golden' | Write ${newer}. | ${base(old)} → ${newer}`,
      judge(base(old), "base", {
        bases: [
          { ...golden, name: "before", digests: [old] },
          { ...golden, digests: [newest] },
        ],
      }),
    ],
  ])("%s is refused", (_what, refused, says, passes) => {
    expect(refused).toEqual([says]);
    expect(passes).toEqual([]);
  });

  test("by a tag alone is a warning, with the digest to pin", () => {
    const pinned = `${base("1")}@${newest}`;
    expect(judge(base("1"))).toEqual([
      `warning | ${base("1")} is not pinned: its tag may be another image tomorrow | Write ${pinned}. | ${base("1")} → ${pinned}`,
    ]);
    expect(judge(pinned)).toEqual([]);
    expect(judge("r.test/bases/golden")).toEqual([expect.stringContaining(`→ r.test/bases/golden@${newest}`)]);
  });

  test("is approved by the versions of each base of its repository, also where the last has none that holds", () => {
    const bases = [golden, { ...golden, name: "next", digests: [] }];
    expect(judge(base(newest), "base", { bases })).toEqual([]);
    expect(judge(base("1"), "base", { bases })).toEqual([expect.stringContaining("is not pinned")]);
    expect(judge(base(foreign), "base", { bases })).toEqual([
      expect.stringContaining("is no approved version of base 'golden'"),
    ]);
  });

  test("is told the bases that there are: those that are not over and have a version", () => {
    const other = (name: string, change: Partial<ContextRules["bases"][number]>) => ({
      ...{ name, image: `r.test/bases/${name}`, digests: [old] },
      ...change,
    });
    const bases = [golden, other("late", lastDay), other("gone", over), other("empty", { digests: [] })];
    expect(judge("debian", "base", { bases })).toEqual([
      `refused | debian is no approved base | Build on one of: ${newer} (golden), r.test/bases/late@${old} (late).`,
    ]);
    expect(judge("debian", "base", { bases: [] })).toEqual([
      "refused | debian is no approved base | Build on one of: none at present.",
    ]);
  });
});

describe("what an image is built with", () => {
  const newer = `r.test/tools/maven@${tool}`;
  test("is an image of the policy, or refused with the list of those, each once", () => {
    const allowed = "r.test/bases/golden, r.test/tools/maven, r.test/tools/whole";
    expect(judge("r.test/tools/gradle", "build", { buildImages: [maven, whole, maven] })).toEqual([
      `refused | r.test/tools/gradle is no image of the policy | Use one of ${allowed}, or have it added to the policy.`,
    ]);
    expect(judge("r.test/tools/gradle", "build", { bases: [], buildImages: [] })).toEqual([
      "refused | r.test/tools/gradle is no image of the policy | Use one of none: the policy lists no image, or have it added to the policy.",
    ]);
    for (const name of [newer, `r.test/tools/maven@${oldTool}`, base(newest)]) expect(judge(name, "build")).toEqual([]);
  });

  test("is a version that the policy has", () => {
    const named = `r.test/tools/maven@${foreign}`;
    expect(judge(named, "build")).toEqual([
      `refused | ${named} is no version of it that the policy has | Write ${newer}. | ${named} → ${newer}`,
    ]);
    expect(judge("r.test/tools/maven:3", "build")).toEqual([
      `warning | r.test/tools/maven:3 is not pinned | Write r.test/tools/maven:3@${tool}. | r.test/tools/maven:3 → r.test/tools/maven:3@${tool}`,
    ]);
  });

  test("may be any version where the policy lists none, also where it lists some besides", () => {
    for (const name of ["r.test/tools/whole:1", `r.test/tools/whole@${foreign}`])
      expect(judge(name, "build")).toEqual([]);
    const listed = { ...whole, digests: [tool] };
    for (const buildImages of [
      [listed, whole],
      [whole, listed],
    ])
      expect(judge(`r.test/tools/whole@${foreign}`, "build", { buildImages })).toEqual([]);
    expect(judge(`r.test/tools/whole@${foreign}`, "build", { buildImages: [listed] })).toHaveLength(1);
  });
});

test("what runs beside an application is a warning where an image of it would be refused", () => {
  const levels = (use: MentionUse) =>
    ["r.test/Golden", "docker.io/library/redis", base(foreign), `r.test/tools/maven@${foreign}`].map(
      (name) => judge(name, use)[0]?.split(" | ")[0],
    );
  expect(levels("build")).toEqual(Array(4).fill("refused"));
  expect(levels("run")).toEqual(Array(4).fill("warning"));
  expect(judge(base(newest), "run")).toEqual([]);
});

test("what can't be resolved is refused, and a warning where it only runs beside an application", () => {
  const unread: FileMentions["unread"] = [
    { file: "Dockerfile", line: 2, message: "ARG BASE has no default", use: "base" },
    { file: "Dockerfile", line: 1, message: "it can't be read" },
    { file: "compose.yaml", line: 9, message: "a variable", use: "run" },
  ];
  const wayOut = "Write images out, or give arguments a default value.";
  const unknown = (file: string, line: number, level: string, message: string) => ({
    ...{ file, line, level, problem: `nobody can tell which image is meant: ${message}`, wayOut },
  });
  expect(judgeContext({ mentions: [], unread }, rules)).toEqual([
    unknown("Dockerfile", 1, "refused", "it can't be read"),
    unknown("Dockerfile", 2, "refused", "ARG BASE has no default"),
    unknown("compose.yaml", 9, "warning", "a variable"),
  ]);
});

test("problems come in the order of files and lines", () => {
  const at = (file: string, line: number) => ({ file, line, name: "debian", use: "base" as const });
  const unread = [{ file: "b", line: 5, message: "m" }];
  const mentions = [at("c", 1), at("b", 9), at("a", 7), at("b", 2)];
  expect(judgeContext({ mentions, unread }, rules).map(({ file, line }) => `${file} ${line}`)).toEqual([
    "a 7",
    "b 2",
    "b 5",
    "b 9",
    "c 1",
  ]);
});
