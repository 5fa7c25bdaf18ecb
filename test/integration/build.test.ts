import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  readImage,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";

const isRoot = process.getuid?.() === 0;
/** An ordinary user without an entry in /etc/passwd. */
const ordinary = { uid: 54_321, gid: 54_321 };
const nobody = 65_534;

const users: { name: string; user?: { uid: number; gid: number } }[] = isRoot
  ? [{ name: "as root" }, { name: "as an ordinary user", user: ordinary }]
  : [{ name: "as this user" }];

const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let client: RegistryClient;
let playground: string;
let runImage: string;

beforeAll(async () => {
  registry = await startRegistry();
  client = connect();
  const layer = await makeTar([
    { name: "etc", type: "directory" },
    { name: "etc/os-release", content: "ID=tiny\n" },
  ]);
  runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
});
afterAll(async () => {
  if (isRoot) rmSync(`/var/tmp/goldenpath-${ordinary.uid}`, { recursive: true, force: true });
  await client?.close();
  await registry?.close();
});
beforeEach(() => {
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n" });
});
afterEach(() => removePlayground(playground));

const imageTags = (...tags: string[]): string => tags.map((tag) => `${registry.host}/quarantine/app:${tag}`).join("\n");

async function usePolicy(
  buildpacks: readonly Parameters<typeof pushBuildpack>[2][],
  more: { environments?: string; until?: string } = {},
) {
  const references: string[] = [];
  for (const each of buildpacks)
    references.push(await pushBuildpack(client, `${registry.host}/buildpacks/${each.id}`, each));
  writeFileSync(
    join(playground, "policy.yaml"),
    renderPolicy({ host: registry.host, runImage, buildpacks: references, ...more }),
  );
}

/** The folder in which `quarantine/app` is built. */
function usualPath(uid = process.getuid?.()): string {
  return `/var/tmp/goldenpath-${uid}/${createHash("sha256").update("quarantine/app").digest("hex").slice(0, 12)}`;
}

interface More {
  env?: Record<string, string>;
  inputs?: Record<string, string>;
  user?: BuildRunRequest["user"];
  umask?: number;
}

function build({ env, inputs, ...more }: More = {}): Promise<BuildRunAnswer> {
  return runBuild(
    playground,
    { inputs: { policy: "policy.yaml", context: "app", tags: imageTags("one"), ...inputs }, ...more },
    env,
  );
}

async function repositories(): Promise<string[]> {
  const snapshot = await registry.snapshot();
  return Object.keys(snapshot).filter((name) => name.startsWith("quarantine/") || name.startsWith("vetted/"));
}

describe("what is refused before anything runs", () => {
  it("does not build on the bare host where the policy wants a build image", async () => {
    await usePolicy([{ ...shellBuildpack, detect: "exit 1" }], { environments: "container" });
    const before = registry.requests.length;
    expect(await build()).toMatchObject({ code: "build-environment-not-allowed", rule: "build.environment" });
    expect(registry.requests.length).toBe(before);
  });

  it("does not push to where only promote writes", async () => {
    await usePolicy([shellBuildpack]);
    expect(await build({ inputs: { tags: `${registry.host}/vetted/app:one` } })).toMatchObject({
      rule: "build.quarantine",
    });
    expect(await repositories()).not.toContain("vetted/app");
  });

  it("does not build on a base whose approval has ended", async () => {
    await usePolicy([shellBuildpack], { until: "2020-01-31" });
    expect(await build()).toMatchObject({ code: "base-expired", rule: "base.expired" });
  });
});

