import { digestHex } from "@goldenpath/registry-client/oci/digest";
import {
  amd,
  arm,
  byCi,
  ci,
  ciType,
  commit,
  dependency,
  find,
  identity,
  imported,
  now,
  ofShop,
  redis,
  repository,
  root,
  rules,
  tell,
  view,
} from "@goldenpath/testing/origin-statements";
import { fakeDigest } from "@goldenpath/testing/policy";
import { describe, expect, test } from "vitest";
import { image as strategy } from "../build/strategies/image.ts";
import type { SignedStatement } from "../build/strategies/strategy.ts";
import { findOrigin } from "./judge-origin.ts";

describe("an import", () => {
  test("counts until the end of its last day", () => {
    expect(tell([imported()])).toBe(`vendors ${redis} ${digestHex(root)}`);
    expect(tell([imported({ until: "2026-05-01" })])).toBe(`vendors ${redis} ${digestHex(root)}`);
    expect(findOrigin(view([imported({ until: "2026-04-30" })]), rules)).toEqual({
      objections: [{ problem: `the import by 'importer', of ${redis}, held until 2026-04-30`, isOver: true }],
    });
  });

  test("that is over is no matter where a later one holds", () => {
    expect(tell([imported({ until: "2026-04-30" }), imported()])).toBe(`vendors ${redis} ${digestHex(root)}`);
  });

  test.each<[string, SignedStatement, string]>([
    ["by somebody else", imported({}, "scan"), "nothing is signed about"],
    [
      "of another image, beside which it lies",
      imported({ source: { uri: redis, digest: { sha256: digestHex(amd) } } }),
      "and this image is",
    ],
    ["from the future", imported({ importedOn: "2026-05-02T00:00:00Z" }), "in the future"],
    ["without an end", imported({ until: undefined }), "can't be understood"],
    ["until no day", imported({ until: "forever" }), "can't be understood"],
    ["without a reason", imported({ reason: "" }), "can't be understood"],
    ["with a field that is not known", imported({ approved: true }), "can't be understood"],
    [
      "of a repository that is written otherwise",
      imported({ source: { uri: "oci://redis", digest: { sha256: digestHex(root) } } }),
      "can't be understood",
    ],
    [
      "of a source with two digests",
      imported({ source: { uri: redis, digest: { sha256: digestHex(root), sha512: "a".repeat(128) } } }),
      "no digest, or several",
    ],
  ])("counts for nothing %s", (_what, statement, problem) => {
    expect(tell([statement])).toContain(problem);
  });
});

describe("an index", () => {
  test("is covered by a statement about its own digest", () => {
    expect(tell([byCi()])).toBe(ofShop("pipeline"));
  });

  test("is covered by one about each child, of the same source", () => {
    const both = [byCi({}, "pipeline", amd), byCi({}, "pipeline", arm)];
    expect(tell(both)).toBe(ofShop("pipeline"));
    expect(find(both)).toMatchObject({
      rests: both.map(({ bundle }) => ({ kind: "provenance", bundle: bundle.digest })),
    });
  });

  test.each<[string, SignedStatement[], string]>([
    [
      "a child that nothing is said about",
      [byCi({}, "pipeline", amd)],
      `nothing is signed about ${arm}, unlike others`,
    ],
    [
      "a child of another commit",
      [
        byCi({}, "pipeline", amd),
        byCi({ dependencies: [{ ...dependency, digest: { gitCommit: "e".repeat(40) } }] }, "pipeline", arm),
      ],
      "different versions",
    ],
    [
      "a child of another repository",
      [
        byCi({}, "pipeline", amd),
        byCi({ dependencies: [{ ...dependency, uri: "git+https://github.com/acme/lib" }] }, "pipeline", arm),
      ],
      "contradicts itself",
    ],
    [
      "children whose import is of another index",
      [
        imported({ source: { uri: redis, digest: { sha256: "f".repeat(64) } } }, "importer", amd),
        imported({ source: { uri: redis, digest: { sha256: "f".repeat(64) } } }, "importer", arm),
      ],
      "and this image is",
    ],
  ])("is refused with %s", (_what, statements, problem) => {
    expect(tell(statements)).toContain(problem);
  });

  test.each<[string, { buildTrigger: string } | { buildConfigUri: string }]>([
    ["event", { buildTrigger: "pull_request" }],
    ["workflow", { buildConfigUri: `${repository}/.github/workflows/pr.yml@refs/heads/main` }],
  ])("is refused with a child whose build another %s started, whichever comes first", (_what, change) => {
    const child = (digest: typeof amd, more: Partial<typeof identity> = {}) => ({
      ...byCi({}, "pipeline", digest),
      identity: { ...identity, ...more },
    });
    expect(tell([child(amd), child(arm)])).toBe(ofShop("pipeline"));
    for (const statements of [
      [child(amd), child(arm, change)],
      [child(amd, change), child(arm)],
    ])
      expect(tell(statements)).toContain("of builds that different events or workflows started");
  });

  test("without anything that runs is covered by nothing", () => {
    expect(tell([], [])).toContain("nothing is signed about");
  });
});

