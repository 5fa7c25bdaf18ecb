import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { factsOf, finding, image, imageLayers, other, repository } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import { predicateTypes } from "../signing/predicates.ts";
import type { StageScope } from "./facts.ts";
import { judgeFindingLayers } from "./layers.ts";

const index = digestOf("an index");
const [lower, upper] = imageLayers as [Digest, Digest];
/** Each child's own: what one has says nothing of the other. */
const layersOf = new Map([
  [image, [lower, upper]],
  [other, [lower, digestOf("the other application's layer")]],
]);
const childOf = (digest: Digest, layers: unknown = layersOf.get(digest)) => ({ digest, layers });

/** What is held against a finding about one digest of an index of two. */
function judge(digest: Digest, children: unknown, layers: ReadonlyMap<Digest, readonly Digest[]> = layersOf) {
  const facts = factsOf([], { image: { digest: index, children: [image, other], layers } });
  const evidence = { statements: [], lapsed: [], rejected: [] };
  const scope: StageScope = {
    facts,
    digest,
    stage: "base",
    requirement: { stage: "base", signers: ["base"] },
    evidence,
  };
  return judgeFindingLayers(scope, finding(predicateTypes.base, "base", [digest], { children }));
}

test.each<[what: string, about: Digest, untampered: unknown, tampered: unknown]>([
  ["of the index leaves a child out", index, [childOf(image), childOf(other)], [childOf(image)]],
  ["of the index leaves another child out", index, [childOf(image), childOf(other)], [childOf(other)]],
  ["of the index leaves all out", index, [childOf(image), childOf(other)], []],
  ["of a child names its sibling alone", image, [childOf(image)], [childOf(other)]],
  ["of a child names none", other, [childOf(other)], []],
  [
    "has one of two layers right",
    image,
    [childOf(image)],
    [childOf(image, [lower, digestOf("the other application's layer")])],
  ],
  ["has the layers as one text, as long as the list", image, [childOf(image)], [childOf(image, "ab")]],
  ["is of another shape somewhere else", image, [childOf(image)], [childOf(image), { digest: 7, layers: [] }]],
])("a finding that %s is refused, and its twin is not", (_what, about, untampered, tampered) => {
  expect(judge(about, untampered)).toEqual([]);
  expect(judge(about, tampered).map(({ rule }) => rule)).toEqual(["gate.layers"]);
});

test("an image without layers has none, and a finding has to say so", () => {
  const none = new Map([[image, []]]);
  expect(judge(image, [childOf(image, [])], none)).toEqual([]);
  expect(judge(image, [childOf(image, [lower])], none)).toHaveLength(1);
  expect(judge(image, [{ digest: image }], none)).toHaveLength(1);
});

test("a child whose layers nobody has told is refused, whatever the finding names", () => {
  const some = new Map([[image, [lower, upper]]]);
  expect(judge(index, [childOf(image), childOf(other)])).toEqual([]);
  expect(judge(index, [childOf(image), childOf(other)], some).map(({ rule }) => rule)).toEqual(["gate.layers"]);
});

test("the refusal says of which child, and what to run again", () => {
  const [{ problem, wayOut } = { problem: "", wayOut: "" }] = judge(index, [childOf(image)]);
  expect(problem).toMatch(/^what base found does not name exactly the layers that sha256:\w+ has, so not all /);
  expect(problem).toContain(other);
  expect(wayOut).toContain(`on ${formatRepository(repository)}@${index}`);
});
