import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { provenance } from "@goldenpath/testing/gate-evidence";
import { describe, expect, test } from "vitest";
import { planRebase } from "../base/rebase/plan.ts";
import { rebase, rebasedImage } from "../build/strategies/rebase.ts";
import { imageUri } from "../signing/verification-summary.ts";
import {
  compareImages,
  findOldDigest,
  findPair,
  findRebased,
  type LineageBase,
  type LineageChild,
  type LineageImage,
  listAncestors,
  listNamedImages,
} from "./lineage.ts";

const baseName = "org.opencontainers.image.base.name";
const repository = { registry: "r.test", name: "shop" };
const bases = { registry: "r.test", name: "bases/golden" };
const descriptor = (name: string) => ({ mediaType: mediaTypes.ociLayerTarGzip, digest: digestOf(name), size: 1 });

function part(name: string, layers: readonly string[], architecture = "amd64"): LineageChild {
  return {
    digest: digestOf(`${name} ${architecture}`),
    manifest: {
      schemaVersion: 2,
      config: descriptor("config"),
      layers: layers.map((each) => descriptor(`${each}.gz`)),
    },
    config: {
      ...{ os: "linux", architecture },
      rootfs: { type: "layers", diff_ids: layers.map((each) => digestOf(each)) },
    },
  };
}
const base = (name: string, layers: readonly string[], architecture = "amd64"): LineageBase => ({
  ...{ repository: bases, digest: digestOf(name), child: part(name, layers, architecture) },
});
const image = (name: string, children: LineageChild[], known: LineageBase[]): LineageImage => ({
  ...{ repository, digest: digestOf(name), children, bases: known, evidence: new Map() },
});
function putOn(child: LineageChild, oldBase: LineageBase, newBase: LineageBase): LineageChild {
  const names = { newName: `r.test/bases/golden@${newBase.child.digest}`, newDigest: newBase.child.digest };
  const plan = planRebase({ image: child, oldBase: oldBase.child, newBase: newBase.child, ...names });
  const digest = digestOf(`new ${child.digest}`);
  return { digest, config: plan.config, manifest: { ...child.manifest, ...plan.manifest } };
}

const [first, second] = [base("1", ["one"]), base("2", ["two"])];
const application = part("app", ["one", "app"]);
const old = image("old", [application], [first]);
const now = image("now", [putOn(application, first, second)], [second]);
const told = { now: [second], old: [first] };

describe("an image is the old one on another base", () => {
  test("where both stand on a base that is named, and is there", () => {
    expect(compareImages(now, old, told)).toEqual([]);
    const none = "of no base that the provenances name, and that is there,";
    expect(compareImages(now, old, { ...told, now: [] })).toEqual([`${none} it has the layers (linux/amd64)`]);
    expect(compareImages(now, old, { ...told, old: [] })).toEqual([
      expect.stringContaining("the image that was rebased has the"),
    ]);
    // The same digest in a repository of somebody's is another name.
    expect(compareImages(now, old, { ...told, now: [{ ...second, repository }] })).toHaveLength(1);
    expect(compareImages(now, { ...old, bases: [] }, told)).toHaveLength(1);
  });

  test("whose labels name the new base, where they named the old one", () => {
    const labelled = { ...application, config: { ...application.config, config: { Labels: { [baseName]: "old" } } } };
    const before = image("old", [labelled], [first]);
    expect(compareImages(image("now", [putOn(labelled, first, second)], [second]), before, told)).toEqual([]);
    const unchanged = putOn(labelled, first, second);
    const stale = { ...unchanged, config: { ...unchanged.config, config: labelled.config.config } };
    expect(compareImages(image("now", [stale], [second]), before, told)).not.toEqual([]);
  });

  test("by a base all of whose layers are its first", () => {
    const stranger = base("9", ["one", "x", "y"]);
    const names = { ...told, old: [first, stranger] };
    expect(compareImages(now, { ...old, bases: [first, stranger] }, names)).toEqual([]);
    expect(compareImages(now, { ...old, bases: [stranger] }, names)).toEqual([
      expect.stringContaining("the image that was rebased has the layers"),
    ]);
  });

  test("by the base of its own platform alone", () => {
    const arm = base("2", ["two"], "arm64");
    expect(compareImages({ ...now, bases: [arm] }, old, told)).toEqual([expect.stringContaining("it has the layers")]);
    expect(compareImages({ ...now, bases: [arm, second] }, old, told)).toEqual([]);
  });

  test("by the base that it has the most layers of: with the lesser one, layers of the base would pass for its own", () => {
    const lesser = base("0", ["one"]);
    const whole = base("1", ["one", "runtime"]);
    const app = part("app", ["one", "runtime", "app"]);
    const before = image("old", [app], [lesser, whole]);
    const names = { now: [second], old: [lesser, whole] };
    expect(compareImages(image("now", [putOn(app, whole, second)], [second]), before, names)).toEqual([]);
    expect(compareImages(image("now", [putOn(app, lesser, second)], [second]), before, names)).toEqual([
      expect.stringContaining("its layers are not those"),
    ]);
  });

  test("platform by platform, with no image more, none less and none of another platform", () => {
    const arm = part("app", ["one", "app"], "arm64");
    const [firstArm, secondArm] = [base("1", ["one"], "arm64"), base("2", ["two"], "arm64")];
    const both = image("old", [application, arm], [first, firstArm]);
    const onBoth = image("now", [...now.children, putOn(arm, firstArm, secondArm)], [second, secondArm]);
    expect(compareImages(onBoth, both, told)).toEqual([]);
    expect(compareImages(now, both, told)).toEqual(["it has 1 images that run, and the image that was rebased 2"]);
    expect(compareImages(onBoth, old, told)).toEqual(["it has 2 images that run, and the image that was rebased 1"]);
    const other = image("old", [application, part("app", ["one", "app"], "s390x")], [first]);
    expect(compareImages(onBoth, other, told)).toEqual(["the image that was rebased has none for linux/arm64"]);
    // One that stood on the new version already stays what it was.
    expect(compareImages({ ...onBoth, children: [...now.children, arm] }, both, told)).toEqual([]);
    expect(onBoth.children.map(({ digest }) => findOldDigest(onBoth, both, digest))).toEqual([
      application.digest,
      arm.digest,
    ]);
    expect(findOldDigest(onBoth, both, onBoth.digest)).toBe(both.digest);
    const [single] = now.children;
    expect(findOldDigest({ ...now, digest: single?.digest ?? now.digest }, both, single?.digest ?? now.digest)).toBe(
      both.digest,
    );
  });

  test("and not itself", () => {
    expect(compareImages(old, old, told)).toEqual(["it is said to be rebased from itself"]);
  });
});

