import { randomUUID } from "node:crypto";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { mediaTypes, parseManifest } from "@goldenpath/registry-client/oci/manifest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";

// What one build by the real BuildKit leaves for the next; each has a BuildKit of its own and the registry's cache.
const world = useDockerfileWorld("syft");

const files = () => ({
  Dockerfile: `FROM ${world.compiler} AS build
COPY package-lock.json /deps/
RUN cat /deps/package-lock.json >/deps/installed && echo "installed by a step"
COPY app.txt /deps/app.txt
FROM ${world.base}
COPY --from=build /deps /srv
CMD ["cat", "/srv/app.txt"]
`,
  "package-lock.json": "1\n",
  "app.txt": "hello\n",
});
const tell = ({ outcome: { verdict, result } }: Ended) => ({ verdict, error: result.error?.message });
const passed = { verdict: "pass", error: undefined };
const notes = ({ outcome }: Ended) => outcome.result.notes.filter((note) => note.startsWith("cache:"));
const ran = ({ log }: Ended): boolean => /^\| #\d+ \d+\.\d+ installed by a step$/m.test(log);
const kept = ({ outcome }: Ended) => outcome.outputs["cache"];
/** BuildKit writes into the image's history which layers it took from a cache: what runs is the same. */
const layers = async ({ outcome }: Ended): Promise<readonly string[]> => {
  const { children } = await fetchImageFacts(world.client, parseReference(outcome.outputs["image"] ?? ""));
  return children[0]?.manifest.layers.map(({ digest }) => digest) ?? [];
};