describe("a build that fails", () => {
  it("says which buildpack did not fit, and why", async () => {
    await usePolicy([{ ...shellBuildpack, detect: 'echo "I want a pom.xml"; exit 100' }]);
    const answer = await build();
    expect(answer).toMatchObject({ verdict: "error", code: "nothing-detected" });
    expect(answer.result.error?.message).toContain("test/shell@1.0.0 does not fit: I want a pom.xml");
  });

  it("tells a buildpack that broke in detection from one that does not fit", async () => {
    await usePolicy([{ ...shellBuildpack, detect: 'echo "out of cheese"; exit 3' }]);
    const answer = await build();
    expect(answer).toMatchObject({ verdict: "error", code: "detect-failed" });
    expect(answer.result.error?.message).toContain("out of cheese");
  });

  it("shows the last lines of a buildpack that fails, and pushes nothing", async () => {
    await usePolicy([{ ...shellBuildpack, build: 'echo "npm error code ENOLOCK" >&2; exit 7' }]);
    const answer = await build({ inputs: { tags: `${registry.host}/quarantine/broken:one` } });
    expect(answer).toMatchObject({ verdict: "error", code: "buildpack-failed" });
    expect(answer.result.error?.message).toContain("npm error code ENOLOCK");
    expect(await repositories()).not.toContain("quarantine/broken");
  });

  it("names a registry that is down", async () => {
    await usePolicy([shellBuildpack]);
    const gone = await startRegistry();
    await gone.close();
    const answer = await build({ inputs: { tags: `${gone.host}/quarantine/app:one` } });
    expect(answer).toMatchObject({ verdict: "error", code: "registry-unreachable" });
    expect(answer.result.error?.message).toContain(gone.host);
  });

  it("names a buildpack that is not there", async () => {
    await usePolicy([shellBuildpack]);
    const file = join(playground, "policy.yaml");
    writeFileSync(
      file,
      readFileSync(file, "utf8").replace(/(buildpacks\/test\/shell@sha256:)[0-9a-f]{64}/, `$1${"1".repeat(64)}`),
    );
    expect(await build()).toMatchObject({ verdict: "error", code: "image-not-found" });
  });

  it("is an error where the push breaks off", async () => {
    await usePolicy([shellBuildpack]);
    registry.faults = [
      { method: "PUT", path: /\/manifests\/one$/, action: { kind: "status", status: 500 } },
    ] as unknown as typeof registry.faults;
    try {
      const answer = await build();
      expect(answer).toMatchObject({ verdict: "error", code: "lifecycle-export" });
    } finally {
      registry.faults = [];
    }
  });
});

