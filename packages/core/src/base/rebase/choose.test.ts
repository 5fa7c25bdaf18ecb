import type { ImageConfig } from "@goldenpath/registry-client/oci/manifest";
import { amd64, arm64, base, id, ids, now } from "@goldenpath/testing/base-facts";
import { describe, expect, test } from "vitest";
import type { PolicyPointer, WithdrawnThing } from "../../policy/pointer-facts.ts";
import type { ApprovedBase } from "../identify.ts";
import { chooseBases } from "./choose.ts";

const child = (layers: string, platform = amd64): { config: ImageConfig } => ({
  config: { ...platform, rootfs: { type: "layers", diff_ids: ids(layers) } },
});
const version = (word: string, layers: string, change: Partial<ApprovedBase> = {}): ApprovedBase =>
  base("golden", layers, { digest: id(word), child: id(`${word} child`), ...change });
const [one, two, three] = [version("one", "os a"), version("two", "os b"), version("three", "os c")];

const withdrawn = (...things: WithdrawnThing[]): { inForce: PolicyPointer } => ({
  inForce: {
    ...{ repositories: [], name: "acme", serial: 1, digest: id("policy"), source: "", artifact: id("artifact") },
    ...{ activatedAt: now, predecessors: [] },
    withdrawals: things.map((thing) => ({ thing, reason: "", owner: "", at: now })),
  },
});
const choose = (
  approved: readonly ApprovedBase[],
  more: { onto?: ApprovedBase["digest"]; policy?: ReturnType<typeof withdrawn>; image?: { config: ImageConfig } } = {},
) => {
  const { onto, policy = {}, image = child("os a app") } = more;
  return chooseBases(image, approved, policy, { now, ...(onto === undefined ? {} : { onto }) });
};
const refused = (problem: string) => ({
  refused: { problem: expect.stringMatching(problem), wayOut: expect.stringMatching(/goldenpath base (?:of|approve)/) },
});

test("a version that is forbidden is left for one of its repository, and none is put on it", () => {
  const { name: _name, ...own } = one;
  const forbidden = { lineage: false, waits: false };
  const bad: ApprovedBase = { ...own, name: "bad", forbidden };
  expect(choose([two, bad])).toEqual({ old: bad, next: two });
  // Before its day as well, whatever lies below.
  const waiting = { ...bad, forbidden: { ...forbidden, waits: true } };
  expect(choose([base("below", "os"), two, waiting])).toEqual({ old: bad, next: two });
  expect(choose([two, { ...bad, image: "r.test/other" }])).toMatchObject({ refused: {} });
  expect(choose([one, { ...two, forbidden }])).toEqual({ old: one, next: one });
});

test("none is put on a version that stands on what is forbidden, and it is on one that is let be", () => {
  const below = (more: object) => base("bad", "os b", { forbidden: { lineage: true, waits: false, ...more } });
  const next = version("next", "os b more");
  expect(choose([one, next, below({})])).toEqual({ old: one, next: one });
  for (const more of [{ lineage: false }, { waits: true }])
    expect(choose([one, next, below(more)])).toEqual({ old: one, next });
});

describe("refused", () => {
  test("what stands on no base, or on that of another platform", () => {
    expect(choose([one, two], { image: child("x app") })).toEqual(refused("no base of the policy"));
    expect(choose([one, two], { image: child("os a app", arm64) })).toEqual(refused("no base of the policy"));
  });

  test("what stands on the layers of two bases: nobody says which is meant", () => {
    const other = base("other", "os a");
    expect(choose([one, other, two])).toEqual(refused("more than one base: 'golden' and 'other'"));
    expect(choose([one, version("again", "os a"), two])).toEqual({ old: one, next: two });
  });

  test("a version that is over, or withdrawn as a base or an image, by its own digest or its platform's", () => {
    const over = version("two", "os b", { until: "2026-05-09" });
    const none = refused("^no version of base 'golden' for linux/amd64");
    expect(choose([{ ...one, until: "2026-05-09" }, over])).toEqual(none);
    for (const kind of ["base", "image"] as const) {
      for (const digest of [two.digest, two.child]) {
        const policy = withdrawn({ kind, digest });
        expect(choose([one, two], { policy })).toEqual({ old: one, next: one });
        expect(choose([one, two], { policy, onto: two.digest })).toEqual(refused(`${two.digest} is no version`));
      }
    }
    expect(choose([one, two], { policy: withdrawn({ kind: "base", digest: id("x") }) })).toEqual({
      old: one,
      next: two,
    });
    expect(choose([one, two], { policy: withdrawn({ kind: "signer", name: "a", from: now }) })).toEqual({
      ...{ old: one, next: two },
    });
  });

  test("what is asked for and is of another base, image or platform", () => {
    const strangers = [
      base("other", "os b", { digest: id("two") }),
      base("other", "os b", { digest: id("two"), image: one.image }),
      version("two", "os b", { image: "r.test/copy" }),
      version("two", "os b", { platform: arm64 }),
    ];
    for (const stranger of strangers) {
      expect(choose([one, stranger], { onto: id("two") })).toEqual(refused("is no version of base 'golden'"));
      expect(choose([one, stranger])).toEqual({ old: one, next: one });
    }
  });
});

test("the newest that counts is chosen, or the one that is asked for, by its digest or its platform's", () => {
  expect(choose([one, two, three])).toEqual({ old: one, next: three });
  expect(choose([one, two, { ...three, until: "2026-05-10" }])).toMatchObject({ next: { digest: three.digest } });
  expect(choose([one, two, three], { onto: two.digest })).toEqual({ old: one, next: two });
  expect(choose([one, two, three], { onto: two.child })).toEqual({ old: one, next: two });
});
