import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApt } from "../../examples/golden-platform/apt.ts";
import { buildGoldenBase } from "../../examples/golden-platform/base.ts";
import {
  addFile,
  type FileTree,
  type LayerFile,
  readTree,
  writeLayer,
} from "../../examples/golden-platform/file-tree.ts";
import { assembleImage, type BuiltImage, pushImage } from "../../examples/golden-platform/image.ts";
import { hostDistribution } from "../support/golden-platform.ts";
import { type ImageCourt, openImageCourt, passed } from "../support/real-images.ts";
import { requireCommand, useTools } from "../support/tools.ts";

/**
 * Images of several lineages that nobody changed: both stages have to let each of them through. Here are those that
 * need no builder; what real builders make is in `test/slow/real-images.test.ts`.
 */

const tools = useTools("syft", "grype");
const modified = new Date("1980-01-01T00:00:01Z");
let court: ImageCourt;
let goldenImage: BuiltImage;
let golden = "";

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  await requireCommand("apt-get", suite);
  await requireCommand("dpkg-deb", suite);
  court = await openImageCourt(tools);
  goldenImage = await buildGoldenBase({
    outputDirectory: join(court.directory, "base"),
    ports: silentPorts(),
    env: process.env,
  });
  golden = await push("bases/golden", goldenImage);
});
afterAll(() => court?.close());

let made = 0;

async function push(name: string, image: BuiltImage): Promise<string> {
  const repository = parseRepository(`${court.registry.host}/${name}`);
  return `${court.registry.host}/${name}@${await pushImage(court.client, repository, image, `n${++made}`)}`;
}

function layerOf(tree: FileTree): Promise<LayerFile> {
  return writeLayer(tree, modified, join(court.directory, `layer-${++made}.tar.gz`));
}

function imageOf(layers: readonly LayerFile[]): BuiltImage {
  return assembleImage({ architecture: "amd64", created: modified, config: { Labels: {} }, history: "test" }, [
    ...layers,
  ]);
}

const files = (contents: Readonly<Record<string, string>>): FileTree => {
  const tree: FileTree = new Map();
  for (const [path, content] of Object.entries(contents))
    addFile(tree, path, content, path.includes("bin/") ? 0o755 : 0o644);
  return tree;
};

const application = {
  "workspace/node_modules/lodash/package.json": '{"name":"lodash","version":"4.17.21","license":"MIT"}',
};

/**
 * Packages as distroless images have them: unpacked without their scripts, each with a file of its own in dpkg's
 * database.
 */
