import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { productionTools } from "@goldenpath/core/tools/lock";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  debianRelease,
  dpkgStanza,
  grypePath,
  libcVersions,
  pushImage,
  root,
  scan,
  syftPath,
  tell,
  useScanWorld,
} from "../support/scan-world.ts";

// Programs that judge, in places that others can write to: each says the right version, and finds nothing.
useScanWorld();

const genuine = { syft: () => syftPath(), grype: () => grypePath() };
const names = ["syft", "grype"] as const;
type Name = (typeof names)[number];
const locked = (name: Name) => productionTools.find((tool) => tool.name === name);
const finding = `scan.severity: CVE-2023-4911 in libc6 ${libcVersions.vulnerable}`;
let image = "";
let place = "";
let mark = "";

beforeAll(async () => {
  const { reference } = await pushImage([
    { "etc/os-release": debianRelease, "var/lib/dpkg/status": dpkgStanza("libc6", libcVersions.vulnerable, "glibc") },
  ]);
  image = reference;
});
beforeEach(async () => {
  place = await mkdtemp(join(root, "poisoned-"));
  mark = join(place, "it-was-run");
});

/** What it prints is what the genuine one would print of an image without a finding. */
const liar = (name: Name): string =>
  [
    "#!/bin/sh",
    `: > '${mark}'`,
    `[ "$1" = version ] && exec printf '{"version": "${locked(name)?.version}"}\\n'`,
    name === "syft"
      ? `exec printf '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}\\n'`
      : `exec printf '{"matches":[],"source":{},"distro":{},"descriptor":{"name":"grype","version":"${locked(name)?.version}"}}\\n'`,
    "",
  ].join("\n");

async function install(path: string, content: string | { copyOf: string }): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (typeof content === "string") await writeFile(path, content);
  else await copyFile(content.copyOf, path);
  await chmod(path, 0o755);
}

const cachePath = (name: Name): string => join(place, "cache", name, locked(name)?.version ?? "", "linux-amd64", name);
/** Only what a test puts there, and no Go to build with: what is refused can not be had elsewhere. */
const surroundings = () => ({ PATH: join(place, "bin"), GOLDENPATH_TOOL_CACHE: join(place, "cache") });

async function installBeside(liarName: Name, at: (name: Name) => string, twin = false): Promise<void> {
  for (const name of names)
    await install(at(name), name === liarName && !twin ? liar(name) : { copyOf: genuine[name]() });
}

describe.each(names)("a %s that lies", (name) => {
  const inPath = (each: Name): string => join(place, "bin", each);

  test("in PATH is not run, whatever version it says", async () => {
    await installBeside(name, inPath);
    const outcome = await scan(image, { env: surroundings() });
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.message).toContain(
      `path: ${inPath(name)} is not ${name} ${locked(name)?.version} byte for byte`,
    );
    expect(existsSync(mark)).toBe(false);
  });

  test("in PATH is passed over where the cache has the genuine one", async () => {
    await installBeside(name, inPath);
    await install(cachePath(name), { copyOf: genuine[name]() });
    expect(tell(await scan(image, { env: surroundings() }))).toEqual({ verdict: "fail", found: [finding] });
    expect(existsSync(mark)).toBe(false);
  });

  test("in the cache, put in the genuine one's place, is not run, and is removed", async () => {
    await installBeside(name, cachePath);
    const outcome = await scan(image, { env: surroundings() });
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.message).toContain(`${cachePath(name)} was changed`);
    expect(existsSync(cachePath(name))).toBe(false);
    expect(existsSync(mark)).toBe(false);
  });

  test.each([
    ["PATH", inPath],
    ["the cache", cachePath],
  ])("the twin in %s is the genuine one, recorded with its hash, and runs", async (_where, at) => {
    await installBeside(name, at, true);
    const outcome = await scan(image, { env: surroundings() });
    expect(tell(outcome)).toEqual({ verdict: "fail", found: [finding] });
    expect(outcome.result.tools).toContainEqual({
      name,
      version: locked(name)?.version,
      sha256: locked(name)?.builds["linux-amd64"],
    });
    expect((await readFile(at(name))).equals(await readFile(genuine[name]()))).toBe(true);
  });
});
