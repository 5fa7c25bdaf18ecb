import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import { mostRebases, type RebaseBuilder, rebase } from "./rebase.ts";
import type { RebasedView, SignedView } from "./strategy.ts";

const repository = { registry: "r.test", name: "shop" };
const builder = (more: Partial<RebaseBuilder> = {}): RebaseBuilder => ({
  kind: "rebase",
  name: "rebases",
  signers: ["rebaser"],
  most: 2,
  ...more,
});
const source = { repository: "https://github.com/acme/shop", version: "c".repeat(40) };
const images = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ repository, digest: digestOf(`${index}`) }));
function prove(rebased: RebasedView | undefined, builders = [builder()]) {
  const signed: SignedView = {
    repository,
    digest: digestOf("new"),
    children: [],
    statements: [],
    now: new Date(),
    rebased,
  };
  return rebase.prove({ children: [], signed }, { name: "acme", builders });
}

describe("what a rebase proves", () => {
  test("nothing, where nobody says what was rebased, or something is against it", () => {
    expect(prove(undefined)).toMatchObject({
      builders: [],
      isClaimed: false,
      objections: [expect.stringContaining("no image")],
    });
    expect(prove({ images: images(1), source, objections: ["no"] })).toMatchObject({
      builders: [],
      objections: ["no"],
    });
    expect(prove({ images: images(1), objections: [] })).toMatchObject({ builders: [] });
  });

  test("nothing, where it was rebased more often than any builder takes", () => {
    const builders = [builder(), builder({ name: "few", most: 1 })];
    const against = prove({ images: images(3), source, objections: [] }, builders).objections;
    expect(against).toEqual(["it was rebased 3 times since its build, and the policy takes no more than 2"]);
    expect(prove({ images: images(2), source, objections: [] }, builders).builders).toEqual(["rebases"]);
    expect(prove({ images: images(1), source, objections: [] }, builders).builders).toEqual(["rebases", "few"]);
  });

  test("its source, and each image on the way to it", () => {
    const proof = prove({ images: images(2), source, objections: [] });
    const materials = images(2).map((image) => ({ ...image, name: "rebased-image" }));
    expect(proof).toEqual({ builders: ["rebases"], materials, isClaimed: true, source });
  });
});

describe("a provenance of a rebase", () => {
  const dependencies = [{ name: "run-image" }, { name: "rebased-image" }];
  const judge = (build: object) =>
    rebase
      .judge({ builders: ["rebases"], dependencies, ...build }, { name: "acme", builders: [builder()] })
      .map(({ problem }) => problem);

  test.each<[object, string]>([
    [{ builders: [] }, "no builder of the policy"],
    [{ builders: ["node"] }, "builder 'node'"],
    [{ dependencies: dependencies.slice(1) }, "names no run-image"],
    [{ dependencies: dependencies.slice(0, 1) }, "names no rebased-image"],
  ])("%j is refused", (build, problem) => expect(judge(build)).toEqual([expect.stringContaining(problem)]));

  test("with all that, nothing is against it here", () => expect(judge({})).toEqual([]));
});

test.each([0, mostRebases + 1, 1.5])("no policy takes %d rebases", (most) =>
  expect(rebase.builderSchema.safeParse(builder({ most })).success).toBe(false),
);
