import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { useTools } from "../support/tools.ts";
import {
  makePlayground,
  pushBuildpack,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";

/** `goldenpath base rebase` of what the lifecycle has built, beside what `pack rebase` makes of it. */

const run = promisify(execFile);
const tools = useTools("lifecycle", "launcher", "pack");
const metadataLabel = "io.buildpacks.lifecycle.metadata";
const home = await mkdtemp(join(tmpdir(), "goldenpath-pack-home-"));

let stand: LayerStand;
let playground: string;
/** As the lifecycle has built it, on the first version. */
let built: string;
let first: string;

const layerOf = (version: string) =>
  gzipLayer(
    tarOf(
      { name: "etc/os-release", content: 'ID=debian\nVERSION_ID="12"\n' },
      { name: "usr/lib/version", content: version },
      {
        name: "var/lib/dpkg/status",
        content: `Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-${version}\n`,
      },
    ),
  );

/** A version of the run image. */
function pushRun(version: string, labels: Record<string, string> = {}): Promise<string> {
  const own = {
    "io.buildpacks.stack.id": "acme.run",
    "io.buildpacks.stack.mixins": '["libc6"]',
    "io.buildpacks.base.distro.name": "debian",
    "io.buildpacks.base.distro.version": "12",
    "io.buildpacks.base.version": version,
    "org.acme.version": version,
  };
  return stand.push([layerOf(version)], "bases/run", {
    config: { User: "1000:1000", Env: ["CNB_USER_ID=1000", "CNB_GROUP_ID=1000"], Labels: { ...own, ...labels } },
    history: [{ created_by: `base ${version}` }],
  });
}

async function approve(...versions: string[]): Promise<string> {
  const path = join(playground, `bases-${versions.length}-${digestOf(versions.join()).slice(-8)}.yaml`);
  const digests = JSON.stringify(versions.map((each) => each.split("@")[1]));
  const bases = `  - { name: run, image: "${stand.server.host}/bases/run", digests: ${digests} }\n`;
  await writeFile(path, `version: 1\nname: acme\nserial: 1\nbases:\n${bases}`);
  return path;
}

async function rebase(image: string, ...versions: string[]) {
  const policy = await approve(...versions);
  const to = `${stand.server.host}/quarantine/rebased:1`;
  const { code, out } = await runMain("base", "rebase", image, "--to", to, "--policy", policy, "--json");
  const told = JSON.parse(out) as { image?: string; refused: { problem: string }[] };
  return { code, image: told.image, problems: told.refused.map(({ problem }) => problem).join("\n") };
}

async function factsOf(image: string) {
  const { children } = await fetchImageFacts(stand.client, parseReference(image));
  const [child] = children;
  if (child === undefined) throw new Error(`${image} has no image`);
  return child;
}

/** The same image with other labels than the lifecycle wrote. */
async function relabel(change: (labels: Record<string, string>) => void): Promise<string> {
  const { manifest, config } = await factsOf(built);
  const labels = { ...config.config?.Labels };
  change(labels);
  const repository = parseReference(built);
  const bytes = Buffer.from(JSON.stringify({ ...config, config: { ...config.config, Labels: labels } }));
  const described = { ...manifest.config, digest: digestOf(bytes), size: bytes.byteLength };
  await stand.client.pushBlob(repository, described, () => bytes);
  const text = Buffer.from(JSON.stringify({ ...manifest, config: described }));
  const digest = await stand.client.pushManifest(repository, text, manifest.mediaType ?? "");
  return `${built.split("@")[0]}@${digest}`;
}

beforeAll(async () => {
  stand = await startLayerStand();
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n" });
  first = await pushRun("1");
  const buildpack = await pushBuildpack(stand.client, `${stand.server.host}/buildpacks/shell`, shellBuildpack);
  const policy = renderPolicy({ host: stand.server.host, runImage: first, buildpacks: [buildpack] });
  // The one version that the policy of the fixtures has beside a real one is not there.
  writeFiles(playground, { "policy.yaml": policy.replace(`"sha256:${"0".repeat(64)}", `, "") });
  const tags = `${stand.server.host}/quarantine/app:one`;
  const answer = await runBuild(playground, { inputs: { policy: "policy.yaml", context: "app", tags } });
  built = answer.outputs["image"] ?? "";
  expect(built, answer.log.join("\n")).toMatch(/@sha256:/);
});
afterAll(async () => {
  await stand?.stop();
  if (playground !== undefined) removePlayground(playground);
  await rm(home, { recursive: true, force: true });
});

test.each<[string, Record<string, string>, RegExp]>([
  ["another stack", { "io.buildpacks.stack.id": "acme.other" }, /stack 'acme\.run'.*of 'acme\.other'/],
  ["a mixin less", { "io.buildpacks.stack.mixins": '["libssl3"]' }, /lacks mixins.*'libc6'/],
  ["another distribution", { "io.buildpacks.base.distro.name": "ubuntu" }, /is 'debian', and the new base's 'ubuntu'/],
  ["another release", { "io.buildpacks.base.distro.version": "13" }, /is '12', and the new base's '13'/],
])("a run image of %s is refused", async (_what, labels, problem) => {
  const next = await pushRun("2", labels);
  expect(await rebase(built, first, next)).toEqual({
    code: 1,
    image: undefined,
    problems: expect.stringMatching(problem),
  });
  // By Platform API 0.12 and later, pack asks for the distribution alone.
  if (Object.keys(labels).some((label) => label.includes("distro")))
    await expect(packRebase(next)).rejects.toThrow(/unable to satisfy target/);
});

test.each<[string, (labels: Record<string, string>) => void, RegExp]>([
  ["no metadata", (labels) => Object.assign(labels, { [metadataLabel]: "{" }), /not the lifecycle's metadata/],
  [
    "another top layer",
    (labels) => {
      const metadata = JSON.parse(labels[metadataLabel] ?? "");
      metadata.runImage.topLayer = digestOf("extended");
      labels[metadataLabel] = JSON.stringify(metadata);
    },
    /an extension has changed its run image/,
  ],
  [
    "that it can't",
    (labels) => Object.assign(labels, { "io.buildpacks.rebasable": "false" }),
    /io\.buildpacks\.rebasable/,
  ],
])("an image that says %s is refused", async (_what, change, problem) => {
  const next = await pushRun("2");
  const { code, problems } = await rebase(await relabel(change), first, next);
  expect({ code, problems }).toEqual({ code: 1, problems: expect.stringMatching(problem) });
});

test("the image is what pack rebase makes, and the same again is the same digest", async () => {
  const next = await pushRun("2", { "io.buildpacks.base.homepage": "https://acme.test" });
  const { code, image = "", problems } = await rebase(built, first, next);
  expect({ code, problems }).toEqual({ code: 0, problems: "" });
  expect((await rebase(built, first, next)).image).toBe(image);
  const own = await factsOf(image);
  const theirs = await factsOf(await packRebase(next));
  expect(own.manifest.layers.map(({ digest }) => digest)).toEqual(theirs.manifest.layers.map(({ digest }) => digest));
  // pack keeps the number of entries alone, and what made each layer is lost with it.
  const history = own.config.history?.map(() => ({ created: own.config.created }));
  expect({ ...own.config, history }).toEqual(theirs.config);
  expect(own.config.history?.map(({ created_by }) => created_by).slice(0, 2)).toEqual([
    "base 2",
    expect.stringContaining("test/shell@1.0.0"),
  ]);
  // Nor does it say by annotations what the image stands on.
  expect([own.manifest.annotations, theirs.manifest.annotations]).toEqual([expect.anything(), undefined]);
  expect(own.config.config?.Labels).toMatchObject({ "io.buildpacks.base.version": "2", "org.acme.version": "1" });
  expect(own.config.config?.Labels).toHaveProperty(["io.buildpacks.base.homepage"]);
});

test("a run image that the image names by another repository gets the policy's name, and no mirrors", async () => {
  const next = await pushRun("2");
  const image = await relabel((labels) => {
    const metadata = JSON.parse(labels[metadataLabel] ?? "");
    Object.assign(metadata.runImage, { image: "docker.io/acme/run:1", mirrors: ["registry.test/run"] });
    metadata.stack = { runImage: { image: "docker.io/acme/run:1", mirrors: ["registry.test/run"] } };
    labels[metadataLabel] = JSON.stringify(metadata);
  });
  const { image: result = "" } = await rebase(image, first, next);
  const metadata = JSON.parse((await factsOf(result)).config.config?.Labels?.[metadataLabel] ?? "");
  expect(metadata.runImage).toEqual({ topLayer: layerOf("2").diffId, reference: next, image: next });
  expect(metadata.stack).toEqual({ runImage: { image: next } });
});

async function packRebase(next: string): Promise<string> {
  const tag = `${stand.server.host}/quarantine/app:packed`;
  const old = await stand.client.fetchManifest(parseReference(built));
  await stand.client.pushManifest(parseReference(tag), old.bytes, old.mediaType, "packed");
  const env = { ...process.env, HOME: home, PACK_HOME: home };
  await run(tools.pack, ["rebase", tag, "--publish", "--run-image", next], { env });
  return tag;
}