test("a build by BuildKit leaves its steps for the next one, which runs those whose files changed", async () => {
  const policy = await world.writePolicy({ cache: "unverified" });
  const folder = await world.writeApp(files());
  const to = { tags: `${world.host}/quarantine/cached:1` };
  const first = await world.build(policy, folder, to);
  expect(tell(first)).toEqual(passed);
  expect(ran(first)).toBe(true);
  expect(notes(first)).toEqual([
    "cache: there is none for this build yet",
    expect.stringMatching(/^cache: kept as .*quarantine\/cached@sha256:/),
  ]);

  // With another argument it is another build, all of whose steps are the same.
  const second = await world.build(policy, folder, { ...to, "build-args": "UNUSED=1" });
  expect(tell(second)).toEqual(passed);
  expect(ran(second)).toBe(false);
  expect(second.log).toMatch(/^\| #\d+ CACHED$/m);
  expect(await layers(second)).toEqual(await layers(first));
  expect(notes(second)).toContainEqual(expect.stringMatching(/of which 0\.0 MB are new$/));

  await writeFile(join(folder, "app.txt"), "changed\n");
  const third = await world.build(policy, folder, to);
  expect(tell(third)).toEqual(passed);
  expect(ran(third)).toBe(false);
  expect(await layers(third)).not.toEqual(await layers(first));
  expect(kept(third)).not.toBe(kept(first));
  const thirdAgain = await world.build(policy, folder, to);
  expect(await layers(thirdAgain)).toEqual(await layers(third));
  expect(kept(thirdAgain)).toBe(kept(third));

  await writeFile(join(folder, "package-lock.json"), "2\n");
  const fourth = await world.build(policy, folder, to);
  expect(ran(fourth)).toBe(true);
  expect(notes(fourth)[0]).toContain("other lock files");

  const without = await world.build(policy, folder, { ...to, cache: "none" });
  expect(ran(without)).toBe(true);
  expect(notes(without)).toEqual([]);
  expect(await layers(without)).toEqual(await layers(fourth));
});

test.each([
  ["is gone", { kind: "status", status: 404 }],
  ["has other bytes", { kind: "corrupt", at: 20 }],
] as const)("where what a cache names %s, the build runs without it, and its twin with it", async (_how, action) => {
  const policy = await world.writePolicy({ cache: "unverified" });
  const folder = await world.writeApp(files());
  const to = { tags: `${world.host}/quarantine/lost-${action.kind}:1` };
  const first = await world.build(policy, folder, to);
  expect(tell(first)).toEqual(passed);
  const cache = await world.client.fetchManifest(parseReference(kept(first) ?? ""));
  const parsed = parseManifest(cache.bytes, mediaTypes.ociManifest, "the cache");
  if (parsed.kind !== "image") throw new Error("the cache is no image");
  const digests = parsed.manifest.layers.map(({ digest }) => digest);
  // A step before it is taken from the cache, and its files are needed.
  await writeFile(join(folder, "app.txt"), "changed\n");
  world.server.faults = [{ method: "GET", path: `quarantine/.*/blobs/(${digests.join("|")})$`, action }];
  try {
    const second = await world.build(policy, folder, to);
    expect(tell(second)).toEqual(passed);
    expect(ran(second)).toBe(true);
    expect(notes(second)).toContainEqual(expect.stringContaining("the build goes on without"));
    world.server.faults = [];
    await writeFile(join(folder, "app.txt"), "changed again\n");
    const twin = await world.build(policy, folder, to);
    expect(tell(twin)).toEqual(passed);
    expect(ran(twin)).toBe(false);
  } finally {
    world.server.faults = [];
  }
});

const onMain = {
  ...{ event: "push", defaultBranch: "main" },
  builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
  callerId: "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main",
};

test("where caches are verified, a build takes the entry that attest got whole, and signed", async () => {
  world.facts = onMain;
  const policy = await world.writePolicy({ cache: "verified" });
  const folder = await world.writeApp(files());
  const repository = `${world.host}/quarantine/verified`;
  const build = (inputs: Record<string, string> = {}): Promise<Ended> =>
    world.build(policy, folder, { tags: `${repository}:1`, ...inputs });
  const first = await build({ push: "false" });
  expect(tell(first)).toEqual(passed);
  const { layout = "", cache = "", image = "" } = first.outcome.outputs;
  const entry = cache.slice(cache.indexOf("@") + 1);
  const blob = (of: string, digest: string): string => join(of, "cache/blobs/sha256", digest.slice("sha256:".length));
  const manifest = parseManifest(await readFile(blob(layout, entry)), mediaTypes.ociManifest, "the entry");
  const attest = async (given: { cache?: string; layout?: string } = {}): Promise<string> => {
    const key = { key: world.keys.build.file, "build-environment": "container", tags: "1" };
    const ended = await world.run(attestVerb, policy, { image, cache, layout, ...key, ...given });
    expect(tell(ended)).toEqual(passed);
    return ended.log;
  };
  const spoilt = async (change: (copy: string) => Promise<void>): Promise<string> => {
    const copy = join(world.root, `spoilt-${randomUUID()}`);
    await cp(layout, copy, { recursive: true });
    await change(copy);
    return copy;
  };

  const missing = await spoilt((copy) => rm(join(copy, "cache"), { recursive: true }));
  expect(await attest({ layout: missing })).toMatch(/is not attested: it is in no layout that was given/);
  const swapped = await spoilt((copy) => writeFile(blob(copy, entry), "{}"));
  expect(await attest({ layout: swapped })).toMatch(/is not attested: its layout has other bytes under its digest/);
  // What the image has as well is in the registry by now, and nobody reads it again.
  const pushed = await layers(first);
  const entryLayers = manifest.kind === "image" ? manifest.manifest.layers.map(({ digest }) => digest) : [];
  const layer = entryLayers.find((digest) => !pushed.includes(digest)) ?? "";
  const swappedLayer = await spoilt((copy) => writeFile(blob(copy, layer), "other"));
  expect(await attest({ layout: swappedLayer })).toMatch(/is not attested: /);
  expect(await attest({ cache: image })).toMatch(/is not attested: /);
  const before = await build({ cache: "read" });
  expect(ran(before)).toBe(true);
  expect(notes(before)).toEqual(["cache: there is none for this build yet"]);

  expect(await attest()).toContain("predicates/build-cache/v1");
  const second = await build();
  expect(ran(second)).toBe(false);
  expect(notes(second)[0]).toContain(`${entry} is used (written by protected, the same lock files, attested)`);
  expect(second.outcome.outputs["cache"]).toBe(cache);
  expect(await layers(second)).toEqual(await layers(before));
});