async function distrolessLayer(...names: string[]): Promise<LayerFile> {
  const directory = join(court.directory, `apt-${++made}`);
  const apt = await openApt({ distribution: hostDistribution(), directory, env: process.env });
  const packages = [...(await apt.describe(names)).values()];
  const tree: FileTree = new Map();
  for (const file of await apt.download(packages, join(directory, "debs"))) {
    await runChecked("dpkg-deb", ["--raw-extract", file, `${file}.d`], { env: { PATH: process.env["PATH"] } });
    const control = (member: string): string => readFileSync(`${file}.d/DEBIAN/${member}`, "utf8");
    const name = /^Package: (.*)$/m.exec(control("control"))?.[1] ?? "";
    addFile(tree, `var/lib/dpkg/status.d/${name}`, control("control"));
    addFile(tree, `var/lib/dpkg/status.d/${name}.md5sums`, control("md5sums"));
    for (const [path, entry] of await readTree(`${file}.d`)) {
      // In the base, /lib is a link: a folder in its place would hide it. `DEBIAN` is dpkg's own.
      const place = path.replace(/^lib\//, "usr/lib/");
      if (place !== "lib" && !place.startsWith("DEBIAN")) tree.set(place, entry);
    }
  }
  return layerOf(tree);
}

describe("an image of Debian's packages passes both stages", () => {
  test.each<[string, () => Promise<LayerFile[]>]>([
    ["the base itself", async () => []],
    ["with an application", async () => [await layerOf(files(application))]],
    [
      "with a package more, as distroless images are layered",
      async () => [await distrolessLayer("libexpat1", "libbz2-1.0"), await distrolessLayer("libffi8")],
    ],
    [
      "with a user of its own",
      async () => [await layerOf(files({ "srv/app/bin/run": "#!/bin/sh\n", "etc/profile.d/app.sh": "A=1\n" }))],
    ],
    [
      "with a file that an upper layer removes again",
      async () => [await layerOf(files({ "srv/tmp/x": "x" })), await layerOf(files({ "srv/.wh.tmp": "" }))],
    ],
  ])("%s", async (_what, layers) => {
    const image = await push("quarantine/app", imageOf([...goldenImage.layers, ...(await layers())]));
    expect(await court.judge(image, { base: golden })).toEqual(passed);
  });
});

/** An OCI layout whose layers are not compressed; its folder. */
async function writePlainLayout(layers: readonly LayerFile[]): Promise<string> {
  const directory = join(court.directory, `layout-${++made}`);
  await mkdir(join(directory, "blobs/sha256"), { recursive: true });
  const put = async (bytes: Uint8Array, mediaType: string) => {
    const digest = digestOf(bytes);
    await writeFile(join(directory, "blobs/sha256", digestHex(digest)), bytes);
    return { mediaType, digest, size: bytes.byteLength };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await put(imageOf(layers).config, mediaTypes.ociConfig),
    layers: await Promise.all(
      layers.map(async ({ path }) => put(gunzipSync(await readFile(path)), mediaTypes.ociLayerTar)),
    ),
  };
  const manifests = [await put(Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest)];
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  return directory;
}

describe("the same image, written by containers/image", () => {
  // What skopeo writes is the same files in other bytes: zstd:chunked has skippable frames and a table of contents.
  test.each<[string, string[], RegExp]>([
    ["in zstd:chunked", ["--dest-compress-format=zstd:chunked"], /tar\+zstd$/],
    ["in Docker's types", ["--format=v2s2"], /docker.*tar\.gzip$/],
  ])("passes %s", async (what, options, mediaType) => {
    const skopeo = await requireCommand("skopeo");
    const env = { PATH: process.env["PATH"], HOME: court.directory };
    // It compresses anew only what is not compressed, and takes what it knows to be in the registry already.
    const layout = await writePlainLayout([...goldenImage.layers, await layerOf(files(application))]);
    const elsewhere = await startRegistry();
    const target = `${elsewhere.host}/quarantine/copied:1`;
    await runChecked(skopeo, ["copy", "--dest-tls-verify=false", ...options, `oci:${layout}`, `docker://${target}`], {
      env,
      timeoutMs: 120_000,
    });
    const fetched = await court.client.fetchManifest(parseReference(target));
    const layers = fetched.kind === "image" ? fetched.manifest.layers : [];
    expect(layers).toHaveLength(goldenImage.layers.length + 1);
    for (const layer of layers) {
      expect(layer.mediaType).toMatch(mediaType);
      if (what.endsWith("chunked"))
        expect(layer.annotations).toHaveProperty(["io.containers.zstd-chunked.manifest-position"]);
    }
    expect(await court.judge(await court.pin(target), { base: golden })).toEqual(passed);
    await elsewhere.close();
  });
});

/**
 * Alpine's packages are not to be had where these tests run, so its database is written here, by the format of
 * apk-tools 2.
 */
const apkEntry = (name: string, version: string, ...paths: string[]): string => {
  const lines = paths.flatMap((path) => [
    `F:${path.slice(0, path.lastIndexOf("/"))}`,
    `R:${path.slice(path.lastIndexOf("/") + 1)}`,
    "a:0:0:755",
  ]);
  return [
    `C:Q1${Buffer.from(name.padEnd(20, "x").slice(0, 20)).toString("base64")}`,
    `P:${name}`,
    `V:${version}`,
    "A:x86_64",
    `o:${name}`,
    ...lines,
    "",
    "",
  ].join("\n");
};
const release = (version: string): string =>
  `NAME="Alpine Linux"\nID=alpine\nVERSION_ID=${version}\nPRETTY_NAME="Alpine Linux v3.20"\nHOME_URL="https://alpinelinux.org/"\n`;
const alpinePackages = {
  layout: apkEntry("alpine-baselayout", "3.6.5-r0", "etc/hosts"),
  release: apkEntry("alpine-release", "3.20.3-r0", "usr/lib/os-release"),
  musl: apkEntry("musl", "1.2.5-r0", "lib/ld-musl-x86_64.so.1"),
  busybox: apkEntry("busybox", "1.36.1-r29", "bin/busybox"),
  curl: apkEntry("curl", "8.9.1-r1", "usr/bin/curl"),
  libcurl: apkEntry("libcurl", "8.9.1-r1", "usr/lib/libcurl.so.4"),
};
const alpineBase = (): FileTree => {
  const { layout, release: releasePackage, musl, busybox } = alpinePackages;
  const tree = files({
    "usr/lib/os-release": release("3.20.3"),
    "etc/hosts": "",
    "etc/apk/world": "alpine-baselayout\nbusybox\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:root\n",
    "lib/apk/db/installed": layout + releasePackage + musl + busybox,
    "lib/apk/db/scripts.tar": "scripts",
    "lib/apk/db/triggers": "",
    "lib/ld-musl-x86_64.so.1": "musl 1.2.5-r0",
    "bin/busybox": "busybox",
  });
  tree.set("bin/wget", { type: "symlink", target: "/bin/busybox" });
  tree.set("etc/os-release", { type: "symlink", target: "../usr/lib/os-release" });
  return tree;
};

describe("an image with a constructed database of Alpine passes both stages", () => {
  const { layout, release: releasePackage, musl, busybox, curl, libcurl } = alpinePackages;
  const added = {
    "usr/bin/curl": "curl",
    "usr/lib/libcurl.so.4": "libcurl",
    "etc/apk/world": "alpine-baselayout\nbusybox\ncurl\n",
  };
  test.each<[string, Record<string, string>]>([
    ["with an application", application],
    [
      "after apk add",
      {
        ...added,
        "lib/apk/db/installed": layout + releasePackage + musl + busybox + curl + libcurl,
        "lib/apk/db/scripts.tar": "more",
      },
    ],
    [
      "after apk upgrade",
      {
        "lib/apk/db/installed":
          layout + releasePackage.replace("3.20.3-r0", "3.20.6-r0") + musl.replace("-r0", "-r3") + busybox,
        "lib/apk/db/scripts.tar": "newer",
        "lib/apk/db/triggers": "",
        "lib/ld-musl-x86_64.so.1": "musl 1.2.5-r3",
        "usr/lib/os-release": release("3.20.6"),
      },
    ],
    [
      "after apk add of a program that was busybox's",
      {
        "bin/wget": "wget",
        "lib/apk/db/installed": layout + releasePackage + musl + busybox + apkEntry("wget", "1.24.5-r0", "bin/wget"),
      },
    ],
    [
      "after adduser",
      {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
        "etc/group": "root:x:0:root\napp:x:1000:\n",
      },
    ],
  ])("%s", async (_what, contents) => {
    const base = await layerOf(alpineBase());
    const approved = await push("bases/alpine", imageOf([base]));
    const image = await push("quarantine/alpine", imageOf([base, await layerOf(files(contents))]));
    // The examples' advisories are Debian's alone.
    expect(await court.judge(image, { base: approved, allowBlindSpots: ["unknown-distribution"] })).toEqual(passed);
  });
});