test("both images have to have been looked at", () => {
  const { digest } = now;
  const lineage = new Map([now, old].map((each) => [each.digest, each]));
  expect(findPair(lineage, digest, old.digest)).toEqual({ now, old });
  const unseen = { problem: "the image that was rebased can't be looked at" };
  expect(findPair(undefined, digest, old.digest)).toEqual(unseen);
  expect(findPair(lineage, digest, undefined)).toEqual(unseen);
  expect(findPair(lineage, digest, digestOf("x"))).toEqual(unseen);
  expect(findPair(new Map([[digest, now]]), digest, old.digest)).toEqual(unseen);
  expect(findPair(new Map([[old.digest, old]]), digest, old.digest)).toEqual(unseen);
  const away = { problem: "it is away" };
  expect(
    findPair(
      new Map<Digest, LineageImage | typeof away>([
        [digest, away],
        [old.digest, old],
      ]),
      digest,
      old.digest,
    ),
  ).toEqual(unseen);
  const gone = new Map<Digest, LineageImage | { problem: string }>([
    [digest, now],
    [old.digest, { problem: "it is gone" }],
  ]);
  expect(findPair(gone, digest, old.digest)).toEqual({ problem: `${unseen.problem}: it is gone` });
});

test("what an image was rebased from is told by a provenance alone, and by one that can be read", () => {
  const [a, b] = [digestOf("a"), digestOf("b")];
  const signed = provenance("build", {
    image: { repository, digest: now.digest, children: [] },
    buildType: rebase.buildType,
    materials: [a, b].map((digest) => ({ repository, digest, name: rebasedImage })),
    bases: [],
  });
  const changed = (more: object) => ({ ...signed, statement: { ...signed.statement, ...more } });
  expect(listAncestors(signed)).toEqual([a, b].map((digest) => ({ repository, digest })));
  expect(listAncestors(changed({ predicateType: "https://cyclonedx.org/bom" }))).toEqual([]);
  expect(listAncestors(changed({ predicate: {} }))).toEqual([]);
});

test("an image is named where package URL and digest are of one image, and by the name that is asked for", () => {
  const name = (of: Repository, digest: Digest, more: object = {}) => ({
    ...{ name: "rebased-image", uri: imageUri(of, digest), digest: { sha256: digest.slice("sha256:".length) } },
    ...more,
  });
  const [a, b] = [digestOf("a"), digestOf("b")];
  const list = (...dependencies: object[]) =>
    listNamedImages({ dependencies }, "rebased-image").map(({ digest }) => digest);
  expect(list(name(repository, a), name(repository, b))).toEqual([a, b]);
  expect(findRebased({ dependencies: [name(repository, a), name(repository, b)] })).toEqual({ repository, digest: a });
  for (const more of [
    { digest: name(repository, b).digest },
    { digest: {} },
    { uri: undefined },
    { uri: "pkg:oci/x" },
    { name: "run-image" },
  ])
    expect(list(name(repository, a, more))).toEqual([]);
});
