import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { asSudoer } from "../support/changed-root.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushImage,
  readImage,
  removePlayground,
  renderPolicy,
  runBuild,
  shellBuildpack,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";
import { type BuilderParts, makeShellRoot, pushBuilder, renderBuilder } from "./builder-fixtures.ts";

// Builder images made by hand, and the real lifecycle in them, without a daemon.
const isRoot = process.getuid?.() === 0;
const ordinary = { uid: 54_323, gid: 54_323 };
const users: { name: string; user?: { uid: number; gid: number } }[] = isRoot
  ? [{ name: "as root" }, { name: "as an ordinary user", user: ordinary }]
  : [{ name: "as this user" }];

const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let client: RegistryClient;
let playground: string;
let runImage: string;
let root: Buffer;

beforeAll(async () => {
  registry = await startRegistry();
  client = connect();
  const layer = await makeTar([{ name: "etc", type: "directory" }]);
  runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
  root = await makeShellRoot();
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

interface More {
  user?: BuildRunRequest["user"];
  env?: Record<string, string>;
  inputs?: Record<string, string>;
  environments?: string;
  launcher?: readonly string[];
  /** Lines of the builder in the policy. */
  line?: string;
}

async function build(parts: BuilderParts, more: More = {}): Promise<BuildRunAnswer> {
  const builder = await pushBuilder(client, `${registry.host}/builders/shell`, { root, ...parts });
  const policy = renderPolicy({
    host: registry.host,
    runImage,
    buildpacks: [],
    builder: renderBuilder("shell", builder, more.line),
    environments: more.environments ?? "container",
  });
  writeFileSync(join(playground, "policy.yaml"), policy);
  const inputs = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one`, ...more.inputs };
  const user = more.user === undefined ? {} : { user: more.user };
  return runBuild(playground, { inputs, ...user }, more.env, more.launcher);
}

/** Builds with a buildpack that runs `script`; what it writes to `$OUT` is in the image. */
async function attempt(script: string, more: More = {}): Promise<{ answer: BuildRunAnswer; out: string }> {
  const start = `mkdir -p "$CNB_LAYERS_DIR/out"\nprintf '[types]\\nlaunch = true\\n' > "$CNB_LAYERS_DIR/out.toml"\nOUT="$CNB_LAYERS_DIR/out/out.txt"\n: > "$OUT"\nset +e\n`;
  const answer = await build({ buildpacks: [{ id: "test/spy", build: `${start}${script}\nexit 0` }] }, more);
  expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
  const files = await readImage(client, answer.outputs["image"] ?? "");
  return { answer, out: files.get("layers/test_spy/out/out.txt")?.content ?? "" };
}

describe("a builder image that is refused", () => {
  it.each([
    ["is not one", { labels: {} }, "no label io.buildpacks.builder.metadata"],
    ["would build as root", { env: ["CNB_USER_ID=0", "CNB_GROUP_ID=0"] }, "its CNB_USER_ID is '0'"],
    ["has no build user", { env: [] }, "its CNB_USER_ID is ''"],
    ["has no order", { order: "order = []\n" }, "its /cnb/order.toml"],
    [
      "has an order that leads elsewhere",
      { more: [link("cnb/order.toml", "/etc/shadow")] },
      "it has no /cnb/order.toml",
    ],
  ])("%s", async (_what, parts, message) => {
    const answer = await build({ buildpacks: [shellBuildpack], ...parts });
    expect(answer.code).toBe("builder-malformed");
    expect(answer.result.error?.message).toContain(message);
  });

  it("is under the policy's digest another one than the registry gives", async () => {
    registry.faults = [{ method: "GET", path: /\/builders\/shell\/blobs\//, action: { kind: "corrupt" } }];
    try {
      const answer = await build({ buildpacks: [{ ...shellBuildpack, id: "test/corrupt" }] });
      expect(answer).toMatchObject({ verdict: "error" });
      expect(answer.code).toMatch(/digest-mismatch|layer-/);
    } finally {
      registry.faults = [];
    }
  });

  it("is one for a policy that lets builds run on the host alone", async () => {
    const answer = await build({ buildpacks: [shellBuildpack] }, { environments: "host" });
    expect(answer).toMatchObject({ code: "build-environment-not-allowed", rule: "build.environment" });
  });

  it("is over", async () => {
    const answer = await build({ buildpacks: [shellBuildpack] }, { line: "\n      until: 2020-01-01" });
    expect(answer).toMatchObject({ code: "builder-expired", rule: "build.builder" });
  });
});

function link(name: string, linkname: string): { name: string; type: "symlink"; linkname: string } {
  return { name, type: "symlink", linkname };
}

describe.each(users)("a builder image, $name", ({ user }) => {
  const as = user === undefined ? {} : { user };

  it("is the root of the build, and its user builds in it", async () => {
    const { answer, out } = await attempt(
      `{ id -u; id -g; echo "$HOME"; cat /etc/builder; ls /; pwd; ls /var/tmp /root /home/other; } > "$OUT" 2>&1\necho x > "$HOME/x" || echo no home >> "$OUT"`,
      as,
    );
    expect(out.split("\n").slice(0, 5)).toEqual(["1000", "1000", "/home/cnb", "of the builder image", "bin"]);
    expect(out).toContain("/workspace\n");
    expect(out).not.toContain("no home");
    // Nothing of the machine but its kernel.
    expect(out).toContain("ls: cannot access '/var/tmp'");
    expect(answer.result.notes).toContain("buildEnvironment: container");
    expect(answer.result.tools.map(({ name }) => name)).toContain(`builder ${registry.host}/builders/shell`);
  });

  it("can't be written to, nor left, nor gives a capability", async () => {
    const { out } = await attempt(
      `for path in /etc/x /cnb/order.toml /usr/bin/x /x /cnb/buildpacks/x /goldenpath/control/x /platform/env/X; do ( echo evil > "$path" ) 2>/dev/null && echo "wrote $path" >> "$OUT"; done
cat /goldenpath/control/sandbox/namespace /proc/1/root/etc/hostname /proc/*/root/etc/hostname 2>/dev/null >> "$OUT"
for each in /proc/[0-9]*; do ls "$each/root/.image" > /dev/null 2>&1 && echo "left by $each" >> "$OUT"; done
grep -E '^(CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs|Uid):' /proc/self/status >> "$OUT"`,
      as,
    );
    expect(out).not.toMatch(/wrote|left by/);
    expect(out).toMatch(/CapEff:\t0+\n/);
    expect(out).toMatch(/CapPrm:\t0+\n/);
    expect(out).toMatch(/CapInh:\t0+\n/);
    expect(out).toMatch(/CapAmb:\t0+\n/);
    expect(out).toMatch(/NoNewPrivs:\t1\n/);
    expect(out).toMatch(/Uid:\t1000\t1000\t1000\t1000\n/);
  });

  it("sees no login, no token and no file of the job", async () => {
    const { out } = await attempt(
      `{ env; cat /proc/*/environ /proc/*/cmdline; ls -a "$HOME" /goldenpath/control /goldenpath/handover /tmp; } > "$OUT" 2>/dev/null`,
      { ...as, env: { ACTIONS_ID_TOKEN_REQUEST_TOKEN: "the-token", SECRET_OF_JOB: "the-secret" } },
    );
    expect(out).toContain("CNB_LAYERS_DIR");
    expect(out).not.toMatch(/the-token|the-secret|CNB_REGISTRY_AUTH/);
  });

  it("has the machine's authorities, npm's among them, where they are on every machine", async () => {
    const authority = join(playground, "authority.pem");
    writeFileSync(authority, "the machine's\n");
    const env = { npm_config_cafile: authority, SSL_CERT_FILE: authority };
    const told = `echo "$npm_config_cafile" "$SSL_CERT_FILE" >> "$OUT"; cat "$npm_config_cafile" "$SSL_CERT_FILE" >> "$OUT" 2>&1`;
    const { out } = await attempt(told, { ...as, env });
    const place = "/goldenpath/certificates";
    expect(out).toBe(`${place}/npm_config_cafile.pem ${place}/SSL_CERT_FILE.pem\nthe machine's\nthe machine's\n`);
  });

  it("gives the same digest again", async () => {
    const [one, two] = [
      await build({ buildpacks: [shellBuildpack] }, as),
      await build({ buildpacks: [shellBuildpack] }, as),
    ];
    expect(one.outputs["digest"]).toMatch(/^sha256:/);
    expect(two.outputs["digest"]).toBe(one.outputs["digest"]);
    digests.add(one.outputs["digest"] ?? "");
    // Whoever builds, wherever its folder is.
    expect([...digests]).toHaveLength(1);
    const files = await readImage(client, one.outputs["image"] ?? "");
    expect(files.get("layers/test_shell/stuff/copied.txt")).toMatchObject({ content: "hello\n", uid: 1000 });
    expect(files.get("workspace/app.txt")).toMatchObject({ content: "changed\n", uid: 1000 });
  });

  it("has nothing to say of the base, whatever labels a buildpack writes", async () => {
    const labels = ["io.buildpacks.lifecycle.metadata", "io.buildpacks.base.id"].map(
      (key) => `[[labels]]\nkey = "${key}"\nvalue = "evil"\n`,
    );
    const answer = await build(
      {
        buildpacks: [{ id: "test/labels", build: `printf '%s' '${labels.join("")}' > "$CNB_LAYERS_DIR/launch.toml"` }],
      },
      as,
    );
    expect(answer.verdict).toBe("pass");
    const { children } = await fetchImageFacts(client, parseReference(answer.outputs["image"] ?? ""));
    const base = await fetchImageFacts(client, parseReference(runImage));
    expect(children[0]?.config.rootfs.diff_ids[0]).toBe(base.children[0]?.config.rootfs.diff_ids[0]);
  });

  it("tries its own order, and what a buildpack writes of groups and plans leads nowhere", async () => {
    const second = { id: "test/second", build: 'echo evil > "$CNB_LAYERS_DIR/../group.toml"' };
    const first = {
      id: "test/first",
      detect: `for f in /goldenpath/control/order.toml* /goldenpath/control/run.toml*; do ( echo "evil" > "$f" ) 2>/dev/null && exit 1; done; exit 0`,
    };
    const order = `[[order]]\n[[order.group]]\nid = "test/first"\nversion = "1.0.0"\n`;
    const answer = await build({ buildpacks: [first, second], order }, as);
    expect(answer, answer.log.join("\n")).toMatchObject({ verdict: "pass" });
    expect(answer.log.join("\n")).not.toContain("test/second");
  });
});

/** Of the same application, by every kind of user. */
const digests = new Set<string>();

it.runIf(isRoot)("is the root of a build by sudo, as on a hosted runner, with the same digest", async () => {
  await requireCommand("sudo");
  const answer = await build(
    { buildpacks: [shellBuildpack] },
    { user: { uid: 54_322, gid: 54_322 }, launcher: asSudoer(playground) },
  );
  expect(answer.result.error, answer.log.join("\n")).toBeUndefined();
  expect(answer.result.notes.join("\n")).toContain("in namespaces of its own (by sudo), with the root of");
  expect([...digests]).toEqual([answer.outputs["digest"]]);
});

it.runIf(isRoot)("is unpacked once by root, and reused; an ordinary user unpacks it for each build", async () => {
  // What an earlier run of this test left is another builder.
  const more = [{ name: "etc/unique", content: randomUUID() }];
  const parts = { buildpacks: [shellBuildpack], more };
  expect((await build(parts)).log.join("\n")).not.toContain("is unpacked already");
  registry.requests.length = 0;
  expect((await build(parts)).log.join("\n")).toContain("is unpacked already");
  expect(
    registry.requests.filter(({ method, path }) => method === "GET" && /builders\/shell\/blobs/.test(path)).length,
  ).toBeLessThan(2);
  await build(parts, { user: ordinary });
  expect((await build(parts, { user: ordinary })).log.join("\n")).not.toContain("is unpacked already");
});
