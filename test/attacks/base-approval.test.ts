import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DecisionFacts } from "@goldenpath/core/base/approval/predicate";
import { parsePinned } from "@goldenpath/core/build/pinned";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { describeTarget, type TestImage } from "@goldenpath/testing/chain";
import { type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { ago, approved, pushVersion as pushNamed, signDecision, textLayer } from "../support/signed-bases.ts";

// Ways to stand on a base that nobody of the policy has approved, where bases count by signed approvals. Each is beside
// its twin, which is approved as it should be. A real registry, and real signatures.

let stand: LayerStand;
const keys = {} as Record<"approver" | "build" | "promote" | "stranger", StageKey>;
let counter = 0;

beforeAll(async () => {
  stand = await startLayerStand();
  for (const name of ["approver", "build", "promote", "stranger"] as const) keys[name] = await makeKey();
});
afterAll(() => stand.stop());

const layer = textLayer;

/** Each test has a repository of bases of its own. */
let name: string;
beforeEach(async () => {
  name = `bases/golden${++counter}`;
  await writePolicy();
});

async function writePolicy(rules = "", digests = ""): Promise<void> {
  const { build, promote, approver } = keys;
  const signers = { build: build.publicKeyPem, promote: promote.publicKeyPem, approver: approver.publicKeyPem };
  const base = `bases:\n  - name: golden\n    image: ${stand.server.host}/${name}\n${digests}    approval: { signers: [approver]${rules} }\n`;
  const text = samplePolicyText
    .replace(/^signers:\n[\s\S]*?(?=^bases:)/m, `signers:\n${renderSigners(signers)}`)
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, base)
    .replace("runImage: golden-run", "runImage: golden");
  await writeFile(join(stand.directory, "policy.yaml"), text);
}

const pushVersion = (text: string) => pushNamed(stand, name, text);

/** The manifest as the only image of an index, under a tag; of amd64 it is the same as alone. */
async function pushIndexOf(images: readonly TestImage[], tag: string): Promise<TestImage> {
  const children = images.map(({ image }) => ({ ...image, platform: { os: "linux", architecture: "amd64" } }));
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: children };
  const bytes = Buffer.from(JSON.stringify(index));
  const [first] = images;
  if (first === undefined) throw new TypeError("an index without images");
  const digest = await stand.client.pushManifest(first.repository, bytes, mediaTypes.ociIndex, tag);
  const image = { mediaType: mediaTypes.ociIndex, digest, size: bytes.byteLength };
  return describeTarget(first.repository, image, children);
}

const sign = (base: TestImage, decision: DecisionFacts["decision"] = approved(), by: StageKey = keys.approver) =>
  signDecision(stand, base, decision, by);

async function judge(image: string): Promise<string[]> {
  const { rules, problems, code } = await stand.enforce(image);
  return code === undefined ? rules.map((rule, at) => `${rule}: ${problems[at]}`) : [`error: ${code}`];
}

describe("a base that was approved", () => {
  test("lets pass what stands on it, by the finding's word as well", async () => {
    const { base, onIt } = await pushVersion("1");
    await sign(base);
    const { verdict, result } = await stand.enforce(onIt);
    expect(verdict).toBe("pass");
    expect(JSON.stringify(result.predicate)).toContain('"signers":["approver"]');
    // Once more, and through the list of the policy instead of tags.
    await writePolicy("", `    digests: [${base.image.digest}]\n`);
    expect(await judge(onIt)).toEqual([]);
  });
});

