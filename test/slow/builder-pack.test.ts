import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  connect,
  type LayerFile,
  makePlayground,
  readImage,
  removePlayground,
  runBuild,
  writeFiles,
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { cachingBuildpack, installing, reusing } from "../support/caching-buildpack.ts";
import { processesWith } from "../support/failing-builds.ts";
import { type PackStand, preparePack } from "../support/pack-stand.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// A builder image that pack makes, and both engines with it: pack over a Docker daemon, and the lifecycle without one.
const tools = useTools("lifecycle", "launcher", "pack");
let registry: RegistryServer;
let client: RegistryClient;
let stand: PackStand;
let playground: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
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

function build(inputs: Record<string, string>, more?: string, cache = "none"): Promise<BuildRunAnswer> {
  const policy = stand.renderPolicy(more).replace("\nbuild:\n", `\nbuild:\n  cache: ${cache}\n`);
  writeFileSync(join(playground, "policy.yaml"), policy);
  const given = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one`, ...inputs };
  return runBuild(playground, { inputs: given }, { ...stand.docker.env });
}

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
    const inline = `[io.buildpacks.pre.group.script]\napi = "0.10"\ninline = '''${cachingBuildpack.build}'''\n`;
    writeFiles(join(playground, "own"), {
      "app.txt": "hello\n",
      "package-lock.json": "1\n",
      "project.toml": `[_]\nschema-version = "0.2"\n[[io.buildpacks.pre.group]]\nid = "test/caching"\n${inline}`,
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

  describe("that fails", () => {
    const repository = "quarantine/failing";
    const writes = { method: ["POST", "PATCH", "PUT"], path: `^/v2/${repository}/` } as const;
    const attempt = (step: string): Promise<BuildRunAnswer> => {
      const inline = `[io.buildpacks.pre.group.script]\napi = "0.10"\ninline = "${step}"\n`;
      writeFiles(join(playground, "failing"), {
        "app.txt": "hello\n",
        "tools/compile.sh": "echo compiling\nif true; then\n  echo never\nfi fi\n",
        "project.toml": `[_]\nschema-version = "0.2"\n[[io.buildpacks.pre.group]]\nid = "test/step"\n${inline}`,
      });
      const inputs = { engine: "pack", context: "failing", tags: `${registry.host}/${repository}:one` };
      return build(inputs, `\n      lifecycleImage: ${stand.lifecycleImage}\n      allowInline: true`);
    };
    /** It failed for this reason, and no tag leads to anything of it. */
    const expectFailure = async (answer: BuildRunAnswer, code: string, said: RegExp): Promise<void> => {
      expect(answer, answer.log.slice(-30).join("\n")).toMatchObject({ code, verdict: "error" });
      expect(answer.result.error?.message).toMatch(said);
      expect(await client.resolve({ registry: registry.host, name: repository, tag: "one" })).toBeUndefined();
    };
    afterEach(() => {
      registry.faults = [];
    });

    it("tells a compiler's error with its words, and its place", async () => {
      const answer = await attempt("sh tools/compile.sh");
      await expectFailure(answer, "buildpack-failed", /fi.* unexpected/);
      expect(answer.places).toMatchObject([{ file: "failing/tools/compile.sh", line: 4 }]);
    });

    it("tells a step that somebody kills", async () => {
      const words = `killed-step-${process.pid}`;
      const running = attempt(`cat /dev/zero ${words} > /dev/null`);
      await expect.poll(() => processesWith(words).length, { timeout: 120_000 }).toBeGreaterThan(0);
      for (const pid of processesWith(words)) process.kill(pid, "SIGKILL");
      await expectFailure(await running, "buildpack-failed", /killed|137|signal/i);
    });

    it("tells a push that is refused, and a registry that goes away in the middle, and passes once it is there", async () => {
      const body = JSON.stringify({
        errors: [{ code: "DENIED", message: "requested access to the resource is denied" }],
      });
      registry.faults = [{ ...writes, action: { kind: "status", status: 403, body } }];
      await expectFailure(await attempt("true"), "registry-unauthorized", /denied/i);
      registry.faults = [{ ...writes, after: 3, action: { kind: "reset" } }];
      await expectFailure(await attempt("true"), "lifecycle-export", /localhost:\d+/);
      registry.faults = [];
      expect(await attempt("true")).toMatchObject({ verdict: "pass" });
    });
  });

  it("is not what auto takes where the machine can keep a build apart by itself", async () => {
    const answer = await build({ engine: "auto" });
    expect(answer.result.notes.join("\n")).toContain("built in namespaces of its own");
  });
});
