import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { decideGate } from "@goldenpath/testing/decide-gate";
import {
  ago,
  edited,
  environment,
  factsOf,
  finding,
  image,
  minute,
  provenance,
  repository,
} from "@goldenpath/testing/gate-evidence";
import {
  application,
  bases,
  built,
  day,
  middle,
  newBase,
  newerBase,
  old,
  oldBase,
  part,
  policyWith,
  putOn,
  rebased,
  rebaser,
  seen,
} from "@goldenpath/testing/rebases";
import { describe, expect, test } from "vitest";
import type { RebaseBuilder } from "../build/strategies/rebase.ts";
import type { PolicyPredecessor, Withdrawal } from "../policy/pointer-facts.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { foreseeRebase } from "./foresee-rebase.ts";
import type { LineageBase, LineageChild, LineageImage } from "./lineage.ts";

// What of an image that was rebased counts, by facts alone; test/attacks has the same with a registry and signatures.

interface Asked {
  builders?: readonly RebaseBuilder[];
  withdrawn?: readonly Withdrawal["thing"][];
  /** What is signed of the image itself, and of what was rebased. */
  own?: VerifiedStatement[];
  before?: VerifiedStatement[];
  now?: LineageChild;
  maxAge?: number;
  under?: Partial<LoadedPolicy>;
}
const source = { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/main" };
const unreadable = edited(provenance("build", { image: { repository, digest: old, children: [] } }), [
  "buildDefinition",
]);
const honest = putOn(image, application, oldBase, newBase);
/** The gate of an image on the new base, that was rebased from one on the old base. */
function decide({ builders = [rebaser()], withdrawn = [], own, before, now = honest, maxAge, under }: Asked = {}) {
  const statements = own ?? rebased(old, newBase, { of: image });
  const lineage = new Map([
    seen(image, [now], statements, [newBase]),
    seen(old, [application], before ?? built({ of: old }), [oldBase]),
  ]);
  return gate(statements, lineage, { ...policyWith(builders, withdrawn), ...under }, maxAge);
}
function gate(
  statements: VerifiedStatement[],
  lineage: ReadonlyMap<Digest, LineageImage | { problem: string }>,
  loaded: LoadedPolicy,
  maxAge = 7 * day,
) {
  const requires = [
    { stage: "build" as const, signers: ["build", "rebaser"], maxAge },
    { stage: "scan" as const, signers: ["scan"] },
  ];
  const { violations } = decideGate(
    factsOf(statements, { policy: loaded, environment: { ...environment, requires }, lineage }),
  );
  // Nobody has scanned it.
  return violations
    .filter(({ thing }) => !thing.startsWith("scan of"))
    .map(
      ({ rule, problem, wayOut, enforcedFrom }) =>
        `${rule}${enforcedFrom === undefined ? "" : " later"}: ${problem} (${wayOut})`,
    );
}

test("a rebase counts as the build of the image that was rebased", () => expect(decide()).toEqual([]));

test("so it does where others have signed both besides", () => {
  const besides = (all: VerifiedStatement[]) => all.map((each) => ({ ...each, signers: [...each.signers, "other"] }));
  expect(decide({ own: besides(rebased(old, newBase, { of: image })), before: besides(built({ of: old })) })).toEqual(
    [],
  );
});

test("onto a base that counts by signatures it is the base stage that asks for them", () => {
  const loaded = policyWith([rebaser()]);
  const [{ image: where } = { image: "" }] = loaded.policy.bases;
  const under = (more: object): Partial<LoadedPolicy> => ({
    policy: { ...loaded.policy, bases: [{ name: "golden", image: where, digests: [], ...more }] },
  });
  expect(decide({ under: under({ approval: { signers: ["base"] } }) })).toEqual([]);
  expect(decide({ under: under({}) }).join("\n")).toContain("which is no approved base");
});

describe("a rebase is refused", () => {
  test.each<[what: string, asked: Asked, says: string]>([
    [
      "of nobody who may attest one",
      { own: rebased(old, newBase, { of: image, by: "build" }) },
      "and 'rebaser' may attest",
    ],
    ["of what has no build that counts", { before: [] }, "does not count: the build's provenance is not there"],
    ["of what somebody else has built", { before: built({ of: old, by: "scan" }) }, "which does not speak for build"],
    [
      "of what was built too long ago",
      { before: built({ of: old, finishedOn: ago(8 * day) }) },
      "does not count: the provenance is of",
    ],
    [
      "of a build that is too old for its builder",
      { builders: [rebaser({ buildMaxAge: minute })] },
      "gate.stale: the build of the image",
    ],
    [
      "of another commit",
      {
        own: rebased(old, newBase, {
          of: image,
          source: { repository: "https://github.com/acme/shop", commit: "b".repeat(40), ref: "refs/heads/main" },
        }),
      },
      "says another source",
    ],
    ["of another event", { own: rebased(old, newBase, { of: image, event: "release" }) }, "says another source"],
    [
      "with another entry point",
      { now: { ...honest, config: { ...honest.config, config: { Entrypoint: ["/bin/sh"] } } } },
      "another 'config'",
    ],
    [
      "onto a base that it does not stand on",
      { own: rebased(old, newerBase, { of: image }) },
      "of no base that the provenances name, and that is there, it has the layers",
    ],
    [
      "onto no base of the policy",
      { own: rebased(old, { ...newBase, repository: { ...bases, name: "foreign" } }, { of: image }) },
      "which is no approved base",
    ],
    [
      "onto a version of a base that the policy does not list",
      { own: rebased(old, { ...newBase, digest: digestOf("unlisted") }, { of: image }) },
      "which is no approved base",
    ],
    [
      "that does not say of what",
      { own: rebased(old, newBase, { of: image, materials: [] }) },
      "names no rebased-image",
    ],
    [
      "of what nobody can find by its name",
      {
        own: rebased(old, newBase, { of: image }).map((each) =>
          each.statement.predicateType === predicateTypes.provenance
            ? edited(each, ["buildDefinition", "resolvedDependencies", 2, "uri"], "pkg:oci/nowhere")
            : each,
        ),
      },
      "can't be looked at",
    ],
    ["of what nobody can read", { before: [...built({ of: old }), unreadable] }, "does not count"],
    [
      "of a base that only others than the build's signers name",
      { before: [...built({ of: old, bases: [] }), ...built({ of: old, by: "scan" })] },
      "of no base that the provenances name",
    ],
    [
      "of another repository",
      { own: rebased(old, newBase, { of: image, source: { ...source, repository: "https://github.com/acme/other" } }) },
      "says another source",
    ],
    [
      "of another branch",
      { own: rebased(old, newBase, { of: image, source: { ...source, ref: "refs/heads/other" } }) },
      "says another source",
    ],
    ["of another workflow", { own: rebased(old, newBase, { of: image, callerId: "other" }) }, "says another source"],
    ["of itself", { own: rebased(image, newBase, { of: image }) }, "rebased from itself"],
    ["of what is not there", { own: rebased(middle, newBase, { of: image }) }, "can't be looked at"],
    [
      "of an image that was withdrawn",
      { withdrawn: [{ kind: "image", digest: old }] },
      "of the image that was rebased: the image was withdrawn",
    ],
  ])("%s", (_what, asked, says) => {
    expect(decide(asked).join("\n")).toContain(says);
  });

  test("and what to do is said", () => {
    expect(decide({ own: rebased(old, newBase, { of: image, event: "release" }) })).toEqual([
      expect.stringMatching(/^gate\.builder: its provenance says another source .* \(Build the image again/),
    ]);
    const own = rebased(old, newBase, { of: image }).map((each) => ({ ...each, signers: ["build", "other"] }));
    expect(decide({ own }).join("\n")).toContain("attested by 'build', 'other', and 'rebaser' may");
  });

  test("of one image of an index that was withdrawn as a whole, beside one of another", () => {
    const index = digestOf("an index");
    const before = built({ of: index, children: [old] });
    const [withdrawn, another] = [index, digestOf("another index")].map((digest) =>
      decide({ before, withdrawn: [{ kind: "image", digest }] }),
    );
    expect(withdrawn).toEqual([expect.stringContaining("of the image that was rebased: the image was withdrawn")]);
    expect(another).toEqual([]);
  });

  test("of what a withdrawn buildpack has made; not of what stood on a withdrawn base, which is why it was rebased", () => {
    const buildpack = { kind: "base", digest: digestOf("buildpack") } as const;
    expect(decide({ withdrawn: [buildpack] })).toEqual([expect.stringContaining("stands on what was withdrawn")]);
    const stands = finding(predicateTypes.base, "base", [old], {
      children: [{ digest: old, base: { digest: oldBase.digest } }],
    });
    expect(
      decide({ before: [...built({ of: old }), stands], withdrawn: [{ kind: "base", digest: oldBase.digest }] }),
    ).toEqual([]);
    expect(decide({ withdrawn: [{ kind: "base", digest: newBase.digest }] })).toEqual([
      expect.stringContaining("gate.withdrawn"),
    ]);
  });
});

describe("of several builders", () => {
  const own = rebased(old, newBase, { of: image, named: ["rebases", "others"] });
  test("those count that take the word of who attests it, though attest names both", () => {
    const others = rebaser({ name: "others", signers: ["build"] });
    expect(decide({ own, builders: [rebaser(), others] })).toEqual([]);
    expect(decide({ own, builders: [rebaser({ signers: ["build"] }), others] })).toEqual([
      expect.stringContaining("'build', 'build' may attest"),
    ]);
    // The limit is that of the signer's own one.
    expect(decide({ own, builders: [rebaser({ buildMaxAge: minute }), others] })).toEqual([
      expect.stringContaining("gate.stale"),
    ]);
  });

  /** Rebased twice: first by the builder `wide`, then by `rebases`. */
  function twice(last: RebaseBuilder, age: number) {
    const wide = rebaser({ name: "wide", most: 10, buildMaxAge: 365 * day });
    const between = putOn(middle, application, oldBase, newBase);
    const statements = rebased(middle, newerBase, { of: image });
    const first = rebased(old, newBase, { of: middle, named: ["wide"] });
    const lineage = new Map([
      seen(image, [putOn(image, between, newBase, newerBase)], statements, [newerBase]),
      seen(middle, [between], first, [newBase]),
      seen(old, [application], built({ of: old, finishedOn: ago(age) }), [oldBase]),
    ]);
    return gate(statements, lineage, policyWith([last, wide]));
  }
  test("one that takes more rebases, or older builds, gives nothing of that to a later rebase by another", () => {
    expect(twice(rebaser(), day)).toEqual([]);
    expect(twice(rebaser({ most: 1 }), day)).toEqual([
      expect.stringContaining("rebased 2 times since its build, and the policy takes 1"),
    ]);
    expect(twice(rebaser(), 8 * day)).toEqual([expect.stringContaining("gate.stale")]);
    expect(twice(rebaser({ buildMaxAge: 9 * day }), 8 * day)).toEqual([]);
  });
});

test("each image of an index is held to the build of the old one for its platform", () => {
  const [oldArm, nowArm] = [digestOf("old arm64"), digestOf("now arm64")];
  const index = digestOf("the new index");
  const arm = part(oldArm, ["layer of base", "arm"], { architecture: "arm64" });
  const onArm = (base: LineageBase): LineageBase => ({
    ...base,
    child: { ...base.child, config: { ...base.child.config, architecture: "arm64" } },
  });
  const children = [honest, putOn(nowArm, arm, onArm(oldBase), onArm(newBase))];
  const oldIndex = digestOf("the old index");
  const decideIndex = (ofArm: VerifiedStatement[]) => {
    const own = rebased(oldIndex, newBase, { of: index, children: [image, nowArm] });
    const before = seen(oldIndex, [application, arm], built({ of: oldIndex, children: [old, oldArm] }), [
      oldBase,
      onArm(oldBase),
    ]);
    const about = before[1].evidence.get(oldArm)?.statements ?? [];
    const evidence = new Map(before[1].evidence).set(oldArm, {
      statements: [...about, ...ofArm],
      lapsed: [],
      rejected: [],
    });
    const now = seen(index, children, own, [newBase, onArm(newBase)]);
    const facts = factsOf([], {
      policy: policyWith([rebaser()]),
      environment: { ...environment, requires: [{ stage: "build", signers: ["build", "rebaser"] }] },
      image: { digest: index, children: [image, nowArm] },
      lineage: new Map([now, [oldIndex, { ...before[1], evidence }]]),
    });
    return decideGate({ ...facts, evidence: now[1].evidence }).violations;
  };
  expect(decideIndex([])).toEqual([]);
  // Somebody has built the same bytes later, from where the policy takes nothing.
  const later = provenance("build", {
    image: { repository, digest: oldArm, children: [] },
    finishedOn: ago(minute),
    source: { repository: "https://github.com/eve/shop", commit: "a".repeat(40), ref: "refs/heads/main" },
  });
  const refused = decideIndex([later]);
  expect(refused.map(({ rule, thing }) => [rule, thing])).toContainEqual(["gate.source", `build of ${nowArm}`]);
  expect(refused.every(({ thing }) => thing === `build of ${nowArm}`)).toBe(true);
});

test("what of the old build refuses from a day on alone is a warning of the rebase", () => {
  const before = built({ of: old, buildEnvironment: "host" });
  const where = `registry.example/quarantine/shop@${old}`;
  expect(decide({ before })).toEqual([
    expect.stringContaining(
      `gate.build-environment: the build of the image that was rebased (${where}) does not count: `,
    ),
  ]);
  const loaded = policyWith([rebaser()]);
  const later = { ...loaded.policy, enforceFrom: { "gate.build-environment": "2026-06-01" } };
  expect(decide({ before, under: { policy: later } })).toEqual([
    expect.stringContaining(
      `gate.build-environment later: the build of the image that was rebased (${where}) has a warning: `,
    ),
  ]);
});

test("of an older policy a build counts that was made while that was in force, and not under one of the builder's own", () => {
  const before = (serial: number, name: string, time = ago(day)) =>
    built({ of: old, policy: { uri: "policy.yaml", digest: digestOf(name), serial }, finishedOn: time });
  const was = { serial: 6, digest: digestOf("six"), activatedAt: ago(30 * day), supersededAt: ago(20 * minute) };
  const under = (...predecessors: PolicyPredecessor[]) => ({
    inForce: { predecessors } as unknown as NonNullable<LoadedPolicy["inForce"]>,
  });
  expect(decide({ before: before(6, "six"), under: under(was) })).toEqual([]);
  for (const refused of [
    decide({ before: before(6, "my own six"), under: under(was) }),
    decide({ before: before(5, "six"), under: under(was) }),
    decide({ before: before(6, "six"), under: under() }),
    decide({ before: before(6, "six"), under: under({ ...was, revoked: true }) }),
    decide({ before: before(6, "six"), under: under({ ...was, supersededAt: ago(2 * day) }) }),
  ])
    expect(refused).toEqual([expect.stringContaining("gate.policy-serial: the build of the image that was rebased")]);
});

test("where no policy says what was before it, an older serial counts, and no other of its own serial or of a later one", () => {
  const { digest } = policyWith([]);
  const under = (serial: number, of: Digest) =>
    decide({ before: built({ of: old, policy: { uri: "policy.yaml", digest: of, serial } }) });
  expect(under(6, digestOf("six"))).toEqual([]);
  expect(under(7, digest)).toEqual([]);
  for (const refused of [under(7, digestOf("my own seven")), under(8, digestOf("eight"))])
    expect(refused).toEqual([expect.stringContaining("gate.policy-serial: the build of the image that was rebased")]);
});

describe("before it is rebased, an image is told by what the gate will say of it", () => {
  /** Of one that was built; or that was put on the new base already, and goes to a newer one. */
  function foresee(builders: readonly RebaseBuilder[], before = built({ of: old }), isRebase = false) {
    const build = seen(old, [application], before, [oldBase]);
    const between = putOn(middle, application, oldBase, newBase);
    const own = isRebase ? seen(middle, [between], rebased(old, newBase, { of: middle }), [newBase]) : build;
    const requires = [{ stage: "build" as const, signers: ["build", "rebaser"], maxAge: 7 * day }];
    const facts = factsOf([], {
      ...{ policy: policyWith(builders), environment: { ...environment, requires } },
      image: { digest: own[0], children: [own[0]] },
      lineage: new Map([own, build]),
    });
    return foreseeRebase({ ...facts, evidence: own[1].evidence });
  }
  const aged = built({ of: old, finishedOn: ago(8 * day) });

  test.each<[what: string, args: Parameters<typeof foresee>, says: string]>([
    ["by no builder", [[]], "the policy takes no rebases"],
    ["by nobody who speaks for build", [[rebaser({ signers: ["scan"] })]], "no signer of builder 'rebases' speaks for"],
    ["as often as the policy takes", [[rebaser({ most: 1 })], built({ of: old }), true], "rebased 2 times since its"],
    ["of too old a build", [[rebaser()], aged], "would not count in environment 'production': the provenance is of"],
    ["of a build too old for its builder", [[rebaser({ buildMaxAge: minute })], built({ of: old }), true], "ago"],
    ["of what nobody has built", [[rebaser()], []], "the build's provenance is not there"],
  ])("refused %s", (_what, args, says) => expect(foresee(...args)).toContain(says));

  test("their twins are not, nor where one of several builders takes them", () => {
    expect(foresee([rebaser()])).toBeUndefined();
    expect(foresee([rebaser({ most: 2 })], built({ of: old }), true)).toBeUndefined();
    expect(foresee([rebaser({ buildMaxAge: 9 * day })], aged)).toBeUndefined();
    expect(foresee([rebaser({ name: "once", most: 1 }), rebaser()], built({ of: old }), true)).toBeUndefined();
  });

  test("nothing is foreseen where the environment asks for no build", () => {
    const facts = factsOf([], { policy: policyWith([]), environment: { ...environment, requires: [] } });
    expect(foreseeRebase(facts)).toBeUndefined();
  });
});
