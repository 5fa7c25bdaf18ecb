import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  connect,
  type LayerFile,
  makePlayground,
  readImage,
  removePlayground,
  runBuild,
  writeFiles,
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "../integration/build-run.ts";
import { attestBuild, runOnMain } from "../support/attest-build.ts";
import { cachingBuildpack, installing, reusing } from "../support/caching-buildpack.ts";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A builder image that pack makes, and both engines with it: pack over a Docker daemon, and the lifecycle without one.
const tools = useTools("lifecycle", "launcher", "pack", "syft");
let registry: RegistryServer;
let client: RegistryClient;
let stand: PackStand;
let playground: string;
let key: StageKey;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  key = await makeKey();
  registry = await startRegistry();
  client = connect();
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), {
    "app.txt": "hello\n",
    "project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil.example/builder"\n',
  });
  stand = await preparePack(registry.host, playground, { ...programs, ...tools });
});
afterAll(async () => {
  await stand?.close();
  await client?.close();
  await registry?.close();
  if (playground !== undefined) removePlayground(playground);
});

function build(
  inputs: Record<string, string>,
  more?: string,
  cache = "none",
  run: BuildRunRequest["run"] = {},
): Promise<BuildRunAnswer> {
  const policy = stand
    .renderPolicy(more)
    .replace("\nbuild:\n", `\nbuild:\n  cache: ${cache}\n`)
    .replace(`"sha256:${"0".repeat(64)}", `, "")
    .replace(/-----BEGIN[\s\S]*-----END.*$/m, key.publicKeyPem.trim().replaceAll("\n", "\n      "));
  writeFileSync(join(playground, "policy.yaml"), policy);
  const given = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one`, ...inputs };
  return runBuild(playground, { inputs: given, run }, { ...stand.docker.env });
}

/** A project.toml with one buildpack of its own. */
const bringing = (script: string): string =>
  `[_]\nschema-version = "0.2"\n[[io.buildpacks.pre.group]]\nid = "test/caching"\n[io.buildpacks.pre.group.script]\napi = "0.10"\ninline = '''${script}'''\n`;

const layersOf = async ({ outputs }: BuildRunAnswer) => {
  const { children } = await fetchImageFacts(client, parseReference(outputs["image"] ?? ""));
  return children[0]?.config.rootfs.diff_ids ?? [];
};

/** Of each path all that is in its layer's archive. */
const filesOf = async ({ outputs }: BuildRunAnswer): Promise<Record<string, string>> => {
  const files = [...(await readImage(client, outputs["image"] ?? ""))];
  const describeFile = ({ mode, uid, type, link, content }: LayerFile): string =>
    [mode.toString(8), uid, type, link, content.length, digestOf(Buffer.from(content))].join(" ");
  return Object.fromEntries(files.map(([path, file]) => [path, describeFile(file)]));
};

describe("engine pack", () => {
  it("does not build without a lifecycle that the policy pins", async () => {
    const answer = await build({ engine: "pack" }, "");
    expect(answer.code).toBe("engine-unavailable");
    expect(answer.result.error?.message).toContain("no `lifecycleImage`");
  });

  it("tells a detection that fails as the lifecycle does", async () => {
    writeFiles(join(playground, "other"), { "other.txt": "" });
    const answer = await build({ engine: "pack", context: "other" });
    expect(answer.code, answer.log.join("\n")).toBe("nothing-detected");
    expect(answer.result.error?.message).toContain("there is no app.txt");
  });

  it("makes the same layers as the lifecycle, twice the same image, and says what was passed over", async () => {
    const byPack = await build({ engine: "pack" });
    expect(byPack.result.error, byPack.log.join("\n")).toBeUndefined();
    expect(byPack.result.notes.join("\n")).toContain("each phase in a container of a Docker daemon");
    expect(byPack.result.notes.join("\n")).toMatch(/project\.toml says .*builder/);
    // Nothing of it stays with the daemon but the images.
    expect(await stand.docker.docker("volume", "ls", "--quiet")).toBe("");
    expect(await stand.docker.docker("ps", "--all", "--quiet")).toBe("");
    const again = await build({ engine: "pack" });
    expect(again.outputs["digest"]).toBe(byPack.outputs["digest"]);
    const byLifecycle = await build({ engine: "lifecycle" });
    expect(byLifecycle.result.error, byLifecycle.log.join("\n")).toBeUndefined();
    // But for the folders of the lifecycle's own SBOM, which it makes with one mode here and another there.
    const isSbom = (path: string): boolean => path.startsWith("layers/sbom");
    const [one, two] = [await filesOf(byLifecycle), await filesOf(byPack)];
    expect(
      Object.fromEntries(Object.entries(one).filter(([path, file]) => !isSbom(path) && file !== two[path])),
    ).toEqual({});
    expect(Object.keys(two).filter((path) => one[path] === undefined)).toEqual([]);
    const [ours, packs] = [await layersOf(byLifecycle), await layersOf(byPack)];
    expect(ours.filter((layer) => !packs.includes(layer))).toHaveLength(1);
    expect(ours).toHaveLength(packs.length);
  });

  it("leaves an image that is to be pushed nowhere with the same layers, by the daemon, which keeps nothing of it", async () => {
    const pushed = await build({ engine: "pack" });
    const writes = () => registry.requests.filter(({ method }) => !["GET", "HEAD"].includes(method)).length;
    const before = writes();
    const answer = await build({ engine: "pack", push: "false" });
    expect(answer.result.error, answer.log.join("\n")).toBeUndefined();
    expect(writes()).toBe(before);
    expect(answer.result.notes.join("\n")).not.toContain("network");
    expect(await stand.docker.docker("images", "--quiet", "goldenpath.invalid/*")).toBe("");
    const { layout = "", digest = "" } = answer.outputs;
    const read = (blob: string) => JSON.parse(readFileSync(join(layout, "blobs", blob.replace(":", "/")), "utf8"));
    const { config } = read(digest) as { config: { digest: string } };
    const { rootfs } = read(config.digest) as { rootfs: { diff_ids: string[] } };
    expect(rootfs.diff_ids).toEqual(await layersOf(pushed));
  });

  it("runs a script that project.toml brings and the policy allows, and keeps what it marks as cached for the next", async () => {
    writeFiles(join(playground, "own"), {
      "app.txt": "hello\n",
      "package-lock.json": "1\n",
      "project.toml": bringing(cachingBuildpack.build),
    });
    const inputs = { engine: "pack", context: "own", tags: `${registry.host}/quarantine/own:one` };
    const lifecycle = `\n      lifecycleImage: ${stand.lifecycleImage}`;
    expect(await build(inputs, lifecycle)).toMatchObject({ verdict: "fail", code: "buildpacks-not-allowed" });
    const allowed = `${lifecycle}\n      allowInline: true`;
    const first = await build(inputs, allowed, "unverified");
    expect(first.result.error, first.log.join("\n")).toBeUndefined();
    expect(first.log.join("\n")).toContain(installing);
    expect(first.result.tools).toContainEqual(expect.objectContaining({ name: "inline buildpack test/caching" }));
    // The builder's own ran as well.
    expect(Object.keys(await filesOf(first))).toContain("layers/test_shell/stuff/copied.txt");
    const second = await build(inputs, allowed, "unverified");
    expect(second.result.error, second.log.join("\n")).toBeUndefined();
    expect(second.log.join("\n")).toContain(reusing);
    expect(second.result.notes.join("\n")).toContain("is used (written by");
    expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    // The same entries as the lifecycle's, which the policy alone switches on.
    const byLifecycle = await build({ ...inputs, engine: "lifecycle" }, allowed, "unverified");
    expect(byLifecycle.log.join("\n")).toContain(reusing);
    const without = await build(inputs, allowed);
    expect(without.log.join("\n")).toContain(installing);
    expect(await stand.docker.docker("volume", "ls", "--quiet")).toBe("");
  });

  it("takes a cache that the job which attests signed, and no other, where the policy wants it verified", async () => {
    const files = {
      "app.txt": "hello\n",
      "package-lock.json": "1\n",
      "project.toml": bringing(cachingBuildpack.build),
    };
    writeFiles(join(playground, "verified"), files);
    const inputs = { engine: "pack", context: "verified", tags: `${registry.host}/quarantine/verified:one` };
    const more = `\n      lifecycleImage: ${stand.lifecycleImage}\n      allowInline: true`;
    const verified = (given: Record<string, string> = {}): Promise<BuildRunAnswer> =>
      build({ ...inputs, ...given }, more, "verified", runOnMain);
    const first = await verified({ push: "false" });
    expect(first.result.error, first.log.join("\n")).toBeUndefined();
    expect(first.outputs["cache"]).toMatch(/@sha256:/);
    const { layout = "", cache = "" } = first.outputs;
    const swapped = join(playground, "swapped");
    cpSync(layout, swapped, { recursive: true });
    writeFileSync(join(swapped, "cache/blobs/sha256", cache.replace(/^.*sha256:/, "")), "{}");
    const attest = (given: Record<string, string> = {}): Promise<string> =>
      attestBuild(playground, first, { run: runOnMain, key, given: { "build-environment": "container", ...given } });
    expect(await attest({ layout: swapped })).toContain("is not attested: its layout has other bytes under its digest");
    expect((await verified()).log.join("\n")).toContain(installing);
    expect(await attest()).toContain("predicates/build-cache/v1");
    const second = await verified();
    expect(second.log.join("\n")).toContain(reusing);
    expect(second.result.notes.join("\n")).toContain("the same lock files, attested");
  });

  it("is not what auto takes where the machine can keep a build apart by itself", async () => {
    const answer = await build({ engine: "auto" });
    expect(answer.result.notes.join("\n")).toContain("built in namespaces of its own");
  });
});
