import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunFacts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { attestBuild, runOnMain } from "../support/attest-build.ts";
import { cachingBuildpack, installing, reusing } from "../support/caching-buildpack.ts";
import { useTools } from "../support/tools.ts";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  removePlayground,
  renderPolicy,
  runBuild,
  writeFiles,
} from "./build-fixtures.ts";
import type { BuildRunAnswer, BuildRunRequest } from "./build-run.ts";
import { makeShellRoot, pushBuilder, renderBuilder } from "./builder-fixtures.ts";

// What one build leaves for the next, by the real lifecycle; each build has the registry's cache and no other.
const isRoot = process.getuid?.() === 0;
const ordinary = { uid: 54_327, gid: 54_327 };
const users: { name: string; user?: { uid: number; gid: number } }[] = isRoot
  ? [{ name: "as root" }, { name: "as an ordinary user", user: ordinary }]
  : [{ name: "as this user" }];

const tools = useTools("lifecycle", "launcher", "syft");
let registry: RegistryServer;
let client: RegistryClient;
let playground: string;
let runImage: string;
let root: Buffer;
let key: StageKey;

beforeAll(async () => {
  key = await makeKey();
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
let app = 0;
beforeEach(() => {
  app++;
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n", "package.json": "{}", "package-lock.json": "1\n" });
});
afterEach(() => removePlayground(playground));

const onPullRequest: Partial<RunFacts> = { ...runOnMain, sourceRef: "refs/pull/7/merge", event: "pull_request" };

interface More {
  run?: Partial<RunFacts>;
  user?: BuildRunRequest["user"];
  inputs?: Record<string, string>;
  cache?: string;
  /** By a builder image. */
  isContained?: boolean;
  version?: string;
  env?: Record<string, string>;
}

async function build(more: More = {}): Promise<BuildRunAnswer> {
  const { run = runOnMain, user, inputs, cache = "unverified", isContained = false, version = "1.0.0", env } = more;
  const buildpack = { ...cachingBuildpack, version };
  const plain = renderPolicy({
    ...{ host: registry.host, runImage, environments: isContained ? "container" : "host" },
    buildpacks: isContained ? [] : [await pushBuildpack(client, `${registry.host}/buildpacks/caching`, buildpack)],
    ...(isContained
      ? {
          builder: renderBuilder(
            "b",
            await pushBuilder(client, `${registry.host}/builders/b`, { root, buildpacks: [buildpack] }),
          ),
        }
      : {}),
  });
  const policy = plain
    .replace(`"sha256:${"0".repeat(64)}", `, "")
    .replace("  strategies:", `  cache: ${cache}\n  strategies:`)
    .replace(/-----BEGIN[\s\S]*-----END.*$/m, key.publicKeyPem.trim().replaceAll("\n", "\n      "));
  writeFileSync(join(playground, "policy.yaml"), policy);
  const request = {
    inputs: { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app-${app}:one`, ...inputs },
    run,
    ...(user === undefined ? {} : { user }),
  };
  return runBuild(playground, request, env);
}

const text = ({ log }: BuildRunAnswer): string => log.join("\n");

describe.each(users)("a build $name", ({ user }) => {
  it.each([
    { where: "on the host", isContained: false },
    { where: "in a builder image", isContained: true },
  ])("$where leaves what the next one takes, and makes the same image with it as without", async ({ isContained }) => {
    const more = { isContained, ...(user === undefined ? {} : { user }) };
    const first = await build(more);
    expect(first.verdict, text(first)).toBe("pass");
    expect(text(first)).toContain(installing);
    expect(first.outputs["cache"]).toMatch(/@sha256:/);
    const second = await build(more);
    expect(text(second)).toContain(reusing);
    expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    expect(second.outputs["cache"]).toBe(first.outputs["cache"]);
    const notes = second.result.notes.filter((note) => note.startsWith("cache:"));
    expect(notes).toEqual([
      expect.stringMatching(/is used \(written by protected, the same lock files, not attested\)$/),
      expect.stringMatching(/^cache: \d+\.\d MB of it were read; .*saved\)$/),
      expect.stringMatching(/of which 0\.0 MB are new$/),
    ]);
    const without = await build({ ...more, cache: "none" });
    expect(text(without)).toContain(installing);
    expect(without.outputs).toMatchObject({ digest: first.outputs["digest"], cache: "" });
  });
});

describe("a cache that is verified", () => {
  const image = (): string => `${registry.host}/quarantine/app-${app}`;

  const attest = (answer: BuildRunAnswer, run: Partial<RunFacts>, given?: Record<string, string>): Promise<string> =>
    attestBuild(playground, answer, { run, key, ...(given === undefined ? {} : { given }) });
  const withoutLogin = { cache: "verified", inputs: { push: "false" } };

  it("goes with the image to the job that attests, which pushes and signs it, on a protected ref alone", async () => {
    const first = await build(withoutLogin);
    expect(first.verdict, text(first)).toBe("pass");
    expect(first.outputs["cache"]).toMatch(new RegExp(`^${image()}@sha256:`));
    // Pushed nowhere, and attested by nobody: there is none.
    expect(text(await build({ cache: "verified" }))).toContain(installing);
    expect(text(await build({ cache: "verified" }))).toContain("is not used: nobody attested it");
    expect(await attest(first, runOnMain)).toContain("predicates/build-cache/v1");
    const second = await build({ cache: "verified" });
    expect(text(second)).toContain(reusing);
    expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    expect(second.result.notes.join("\n")).toContain("the same lock files, attested");

    // A pull request takes main's, and leaves nothing that counts.
    const proposed = await build({ cache: "verified", run: onPullRequest });
    expect(text(proposed)).toContain(reusing);
    expect(proposed.outputs["cache"]).toBe("");
    const forged = { ...first, outputs: { ...first.outputs } };
    expect(await attest(forged, onPullRequest)).toMatch(
      /is not attested: it says that it was written by 'protected', and this run is of '[0-9a-f]{12}'/,
    );
  });

  it("is not attested where its entry was swapped on the way, and then nobody takes it", async () => {
    const first = await build(withoutLogin);
    expect(first.verdict, text(first)).toBe("pass");
    const { layout = "", cache = "" } = first.outputs;
    const blob = (of: string, digest: string): string =>
      join(of, "cache/blobs/sha256", digest.replace(/^.*sha256:/, ""));
    const entry = JSON.parse(readFileSync(blob(layout, cache), "utf8")) as { layers: { digest: string }[] };
    const layer = entry.layers[0]?.digest ?? "";
    const spoilt = (name: string, change: (copy: string) => void): string => {
      const copy = join(playground, name);
      cpSync(layout, copy, { recursive: true });
      change(copy);
      return copy;
    };
    // Another build's, whole and well formed, in the place of this one's.
    writeFiles(join(playground, "app"), { "package-lock.json": "poisoned\n" });
    const other = await build(withoutLogin);
    expect(other.verdict, text(other)).toBe("pass");
    const poisoned = spoilt("poisoned", (copy) =>
      cpSync(blob(other.outputs["layout"] ?? "", other.outputs["cache"] ?? ""), blob(copy, cache)),
    );
    writeFiles(join(playground, "app"), { "package-lock.json": "1\n" });

    const swapped = { layout: poisoned };
    const otherBytes = /is not attested: its layout has other bytes under its digest/;
    expect(await attest(first, runOnMain, swapped)).toMatch(otherBytes);
    const changed = spoilt("changed", (copy) => writeFileSync(blob(copy, layer), "poisoned"));
    expect(await attest(first, runOnMain, { layout: changed })).toMatch(/is not attested: /);
    const missing = spoilt("missing", (copy) => rmSync(blob(copy, layer)));
    expect(await attest(first, runOnMain, { layout: missing })).toMatch(/is not attested: /);
    const elsewhere = cache.replace("/quarantine/", "/elsewhere/");
    expect(await attest(first, runOnMain, { cache: elsewhere })).toMatch(
      /not named by digest in the image's repository/,
    );
    const after = await build({ cache: "verified" });
    expect(text(after)).toContain(installing);
    expect(text(after)).not.toContain(reusing);

    // And beside them, as it was left.
    expect(await attest(first, runOnMain)).toContain("predicates/build-cache/v1");
    expect(text(await build({ cache: "verified" }))).toContain(reusing);
  });
});

describe("a cache that is broken", () => {
  it("is said, and costs what it would have saved", async () => {
    const first = await build();
    const entry = await client.fetchManifest(parseReference(first.outputs["cache"] ?? ""));
    const [layer] = entry.kind === "image" ? entry.manifest.layers : [];
    const away = {
      method: "GET",
      path: new RegExp(`/blobs/${layer?.digest}`),
      action: { kind: "status", status: 404 },
    };
    registry.faults = [away] as unknown as typeof registry.faults;
    try {
      const second = await build();
      expect(second.verdict, text(second)).toBe("pass");
      expect(text(second)).toContain(installing);
      expect(second.result.notes.join("\n")).toContain("cache: the build goes on without: ");
      expect(second.outputs["digest"]).toBe(first.outputs["digest"]);
    } finally {
      registry.faults = [];
    }
  });
});
