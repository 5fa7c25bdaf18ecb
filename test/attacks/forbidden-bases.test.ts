import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

// Whether an image on a retired base passes for one on the golden base that lies below: by what a policy forbids, and by
// what a team's policy leaves out of its organisation's.

let stand: LayerStand;
const layer = (text: string): TestLayer => gzipLayer(tarOf({ name: `srv/${text}`, content: text }));
const [os, jdk8, jdk21, app] = ["os", "jdk 8", "jdk 21", "app"].map(layer) as [
  TestLayer,
  TestLayer,
  TestLayer,
  TestLayer,
];
const images: Record<"golden" | "onGolden" | "onOld" | "onNew", string> = {
  ...{ golden: "", onGolden: "", onOld: "", onNew: "" },
};
let [old, now] = ["", ""];
beforeAll(async () => {
  stand = await startLayerStand();
  images.golden = await stand.push([os], "bases/golden");
  old = digestIn(await stand.push([os, jdk8], "bases/java"));
  now = digestIn(await stand.push([os, jdk21], "bases/java"));
  images.onGolden = await stand.push([os, app], "vetted/shop");
  images.onOld = await stand.push([os, jdk8, app], "vetted/shop");
  images.onNew = await stand.push([os, jdk21, app], "vetted/shop");
});
afterAll(() => stand.stop());

const digestIn = (image: string): string => image.split("@")[1] ?? "";
const at = (name: string): string => `"${stand.server.host}/bases/${name}"`;
const golden = (): string => `  - { name: golden, image: ${at("golden")}, digests: ["${digestIn(images.golden)}"] }\n`;
const java = (...digests: string[]): string =>
  `  - { name: java, image: ${at("java")}, digests: ${JSON.stringify(digests)} }\n`;

async function write(name: string, text: string): Promise<string> {
  const file = join(stand.directory, `${name}.yaml`);
  await writeFile(file, text);
  return file;
}
const head = (name: string): string => `version: 1\nname: ${name}\nserial: 1\n`;
async function writeTeam(organisation: string, bases: string): Promise<string> {
  await write("organisation", organisation);
  const extend = `extends: { policy: organisation.yaml, digest: "${digestOf(organisation)}" }\n`;
  return write("team", `${head("shop")}${extend}bases:\n${bases}`);
}

/** The rules that refuse it; none: it passes. */
async function judge(image: string, policy: string): Promise<string[]> {
  const { code, out, err } = await runMain(
    "enforce",
    image,
    "--policy",
    policy,
    "--result-dir",
    stand.directory,
    "--json",
  );
  if (code === 2) throw new Error(`${out}${err}`);
  const { result } = JSON.parse(out) as { result: { violations: { rule: string; problem: string }[] } };
  expect(code).toBe(result.violations.length === 0 ? 0 : 1);
  return result.violations.map(({ rule, problem }) => `${rule}: ${problem}`);
}
const refused = (name: string) => [expect.stringMatching(new RegExp(`^base\\.forbidden: it stands on '${name}' `))];

describe("a team's policy that leaves out", () => {
  beforeEach(() => {
    stand.server.requests.length = 0;
  });

  test("a retired base lets in nothing that its organisation refuses, and what it keeps passes", async () => {
    const ended = `  - { name: java, image: ${at("java")}, digests: ["${old}"], until: 2020-01-01 }\n`;
    const organisation = `${head("acme")}bases:\n${golden()}${ended}`;
    const own = await write("own", organisation);
    expect(await judge(images.onOld, own)).toEqual([expect.stringMatching(/^base\.expired: /)]);
    const team = await writeTeam(organisation, "  - name: golden\n");
    expect(await judge(images.onOld, team)).toEqual(refused("java-left-out"));
    for (const policy of [own, team]) expect(await judge(images.onGolden, policy)).toEqual([]);
  });

  test("a version refuses what stands on it, and not what stands on another", async () => {
    const organisation = `${head("acme")}bases:\n${golden()}${java(old, now)}`;
    const team = await writeTeam(organisation, `  - name: golden\n  - { name: java, digests: ["${now}"] }\n`);
    expect(await judge(images.onOld, team)).toEqual(refused("java-left-out"));
    expect(await judge(images.onNew, team)).toEqual([]);
    expect(await judge(images.onOld, await write("own", organisation))).toEqual([]);
  });

  test("what lies below refuses nothing that stands on a base which it keeps", async () => {
    const organisation = `${head("acme")}bases:\n${golden()}${java(now)}`;
    const team = await writeTeam(organisation, "  - name: java\n");
    expect(await judge(images.onGolden, team)).toEqual(refused("golden-left-out"));
    expect(await judge(images.onNew, team)).toEqual([]);
  });
});