describe.each(users)("a build $name", ({ user }) => {
  const buildUid = user?.uid ?? (isRoot ? nobody : (process.getuid?.() ?? -1));
  const as = user === undefined ? {} : { user };

  it("pushes an image that stands on the base, under every tag, with its SBOM beside it", async () => {
    await usePolicy([shellBuildpack]);
    const answer = await build({ ...as, inputs: { tags: imageTags("one", "two") } });
    expect(answer.log.join("\n")).toContain("| ");
    expect(answer).toMatchObject({ verdict: "pass", outputs: { strategy: "buildpacks" } });
    expect(answer.outputs["image"]).toBe(`${registry.host}/quarantine/app@${answer.outputs["digest"]}`);
    for (const tag of ["one", "two"]) {
      expect(await client.resolve(parseReference(`${registry.host}/quarantine/app:${tag}`))).toBe(
        answer.outputs["digest"],
      );
    }
    const built = await fetchImageFacts(client, parseReference(answer.outputs["image"] ?? ""));
    const base = await fetchImageFacts(client, parseReference(runImage));
    const diffIds = built.children[0]?.config.rootfs.diff_ids ?? [];
    expect(diffIds.slice(0, 1)).toEqual(base.children[0]?.config.rootfs.diff_ids);
    expect(diffIds.length).toBeGreaterThan(3);
    expect(JSON.parse(readFileSync(answer.outputs["sbom"] ?? "", "utf8"))).toMatchObject({
      bomFormat: "CycloneDX",
      components: [{ purl: "pkg:npm/left-pad@1.0.0" }],
    });
    expect(answer.result).toMatchObject({
      stage: "build",
      verdict: "pass",
      violations: [],
      subject: { digest: answer.outputs["digest"] },
    });
    expect(answer.result.predicate).toBeUndefined();
    expect(answer.result.notes).toContain("buildEnvironment: host");
    expect(answer.result.tools.map((tool) => tool.name)).toEqual(["lifecycle", "launcher", "buildpack test/shell"]);
  });

  it("runs the buildpacks without privileges, on a copy", async () => {
    await usePolicy([shellBuildpack]);
    const answer = await build(as);
    const files = await readImage(client, answer.outputs["image"] ?? "");
    const named = (end: string) => [...files.values()].find((file) => file.path.endsWith(end));
    // Root gives each build a user that nobody else has; what the image's files belong to is the same for all.
    const ran = Number(named("stuff/uid.txt")?.content);
    if (isRoot && user === undefined) expect(ran).toBeGreaterThanOrEqual(1_900_000_000);
    else expect(ran).toBe(buildUid);
    expect(named("app/app.txt")).toMatchObject({ content: "changed\n", uid: buildUid });
    expect(readFileSync(join(playground, "app", "app.txt"), "utf8")).toBe("hello\n");
    // Each folder above the application goes into the image as it is here: the image's user, 1000, has to get through.
    for (const file of files.values()) if (file.type === "directory") expect(file.mode & 0o001, file.path).toBe(1);
  });

  it("keeps the job's environment from the buildpacks, and passes on what they need", async () => {
    await usePolicy([shellBuildpack]);
    const answer = await build({
      ...as,
      env: {
        INPUT_KEY: "leak-1",
        GITHUB_TOKEN: "leak-2",
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: "leak-3",
        ACTIONS_RUNTIME_TOKEN: "leak-4",
        COSIGN_KEY: "leak-5",
        NPM_TOKEN: "leak-6",
        "npm_config_//registry.test/:_authToken": "leak-7",
        DOCKER_AUTH_CONFIG: "leak-8",
        NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt",
        npm_config_registry: "https://npm.test/",
        https_proxy: "http://proxy.test:3128",
      },
      inputs: { env: "BP_MODE=fast\nEMPTY=" },
    });
    expect(answer.verdict).toBe("pass");
    const files = await readImage(client, answer.outputs["image"] ?? "");
    const seen = [...files.values()].find((file) => file.path.endsWith("stuff/env.txt"))?.content ?? "";
    expect(seen).not.toMatch(/leak-|CNB_REGISTRY_AUTH|INPUT_|GITHUB_|ACTIONS_/);
    for (const line of [
      "BP_MODE=fast",
      "EMPTY=",
      "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt",
      "npm_config_registry=https://npm.test/",
      // The job's own proxy is for the way out of the room, and not in it.
      "https_proxy=http://127.0.0.1:3128",
    ]) {
      expect(seen.split("\n")).toContain(line);
    }
    expect(seen).not.toContain(`HOME=${join(playground, "tmp")}\n`);
  });

  it("builds the same digest again, whatever the umask, and leaves nothing behind", async () => {
    await usePolicy([shellBuildpack]);
    const first = await build(as);
    const second = await build({ ...as, umask: 0o077 });
    expect(second.verdict).toBe("pass");
    expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    expect(existsSync(usualPath(user?.uid))).toBe(false);
    expect(readdirSync(join(playground, "tmp"))).toEqual([]);
  });

  it("logs in to push, and keeps the login from the buildpacks", async () => {
    const locked = await startRegistry({ auth: { kind: "basic", users: { robot: "hunter2-hunter2" } } });
    try {
      const docker = join(playground, "docker");
      mkdirSync(docker);
      const auth = Buffer.from("robot:hunter2-hunter2").toString("base64");
      writeFileSync(join(docker, "config.json"), JSON.stringify({ auths: { [locked.host]: { auth } } }));
      // The lifecycle filters what buildpacks get; whoever runs as the same user can look at its own environment, too.
      const spy = `tr '\\0' '\\n' < /proc/$PPID/environ >> "$CNB_LAYERS_DIR/stuff/env.txt"`;
      await usePolicy([{ ...shellBuildpack, build: `${shellBuildpack.build}\n${spy}` }]);
      const answer = await build({
        ...as,
        env: { DOCKER_CONFIG: docker },
        inputs: { tags: `${locked.host}/quarantine/app:one` },
      });
      expect(answer.log.join("\n")).not.toContain(auth);
      expect(answer.verdict).toBe("pass");
      expect(answer.masked).toContain("hunter2-hunter2");
      const insider = connect({ DOCKER_CONFIG: docker });
      const files = await readImage(insider, answer.outputs["image"] ?? "");
      await insider.close();
      const seen = [...files.values()].find((file) => file.path.endsWith("stuff/env.txt"))?.content ?? "";
      expect(seen).toContain("CNB_PLATFORM_API=");
      expect(seen).not.toMatch(/REGISTRY_AUTH|DOCKER_CONFIG|hunter2/);
      expect(seen).not.toContain(auth);
      const refused = await build({ ...as, inputs: { tags: `${locked.host}/quarantine/app:one` } });
      expect(refused).toMatchObject({ verdict: "error", code: "registry-unauthorized" });
    } finally {
      await locked.close();
    }
  });
});