test.each<[what: string, says: RegExp, forge: (base: TestImage) => Promise<unknown>]>([
  ["that nobody has approved", /base\.approval: .*nobody of approver has signed/, async () => {}],
  ["by a stranger", /base\.approval: .*counts for nothing/, (base) => sign(base, approved(), keys.stranger)],
  [
    "by another signer of the policy",
    /base\.approval: .*counts for nothing/,
    (base) => sign(base, approved(), keys.build),
  ],
  [
    "that was withdrawn after it",
    /base\.approval: .*withdrawn on .*: it leaks/,
    async (base) => {
      await sign(base, approved({ decidedAt: ago(2) }));
      await sign(base, { decision: "withdrawn", decidedAt: ago(1), reason: "it leaks" });
    },
  ],
  [
    "whose end of life is over",
    /base\.expired: .*its end of life is 2020-01-01/,
    (base) => sign(base, approved({ endOfLife: "2020-01-01" })),
  ],
  ["to build in", /base\.build-image: .*build-only/, (base) => sign(base, approved({ role: "build-only" }))],
  [
    "of a role that there is not",
    /base\.approval: .*can't be read/,
    (base) => sign(base, approved({ role: "any" as "both" })),
  ],
  ["without an end of life", /base\.approval: .*can't be read/, (base) => sign(base, approved({ endOfLife: "" }))],
  ["from the future", /base\.approval: .*signed before that/, (base) => sign(base, approved({ decidedAt: ago(-1) }))],
  [
    "of another image, put beside this one",
    /base\.approval: .*(nobody of approver|counts for nothing)/,
    async (base) => {
      const other = await pushVersion("other");
      const { bundle } = await sign(other.base);
      const bytes = await stand.client.fetchBlob(base.repository, bundle);
      const { mediaType, digest, size } = base.image;
      const manifest = {
        ...{ schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: mediaTypes.sigstoreBundle },
        config: { mediaType: mediaTypes.ociEmpty, digest: digestOf("{}"), size: 2 },
        ...{ layers: [{ ...bundle, size: bytes.byteLength }], subject: { mediaType, digest, size } },
      };
      await stand.client.pushManifest(base.repository, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
    },
  ],
])("a base %s is refused, beside its twin", async (_what, says, forge) => {
  const twin = await pushVersion("twin");
  await sign(twin.base);
  const { base, onIt } = await pushVersion("forged");
  await forge(base);
  const found = await judge(onIt);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(says);
  expect(await judge(twin.onIt)).toEqual([]);
});

test("one image's approval is none of the index that it is in, and the index's is one of the image", async () => {
  const [one, other] = [await pushVersion("one"), await pushVersion("two")];
  const index = await pushIndexOf([one.base, other.base], "index");
  const { repository } = one.base;
  // Only the index has a tag that counts: the policy names it.
  await writePolicy("", `    digests: [${index.image.digest}]\n`);
  await sign(one.base);
  expect((await judge(one.onIt))[0]).toMatch(/base\.approval/);
  const half = describeTarget(repository, index.image, [one.base.image]);
  await sign(half, approved({ decidedAt: ago(1) }));
  expect((await judge(one.onIt))[0]).toMatch(/base\.approval: .*does not name/);
  const again = await pushIndexOf([other.base, one.base], "again");
  await writePolicy("", `    digests: [${again.image.digest}]\n`);
  await sign(again);
  expect([await judge(one.onIt), await judge(other.onIt)]).toEqual([[], []]);
});

test("a version that nobody approved, built on one that was, is not passed off as that", async () => {
  const { base, onIt } = await pushVersion("1");
  await sign(base);
  const next = parsePinned(await stand.push([layer(`${name} 1`), layer("backdoor")], name), "the next");
  const { bytes } = await stand.client.fetchManifest(next);
  await stand.client.pushManifest(next, bytes, mediaTypes.ociManifest, "2");
  const onNext = await stand.push([layer(`${name} 1`), layer("backdoor"), layer("app")]);
  expect((await judge(onNext))[0]).toMatch(/base\.approval/);
  expect(await judge(onIt)).toEqual([]);
});

test("a version too old, or too far behind the newest, is refused by the dates that were signed", async () => {
  const [old, young] = [await pushVersion("1"), await pushVersion("2")];
  await sign(old.base, approved({ decidedAt: ago(40) }));
  await sign(young.base, approved({ decidedAt: ago(2) }));
  const rules = async (more: string): Promise<string[]> => {
    await writePolicy(more);
    return [...(await judge(old.onIt)), ...(await judge(young.onIt))].map((each) => each.replace(/:.*/, ""));
  };
  expect(await rules("")).toEqual([]);
  expect(await rules(", maxAge: 30d")).toEqual(["base.expired"]);
  expect(await rules(", maxBehind: 30d")).toEqual(["base.behind"]);
  expect(await rules(", maxBehind: 30d, grace: 3d")).toEqual([]);
});

test("demands refuse from their own day on, and until then the stage passes with a warning that has that day", async () => {
  const { base, onIt } = await pushVersion("1");
  await sign(base, approved({ decidedAt: ago(40) }));
  const under = async (enforceFrom: string): Promise<unknown[]> => {
    await writePolicy(`, maxAge: 30d, score: { open: 1 }, enforceFrom: ${enforceFrom}`);
    const { verdict, result } = await stand.enforce(onIt);
    return [verdict, ...result.violations.map(({ rule, enforcedFrom }) => `${rule} ${enforcedFrom ?? "now"}`)];
  };
  expect(await under("2020-01-01")).toEqual(["fail", "base.approval now", "base.expired now"]);
  expect(await under("2999-01-01")).toEqual(["pass", "base.approval 2999-01-01", "base.expired 2999-01-01"]);
});

describe("how many requests it takes", () => {
  test("two for each image beyond those for the bases, however many images there are", async () => {
    const versions = [await pushVersion("1"), await pushVersion("2")];
    for (const { base } of versions) await sign(base);
    const images = await Promise.all(
      Array.from({ length: 12 }, (_each, at) =>
        stand.push([layer(`${name} ${1 + (at % 2)}`), layer(`app ${at}`)], "vetted/shop"),
      ),
    );
    const asked = async (some: readonly string[]): Promise<number> => {
      stand.server.requests.length = 0;
      const policy = join(stand.directory, "policy.yaml");
      const { out } = await runMain("base", "of", ...some, "--policy", policy, "--json");
      const { images: found } = JSON.parse(out) as { images: { standing: string }[] };
      expect(found.map(({ standing }) => standing)).not.toContain("none");
      return stand.server.requests.length;
    };
    const few = await asked(images.slice(0, 2));
    expect((await asked(images)) - few).toBe(2 * 10);
  });

  test("a repository with more versions than are looked at is an error, and no answer of a part", async () => {
    const { base, onIt } = await pushVersion("1");
    await sign(base);
    const { bytes } = await stand.client.fetchManifest({ ...base.repository, digest: base.image.digest });
    for (let at = 0; at < 100; at++)
      await stand.client.pushManifest(base.repository, bytes, mediaTypes.ociManifest, `again-${at}`);
    expect(await judge(onIt)).toEqual(["error: base-versions-too-many"]);
  });
});

test("a signature beside the bases, under a tag, is no version of one and keeps nothing from passing", async () => {
  const { base, onIt } = await pushVersion("1");
  const { referrer } = await sign(base);
  const { bytes } = await stand.client.fetchManifest({ ...base.repository, digest: referrer.digest });
  await stand.client.pushManifest(base.repository, bytes, mediaTypes.ociManifest, "signature");
  expect(await judge(onIt)).toEqual([]);
});

describe("a base of which the policy asks for proven points", () => {
  const asks = ", score: { open: 20, needless: 5 }";
  const examined = (proven: object) =>
    approved({ examined: { score: [{ platform: "linux/amd64", points: 100, proven }] } });
  const enough = { publisher: 0, updated: 0, open: 20, needless: 5 };

  test.each<[what: string, says: RegExp, decision: ReturnType<typeof approved>]>([
    ["with fewer", /has 10 proven points for open .* and the policy asks for 20/, examined({ ...enough, open: 10 })],
    [
      "with points by its own word alone",
      /does not say how many points were proven/,
      approved({ examined: { score: [{ platform: "linux/amd64", points: 100 }] } }),
    ],
    ["of which nothing is told", /does not say how many points were proven/, approved()],
  ])("%s is refused, and with as many it is not", async (_what, says, decision) => {
    await writePolicy(asks);
    const { base, onIt } = await pushVersion(`scored-${counter}`);
    await sign(base, { ...decision, decidedAt: ago(1) });
    expect(await judge(onIt)).toEqual([expect.stringMatching(says)]);
    await sign(base, examined(enough));
    expect(await judge(onIt)).toEqual([]);
  });
});