test("a team that leaves out a builder lets in nothing that stands on it by way of an approved base", async () => {
  const builder = `{ name: own, image: ${at("golden")}, digests: ["${digestIn(images.golden)}"], runImage: java }`;
  const build = (strategies: string, builders: string): string =>
    `build:\n  strategies: [${strategies}]\n  isolation: [container]\n  sources: [{ repository: "https://github.com/acme/*" }]\n  builders:\n    - { kind: dockerfile, name: other }\n${builders}`;
  const organisation = `${head("acme")}bases:\n${java(now)}${build("dockerfile, buildpacks", `    - ${builder}\n`)}`;
  expect(await judge(images.onNew, await write("own", organisation))).toEqual([
    expect.stringMatching(/^base\.build-image: /),
  ]);
  const team = await writeTeam(organisation, `  - name: java\n${build("dockerfile", "")}`);
  expect(await judge(images.onNew, team)).toEqual(refused("own-left-out"));
  const without = await write("without", `${head("acme")}bases:\n${java(now)}${build("dockerfile", "")}`);
  expect(await judge(images.onNew, without)).toEqual([]);
});

test("a team that forbids a base from a day on lets in nothing until then", async () => {
  const organisation = `${head("acme")}bases:\n${java(now)}`;
  const own = `  - { name: own, image: ${at("golden")}, digests: ["${digestIn(images.golden)}"], enforceFrom: 2999-01-01 }\n`;
  const team = await writeTeam(organisation, `  - name: java\nforbiddenBases:\n${own}`);
  const unapproved = expect.stringMatching(/^base\.approved: /);
  const told = expect.stringMatching(/^base\.forbidden: it stands on 'own' /);
  expect(await judge(images.onGolden, await write("own", organisation))).toEqual([unapproved]);
  expect(await judge(images.onGolden, team)).toEqual([unapproved, told]);
});

describe("a forbidden base", () => {
  const forbid = (text: string): string => `forbiddenBases:\n  - { name: bad, ${text} }\n`;

  test("refuses what stands on it, by its digest or by whatever its repository's tags point at", async () => {
    const bases = `${head("acme")}bases:\n${golden()}${java(now)}`;
    const { client, server } = stand;
    const repository = { registry: server.host, name: "bases/java" };
    for (const [tag, digest] of Object.entries({ 8: old, 21: now })) {
      const { bytes, mediaType } = await client.fetchManifest({ ...repository, digest: digest as never });
      await client.pushManifest(repository, bytes, mediaType, tag);
    }
    // Of the repository all but what is approved, with its lineage as well.
    for (const what of [`digests: ["${old}"]`, "lineage: false", "lineage: true"].map(
      (each) => `image: ${at("java")}, ${each}`,
    )) {
      const policy = await write("forbids", `${bases}${forbid(what)}`);
      expect(await judge(images.onOld, policy)).toEqual(refused("bad"));
      for (const image of [images.onNew, images.onGolden]) expect(await judge(image, policy)).toEqual([]);
    }
    // Without it nobody asks what lies between.
    expect(await judge(images.onOld, await write("own", bases))).toEqual([]);
  });

  test("refuses all that was built on it, approved or not, unless its lineage is let be", async () => {
    const bases = `${head("acme")}bases:\n${java(now)}`;
    const what = `image: ${at("golden")}, digests: ["${digestIn(images.golden)}"]`;
    const all = await write("all", `${bases}${forbid(what)}`);
    for (const image of [images.onNew, images.onGolden, images.onOld])
      expect(await judge(image, all)).toEqual(refused("bad"));
    const nearest = await write("nearest", `${bases}${forbid(`${what}, lineage: false`)}`);
    expect(await judge(images.onNew, nearest)).toEqual([]);
    for (const image of [images.onGolden, images.onOld]) expect(await judge(image, nearest)).toEqual(refused("bad"));
  });

  test("that is not in its registry is an error: what nobody can look at can't be compared with", async () => {
    const gone = `image: ${at("golden")}, digests: ["${digestOf("gone")}"]`;
    const policy = await write("gone", `${head("acme")}bases:\n${golden()}${forbid(gone)}`);
    const { code, out, err } = await runMain("enforce", images.onGolden, "--policy", policy);
    expect(code).toBe(2);
    expect(`${out}${err}`).toMatch(/forbidden base 'bad' .*is not in its registry/);
  });

  test("is told by `base of` as none that may be stood on, the nearest first; before its day what lies below is", async () => {
    const of = async (more: string) => {
      const java = `  - { name: bad, image: ${at("java")}, digests: ["${old}"]${more} }\n`;
      const below = `  - { name: below, image: ${at("golden")}, digests: ["${digestIn(images.golden)}"], lineage: false }\n`;
      const bases = { nested: `  - { name: java, image: ${at("java")}, digests: ["${now}"] }\n`, plain: golden() };
      const told: unknown[] = [];
      for (const [base, forbidden] of [
        [bases.plain, java],
        [bases.nested, below + java],
      ]) {
        const policy = await write("of", `${head("acme")}bases:\n${base}forbiddenBases:\n${forbidden}`);
        const { code, out } = await runMain("base", "of", images.onOld, images.onGolden, "--policy", policy, "--json");
        const { images: found } = JSON.parse(out) as { images: { standing: string; base?: { name: string } }[] };
        told.push([code, ...found.map(({ standing, base }) => `${standing} ${base?.name}`)]);
      }
      return told;
    };
    expect(await of("")).toEqual([
      [1, "none bad", "current golden"],
      [1, "none bad", "none below"],
    ]);
    expect(await of(", enforceFrom: 2999-01-01")).toEqual([
      [0, "current golden", "current golden"],
      [1, "none below", "none below"],
    ]);
  });
});