test("statements that count and name two repositories contradict each other", () => {
  const other = byCi({ dependencies: [{ ...dependency, uri: "git+https://github.com/acme/lib" }] });
  expect(tell([byCi(), other])).toContain("contradicts itself");
  // The same by nobody who counts changes nothing.
  expect(tell([byCi(), { ...other, signers: ["scan"] }])).toBe(ofShop("pipeline"));
});

test("of several versions of one source the newest counts", () => {
  const later = {
    dependencies: [{ ...dependency, digest: { gitCommit: "e".repeat(40) } }],
    finishedOn: "2026-04-02T00:00:00Z",
  };
  for (const order of [
    [byCi({ finishedOn: "2026-04-01T00:00:00Z" }), byCi(later)],
    [byCi(later), byCi()],
  ])
    expect(tell(order)).toBe(`pipeline ${repository} ${"e".repeat(40)}`);
});

describe("what the gate asks of a provenance of this type", () => {
  const own = {
    name: "acme",
    builders: [{ kind: "image" as const, name: "vendors", import: { signers: ["importer"] } }],
  };
  const statement = imported();
  const build = {
    builders: ["vendors"],
    dependencies: [{ name: "import", digest: { sha256: digestHex(statement.bundle.digest) } }],
    sourceRepository: redis,
    sourceCommit: digestHex(root),
    sourceRef: undefined,
    event: undefined as string | undefined,
    callerId: undefined as string | undefined,
  };
  const judge = (change: Partial<typeof build> = {}, statements = [statement], at = now) =>
    strategy
      .judge({ ...build, ...change }, own, { ...view(statements), now: at })
      .map(({ problem, rule = "gate.builder" }) => `${rule}: ${problem}`);

  test("nothing, where what it rests on is there and counts", () => {
    expect(judge()).toEqual([]);
  });

  test.each<[string, () => string[], string]>([
    [
      "that the statement is there",
      () => judge({}, []),
      "gate.builder: the statement that says where the image comes from is not there",
    ],
    [
      "that it is the one that was named",
      () => judge({}, [{ ...statement, bundle: { digest: fakeDigest("f") } }]),
      "is not there",
    ],
    ["that it names any", () => judge({ dependencies: [] }), "is not there"],
    ["that it is by who may", () => judge({}, [{ ...statement, signers: ["scan"] }]), "nothing is signed about"],
    ["that its builder is the policy's", () => judge({ builders: ["others"] }), "names builder 'others'"],
    ["that it has a builder", () => judge({ builders: [] }), "no builder of the policy"],
    [
      "that it says the same repository",
      () => judge({ sourceRepository: "oci://docker.io/library/nginx" }),
      "by what it rests on",
    ],
    ["that it says the same version", () => judge({ sourceCommit: digestHex(amd) }), "by what it rests on"],
    [
      "that it says no event that is not signed",
      () => judge({ event: "push" }),
      "its event is push, and by what it rests on",
    ],
    [
      "nor workflow",
      () => judge({ callerId: "https://github.com/acme/shop/x.yml@refs/heads/main" }),
      "its workflow is https",
    ],
    [
      "that it holds today",
      () => judge({}, [statement], new Date("2026-07-01T00:00:00Z")),
      "gate.import: the import by 'importer'",
    ],
  ])("%s", (_what, ask, expected) => {
    expect(ask().join()).toContain(expected);
  });

  test.each<[string, { event?: string | undefined; callerId?: string | undefined; sourceRef?: string }, string]>([
    ["no event", { event: undefined }, "its event is unknown, and by what it rests on pull_request"],
    ["another event", { event: "push" }, "its event is push, and by what it rests on pull_request"],
    ["no workflow", { callerId: undefined }, "its workflow is unknown, and by what it rests on https"],
    ["another ref", { sourceRef: "refs/tags/v1" }, "its ref is refs/tags/v1, and by what it rests on refs/heads/main"],
  ])("that it says %s than what is signed", (_what, change, problem) => {
    const pipeline = {
      name: "acme",
      builders: [
        {
          kind: "image" as const,
          name: "ci",
          provenance: { signers: ["pipeline"], builders: [ci], buildTypes: [ciType] },
        },
      ],
    };
    const foreign = { ...byCi(), identity: { ...identity, buildTrigger: "pull_request" } };
    const told = {
      builders: ["ci"],
      dependencies: [{ name: "provenance", digest: { sha256: digestHex(foreign.bundle.digest) } }],
      sourceRepository: repository,
      sourceCommit: commit,
      sourceRef: "refs/heads/main",
      event: "pull_request",
      callerId: identity.buildConfigUri,
    };
    const objections = (more: object) =>
      strategy.judge({ ...told, ...more }, pipeline, view([foreign])).map((each) => each.problem);
    expect(objections({})).toEqual([]);
    expect(objections(change).join()).toContain(problem);
  });

  test("to be told at all what is signed", () => {
    expect(strategy.judge(build, own)).toHaveLength(1);
  });
});
