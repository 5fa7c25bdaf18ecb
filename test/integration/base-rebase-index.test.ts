import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type ImageIndex, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

/** `goldenpath base rebase` of an index, each image of it on the base's image of its platform. */

const baseName = "org.opencontainers.image.base.name";
const baseDigest = "org.opencontainers.image.base.digest";
const architectures = ["amd64", "arm64"] as const;
type Architecture = (typeof architectures)[number];

let stand: LayerStand;
beforeAll(async () => {
  stand = await startLayerStand();
});
afterAll(() => stand.stop());

const layerOf = (version: string, architecture: string): TestLayer =>
  gzipLayer(
    tarOf(
      { name: "etc/os-release", content: 'ID=debian\nVERSION_ID="12"\n' },
      { name: "usr/lib/version", content: version },
      {
        name: "var/lib/dpkg/status",
        content: `Package: libc6\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: 2.36-${version}\n`,
      },
    ),
  );
const app = gzipLayer(tarOf({ name: "srv/app", content: "app" }));

const pushOne = (layers: readonly TestLayer[], name: string, architecture: string): Promise<string> =>
  stand.push(layers, name, { architecture, config: { Entrypoint: ["/srv/app"] } } as object);

async function describe(image: string, more: Partial<Descriptor> = {}): Promise<Descriptor> {
  const { mediaType, bytes, digest } = await stand.client.fetchManifest(parseReference(image));
  return { mediaType, digest, size: bytes.byteLength, ...more };
}

async function pushIndex(name: string, index: Partial<ImageIndex>): Promise<string> {
  const repository = parseRepository(`${stand.server.host}/${name}`);
  const whole = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, ...index };
  const bytes = Buffer.from(JSON.stringify(whole));
  return `${stand.server.host}/${name}@${await stand.client.pushManifest(repository, bytes, mediaTypes.ociIndex)}`;
}

/** A version of the base, for each platform. */
async function pushBase(version: string, of: readonly Architecture[] = architectures) {
  const children = await Promise.all(of.map((each) => pushOne([layerOf(version, each)], "bases/run", each)));
  const manifests = await Promise.all(
    children.map((child, index) => describe(child, { platform: { os: "linux", architecture: of[index] ?? "" } })),
  );
  return { index: await pushIndex("bases/run", { manifests }), children };
}

const annotations = { [baseName]: "registry.test/forged", "org.acme.team": "shop" };
const attestation = { os: "unknown", architecture: "unknown" };

/** An index of applications on these versions of the base, with what BuildKit puts beside them. */
async function pushApps(versions: Record<Architecture, string>): Promise<string> {
  const manifests: Descriptor[] = [];
  for (const architecture of architectures) {
    const layers = [layerOf(versions[architecture], architecture), app];
    const image = await pushOne(layers, "quarantine/shop", architecture);
    const platform = { os: "linux", architecture, ...(architecture === "arm64" ? { variant: "v8" } : {}) };
    manifests.push(await describe(image, { platform, annotations, data: Buffer.from("{}").toString("base64") }));
  }
  const statement = { ...gzipLayer(Buffer.from("{}")), mediaType: "application/vnd.in-toto+json" };
  const beside = await stand.push([statement], "quarantine/shop");
  manifests.push(
    await describe(beside, {
      platform: attestation,
      annotations: { "vnd.docker.reference.digest": manifests[0]?.digest ?? "" },
    }),
  );
  return pushIndex("quarantine/shop", { manifests, annotations: { ...annotations, [baseDigest]: "sha256:0" } });
}

let policies = 0;
async function rebase(image: string, bases: readonly string[], ...more: string[]) {
  const path = join(stand.directory, `index-${++policies}.yaml`);
  const digests = JSON.stringify(bases.map((each) => each.split("@")[1]));
  const base = `{ name: run, image: "${stand.server.host}/bases/run", digests: ${digests} }`;
  await writeFile(path, `version: 1\nname: acme\nserial: 1\nbases:\n  - ${base}\n`);
  const to = `${stand.server.host}/quarantine/rebased:1`;
  const { code, out } = await runMain("base", "rebase", image, "--to", to, "--policy", path, "--json", ...more);
  const { refused, ...told } = JSON.parse(out) as {
    image?: string;
    refused: { problem: string }[];
    remarks: string[];
  };
  return { code, ...told, problems: refused.map(({ problem }) => problem) };
}

