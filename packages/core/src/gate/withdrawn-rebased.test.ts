import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { edited, factsOf, finding, image, now, repository, signed } from "@goldenpath/testing/gate-evidence";
import {
  application,
  bases,
  built,
  middle,
  newBase,
  old,
  oldBase,
  part,
  policyWith,
  rebased,
  seen,
} from "@goldenpath/testing/rebases";
import { describe, expect, test } from "vitest";
import type { Withdrawal } from "../policy/pointer-facts.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { LineageBase } from "./lineage.ts";
import { describeWithdrawnOld, judgeWithdrawals } from "./withdrawn.ts";

// Of an image that was rebased, what it has left is no more against it, and what it has kept is as bad as ever.

const base = (digest: Digest): Withdrawal["thing"] => ({ kind: "base", digest });
/** As many refusals as there are, of an image that stood on a base and is told of by statements. */
function tell(statements: VerifiedStatement[], thing: Withdrawal["thing"], stoodOn = oldBase, known = [stoodOn]) {
  const [, before] = seen(old, [application], statements, known);
  return describeWithdrawnOld(before, [stoodOn], policyWith([], [thing])).length;
}
const theirs = "https://example.com/build/v1";
const material = (digest: Digest, name = "material") => ({ repository: bases, digest, name });
const twin = digestOf("a base of the same layers");
const unread = [edited(built({ of: old })[0] as VerifiedStatement, ["buildDefinition"])];

describe("of an image that was rebased", () => {
  test("what the base stage has found is of what was left, whatever that is and wherever it can't be read", () => {
    const found = (predicate: Record<string, unknown>) => [finding(predicateTypes.base, "base", [old], predicate)];
    const twins = { digest: old, base: { digest: oldBase.digest }, sameLayers: [{ digest: twin }] };
    expect(tell(found({ children: [twins] }), base(oldBase.digest))).toBe(0);
    expect(tell(found({ children: [twins] }), base(twin))).toBe(0);
    expect(tell(found({}), base(twin))).toBe(0);
    // Of what else nobody can read, it can't be told.
    expect(tell(unread, base(twin))).toBe(1);
    expect(tell(unread, { kind: "image", digest: twin })).toBe(0);
  });

  test("a builder is kept, and that is told by its name where the base is the same image", () => {
    const both = built({ of: old, materials: [material(oldBase.digest, "builder")] });
    expect(tell(both, base(oldBase.digest))).toBe(1);
    expect(tell(built({ of: old }), base(oldBase.digest))).toBe(0);
  });

  test("of a provenance of others its digest alone tells what was left, and no name", () => {
    const named = (name: string, digest: Digest) =>
      tell(built({ of: old, buildType: theirs, bases: [], materials: [material(digest, name)] }), base(digest));
    expect(named("material", oldBase.digest)).toBe(0);
    expect(named("material", twin)).toBe(1);
    expect(named("run-image", twin)).toBe(1);
  });

  test("the base is left by each digest that it has, and none of an image that it never stood on", () => {
    const whole: LineageBase = { ...oldBase, digest: digestOf("the index of the base") };
    const of = (digest: Digest) => built({ of: old, buildType: theirs, bases: [], materials: [material(digest)] });
    expect(tell(of(whole.digest), base(whole.digest), whole)).toBe(0);
    expect(tell(of(oldBase.digest), base(oldBase.digest), whole)).toBe(0);
    expect(tell(of(newBase.child.digest), base(newBase.child.digest), whole, [whole, newBase])).toBe(1);
  });

  test("a statement of another kind tells nothing of it by the words of a provenance", () => {
    const [told] = built({ of: old, materials: [material(twin, "buildpack")] }) as [VerifiedStatement];
    const other = signed({ ...told.statement, predicateType: predicateTypes.cyclonedx }, ["build"]);
    expect(tell([told], base(twin))).toBe(1);
    expect(tell([other], base(twin))).toBe(0);
  });

  test("what is signed of one image of an index counts", () => {
    const arm = part(digestOf("old arm64"), ["layer of base", "arm"], { architecture: "arm64" });
    const of = (digest: Digest) => {
      const [, before] = seen(old, [arm], [], [oldBase]);
      const statements = built({ of: digest, materials: [material(twin, "buildpack")] });
      const evidence = new Map([[digest, { statements, lapsed: [], rejected: [] }]]);
      return describeWithdrawnOld({ ...before, evidence }, [oldBase], policyWith([], [base(twin)]));
    };
    const refusal = expect.stringContaining("of the image that was rebased: the image stands on what was withdrawn");
    expect(of(arm.digest)).toEqual([refusal]);
    expect(of(old)).toEqual([refusal]);
    expect(of(image)).toEqual([]);
  });
});

test("an image is refused with each that it was rebased from, by what is signed of it", () => {
  const [own] = rebased(old, newBase, {
    of: image,
    materials: [middle, old].map((digest) => ({ repository, digest, name: "rebased-image" })),
  }) as [VerifiedStatement];
  const judge = (digest: Digest) =>
    judgeWithdrawals(factsOf([own], { policy: policyWith([], [{ kind: "image", digest }]), now }));
  expect(judge(middle)).toMatchObject([{ rule: "gate.withdrawn", thing: image }]);
  expect(judge(old)).toMatchObject([{ rule: "gate.withdrawn", thing: image }]);
  expect(judge(digestOf("nobody's"))).toEqual([]);
  // What it was put on is no image that it was rebased from.
  expect(judge(newBase.digest)).toEqual([]);
});