describe.each(users)("what a hostile application tries, built $name", ({ user }) => {
  const as = user === undefined ? {} : { user };

  it("cannot speak to the runner through the log", async () => {
    await usePolicy([shellBuildpack]);
    const answer = await build(as);
    const lines = answer.log.flatMap((message) => message.split(/[\r\n]/));
    expect(lines.some((line) => line.includes("name=image::evil"))).toBe(true);
    expect(lines.filter((line) => line.trimStart().startsWith("::") || line.includes("##["))).toEqual([]);
  });

  it("cannot choose another run image, or add layers as an extension would", async () => {
    await usePolicy([
      {
        ...shellBuildpack,
        build: `${shellBuildpack.build}
top="$CNB_LAYERS_DIR/.."
mkdir -p "$top/extended/run" && echo '{}' > "$top/extended/run/index.json"
printf '[source]\\ntype = "evil"\\n' > "$top/project-metadata.toml"
for file in "$top"/../handover/analyzed.toml "$top"/../control/analyzed.toml-*; do sed -i 's/run@sha256:[0-9a-f]*/evil@sha256:${"2".repeat(64)}/' "$file" || true; done`,
      },
    ]);
    const answer = await build(as);
    expect(answer.verdict).toBe("pass");
    const built = await fetchImageFacts(client, parseReference(answer.outputs["image"] ?? ""));
    const labels = built.children[0]?.config.config?.Labels ?? {};
    expect(labels["io.buildpacks.lifecycle.metadata"]).toContain(runImage);
    expect(labels["io.buildpacks.project.metadata"]).toBe("{}");
  });

  it("gets no .git, which has the checkout's token in it, and not what project.toml excludes", async () => {
    writeFiles(join(playground, "app"), {
      ".git/config": "token",
      "vendor/module/.git": "gitdir",
      "docs/big.txt": "big",
      "project.toml":
        '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["docs/"]\n[[io.buildpacks.build.env]]\nname = "FROM_PROJECT"\nvalue = "yes"\n',
    });
    await usePolicy([shellBuildpack]);
    const answer = await build(as);
    const files = await readImage(client, answer.outputs["image"] ?? "");
    const app = [...files.keys()].flatMap((path) => /\/app\/(.+)$/.exec(path)?.[1] ?? []);
    expect(app.sort()).toEqual(["app.txt", "project.toml", "vendor", "vendor/module"]);
    expect([...files.values()].find((file) => file.path.endsWith("stuff/env.txt"))?.content).toContain(
      "FROM_PROJECT=yes\n",
    );
  });
});

if (isRoot) {
  describe("a hostile application that root builds", () => {
    it("cannot read root's files through links, in the checkout or instead of the lifecycle's files", async () => {
      const secret = join(playground, "secret");
      writeFileSync(secret, "[image]\ndigest = 'root-only'\n", { mode: 0o600 });
      symlinkSync(secret, join(playground, "app", "link.txt"));
      await usePolicy([
        {
          ...shellBuildpack,
          build: `if cat link.txt; then exit 9; fi\n${shellBuildpack.build}\nln -sf ${secret} "$CNB_LAYERS_DIR/../../handover/report.toml"`,
        },
      ]);
      const answer = await build();
      expect(JSON.stringify(answer)).not.toContain("root-only");
      expect(readFileSync(secret, "utf8")).toContain("root-only");
    });
  });
}

it("builds beside another build of the same repository, and says that its digest is not a rebuild's", async () => {
  await usePolicy([
    {
      ...shellBuildpack,
      build: `while [ -f wait.txt ] && [ ! -f go-on ]; do sleep 0.05; done\n${shellBuildpack.build}`,
    },
  ]);
  const alone = await build();
  writeFiles(playground, { "waiting/app.txt": "hello\n", "waiting/wait.txt": "" });
  const slow = build({ inputs: { context: "waiting" } });
  await expect.poll(() => existsSync(join(usualPath(), "owner")), { timeout: 60_000 }).toBe(true);
  const beside = await build();
  // Its folder for the application is the one thing of it that is there from outside.
  writeFileSync(join(usualPath(), "app", "go-on"), "");
  expect((await slow).verdict).toBe("pass");
  expect(beside.verdict).toBe("pass");
  expect(beside.outputs["digest"]).not.toBe(alone.outputs["digest"]);
  expect(beside.result.notes.join("\n")).toContain("another digest");
});