const indexOf = async (image: string): Promise<ImageIndex> => {
  const root = await stand.client.fetchManifest(parseReference(image));
  if (root.kind !== "index") throw new Error(`${image} is no index`);
  return root.manifest;
};
const pushed = async (): Promise<string[]> => Object.keys((await stand.server.snapshot())["quarantine/rebased"] ?? {});

test("an image of it on no base of the policy, or without one for its platform, refuses all of it", async () => {
  const [old, next] = [await pushBase("1"), await pushBase("2")];
  const before = await pushed();
  const foreign = await rebase(await pushApps({ amd64: "1", arm64: "7" }), [old.index, next.index]);
  expect(foreign).toMatchObject({
    code: 1,
    problems: ["linux/arm64/v8: its first layers are those of no base of the policy"],
  });
  const half = await pushBase("3", ["amd64"]);
  const image = await pushApps({ amd64: "1", arm64: "1" });
  const onto = ["--onto", half.index.split("@")[1] ?? ""];
  const without = await rebase(image, [old.index, half.index], ...onto);
  expect(without).toMatchObject({ code: 1, problems: [expect.stringMatching(/^linux\/arm64\/v8: .* is no version/)] });
  const older = await pushIndex("bases/run", {
    manifests: await Promise.all([
      describe(next.children[0] ?? "", { platform: { os: "linux", architecture: "amd64" } }),
      describe(await pushOne([layerOf("0", "arm64")], "bases/run", "arm64"), {
        platform: { os: "linux", architecture: "arm64" },
      }),
    ]),
  });
  const broken = await rebase(image, [old.index, older]);
  expect(broken).toMatchObject({ code: 1, problems: [expect.stringMatching(/^linux\/arm64\/v8: .*not newer/)] });
  expect(await pushed()).toEqual(before);
  expect(await rebase(image, [old.index, next.index], "--dry-run")).toMatchObject({ code: 0, problems: [] });
});

test("each image of it is put on the base of its platform, and the same again is the same digest", async () => {
  const [old, next] = [await pushBase("1"), await pushBase("2")];
  const image = await pushApps({ amd64: "1", arm64: "1" });
  const { code, image: result = "", remarks } = await rebase(image, [old.index, next.index]);
  expect(code).toBe(0);
  expect(remarks).toContain("attestations in the index are about the old images, and are left out");
  expect((await rebase(image, [old.index, next.index])).image).toBe(result);
  const index = await indexOf(result);
  const [, nextDigest = ""] = next.index.split("@");
  expect(index.annotations).toEqual({ ...annotations, [baseName]: next.index, [baseDigest]: nextDigest });
  expect(index.manifests.map(({ platform }) => platform)).toEqual([
    { os: "linux", architecture: "amd64" },
    { os: "linux", architecture: "arm64", variant: "v8" },
  ]);
  const { children } = await fetchImageFacts(stand.client, parseReference(result));
  for (const [at, architecture] of architectures.entries()) {
    const layers = [layerOf("2", architecture).diffId, app.diffId];
    expect(children[at]?.config).toMatchObject({ architecture, rootfs: { diff_ids: layers } });
    expect(index.manifests[at]).not.toHaveProperty("data");
    expect(index.manifests[at]?.annotations).toEqual({ ...annotations, [baseName]: next.children[at] });
  }
  expect(await rebase(result, [old.index, next.index])).toMatchObject({ code: 0, problems: [] });
});

test("an image of it that stands on the new base already stays as it is", async () => {
  const [old, next] = [await pushBase("1"), await pushBase("2")];
  const image = await pushApps({ amd64: "2", arm64: "1" });
  const { image: result = "" } = await rebase(image, [old.index, next.index]);
  const [before, after] = [await indexOf(image), await indexOf(result)];
  expect(after.manifests[0]).toEqual(before.manifests[0]);
  expect(after.manifests[1]?.digest).not.toBe(before.manifests[1]?.digest);
  const { children } = await fetchImageFacts(stand.client, parseReference(result));
  expect(children.map(({ config }) => config.rootfs.diff_ids[0])).toEqual(
    architectures.map((each): Digest => layerOf("2", each).diffId),
  );
});
