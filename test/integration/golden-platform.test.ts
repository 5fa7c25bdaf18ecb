import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApt, parseDistribution } from "../../examples/golden-platform/apt.ts";
import { buildGoldenBase, closePackages } from "../../examples/golden-platform/base.ts";
import type { FileTree } from "../../examples/golden-platform/file-tree.ts";
import type { BuiltImage } from "../../examples/golden-platform/image.ts";
import { composeRoot, resolvePath } from "../../examples/golden-platform/root-tree.ts";
import {
  configOf,
  hostDistribution,
  type LayerEntry,
  readLayer,
  withSource,
  writeLayout,
} from "../support/golden-platform.ts";
import { requireCommand, requireTool } from "../support/tools.ts";

const ports = silentPorts();
let work: string;

// biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern, and takes no other name for "nothing"
beforeAll(async ({}, suite) => {
  await requireCommand("apt-get", suite);
  await requireCommand("dpkg-deb", suite);
  work = mkdtempSync(join(tmpdir(), "golden-platform-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const debian = parseDistribution(
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
);
const file = (content: string) => ({ type: "file", mode: 0o644, content: Buffer.from(content) }) as const;
const unpacked = (name: string, files: [string, ReturnType<typeof file> | { type: "symlink"; target: string }][]) => ({
  name,
  control: `Package: ${name}\nVersion: 1\n`,
  md5sums: undefined,
  files: new Map([["etc/os-release", file("ID=debian\n")] as const, ...files]) as FileTree,
});

describe("a root made of packages", () => {
  it("refuses two packages with different files at one path", () => {
    const packages = [unpacked("a", [["lib/x", file("1")]]), unpacked("b", [["usr/lib/x", file("2")]])];
    expect(() => composeRoot(packages, debian)).toThrow("package b and another one have different files at /usr/lib/x");
  });

  it("refuses a library's link that leads nowhere", () => {
    const packages = [unpacked("a", [["lib64/ld-linux.so.2", { type: "symlink", target: "/lib/ld-2.36.so" }]])];
    expect(() => composeRoot(packages, debian)).toThrow("/usr/lib64/ld-linux.so.2 is a link to /lib/ld-2.36.so");
  });

  it("keeps links working that move into /usr", () => {
    const root = composeRoot(
      [
        unpacked("a", [
          ["usr/share/real", file("")],
          ["lib/one", { type: "symlink", target: "../usr/share/real" }],
          ["lib/two", { type: "symlink", target: "one" }],
        ]),
      ],
      debian,
    );
    expect(root.get("lib")).toEqual({ type: "symlink", target: "usr/lib" });
    expect(resolvePath(root, "lib/two")).toBe("usr/share/real");
  });

  it("refuses a dependency that no archive has", async () => {
    const apt = { describe: async () => new Map([["a", { name: "a", version: "1", dependencies: [["b", "c"]] }]]) };
    await expect(closePackages(apt, { packages: ["a"], notNeeded: {} })).rejects.toMatchObject({
      code: "package-unknown",
    });
    await expect(closePackages(apt, { packages: ["a"], notNeeded: { c: "why" } })).resolves.toHaveLength(1);
  });

  it("refuses other distributions", () => {
    expect(() => parseDistribution('ID=alpine\nVERSION_ID=3.20\nPRETTY_NAME="Alpine Linux"')).toThrow(UserError);
    expect(() => parseDistribution("")).toThrow("unknown");
  });
});

describe("the golden base", () => {
  let golden: BuiltImage;
  let entries: Map<string, LayerEntry>;
  beforeAll(async () => {
    golden = await buildGoldenBase({ outputDirectory: join(work, "one"), ports, env: process.env });
    entries = await readLayer(golden);
  });

  it("refuses, with what to do instead, where apt is missing", async () => {
    const failure = await buildGoldenBase({ outputDirectory: join(work, "none"), ports, env: { PATH: work } }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(UserError);
    expect(failure).toMatchObject({ code: "tool-missing", wayOut: expect.stringContaining("Debian or Ubuntu") });
    expect(readdirSync(join(work, "none"))).toEqual([]);
  });

  it("refuses when one of the archives does not answer", async () => {
    const directory = join(work, "broken-archive");
    const options = {
      directory,
      distribution: hostDistribution(),
      env: withSource("deb [trusted=yes] http://127.0.0.1:1 ./", join(work, "sources-broken")),
    };
    await expect(openApt(options)).rejects.toBeInstanceOf(InfrastructureError);
  });

  it.each([
    ["without a Release file", undefined],
    [
      "with its own Release file",
      "Origin: Vendor\nSuite: stable\nCodename: stable\nDate: Sat, 01 Jan 2000 00:00:00 UTC\n",
    ],
  ])("takes no package of another vendor's archive %s, however new", async (name, release) => {
    const archive = join(work, `vendor ${name}`.replaceAll(" ", "-"));
    mkdirSync(join(archive, "libc6/DEBIAN"), { recursive: true });
    const control =
      "Package: libc6\nVersion: 999\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: not libc6\n";
    writeFileSync(join(archive, "libc6/DEBIAN/control"), control);
    spawnSync("dpkg-deb", ["--build", join(archive, "libc6"), join(archive, "libc6.deb")]);
    const entry = (content: Buffer | string): [string, number] => [
      createHash("sha256").update(content).digest("hex"),
      content.length,
    ];
    const [hash, size] = entry(readFileSync(join(archive, "libc6.deb")));
    const index = `${control}Filename: ./libc6.deb\nSize: ${size}\nSHA256: ${hash}\n`;
    writeFileSync(join(archive, "Packages"), index);
    if (release !== undefined)
      writeFileSync(join(archive, "Release"), `${release}SHA256:\n ${entry(index).join(" ")} Packages\n`);
    const options = {
      distribution: hostDistribution(),
      env: withSource(`deb [trusted=yes] file:${archive} ./`, join(archive, "sources")),
    };
    const apt = await openApt({ ...options, directory: join(archive, "apt") });
    expect((await apt.describe(["libc6"])).get("libc6")?.version).not.toBe("999");
    // Without the restriction apt does prefer it: otherwise this test would show nothing.
    writeFileSync(join(archive, "apt/preferences"), "");
    expect((await apt.describe(["libc6"])).get("libc6")?.version).toBe("999");
  });

  it("is the same digest from the same packages, wherever it is made", async () => {
    const again = await buildGoldenBase({ outputDirectory: join(work, "two"), ports, env: process.env });
    expect(again.digest).toBe(golden.digest);
    expect(again.layers[0]?.path).not.toBe(golden.layers[0]?.path);
  });

  it("is kept, and made again when what was kept is damaged", async () => {
    cpSync(join(work, "one"), join(work, "kept"), { recursive: true });
    const offline = { outputDirectory: join(work, "kept"), ports, env: { PATH: work } };
    const kept = await buildGoldenBase(offline);
    expect(kept.digest).toBe(golden.digest);
    const path = kept.layers[0]?.path ?? "";
    const bytes = readFileSync(path);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await expect(buildGoldenBase(offline)).rejects.toMatchObject({ code: "tool-missing" });
  });

  it("takes its times from SOURCE_DATE_EPOCH", async () => {
    const dated = await buildGoldenBase({
      outputDirectory: join(work, "one"),
      ports,
      env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" },
    });
    expect(dated.digest).not.toBe(golden.digest);
    expect(configOf(dated).created).toBe("2023-11-14T22:13:20Z");
  });

  it("is a run image by the Buildpacks specification, for an ordinary user", () => {
    const config = configOf(golden);
    expect(config.os).toBe("linux");
    expect(config.config?.User).toBe("1000:1000");
    expect(config.config?.Env).toEqual(expect.arrayContaining(["CNB_USER_ID=1000", "CNB_GROUP_ID=1000"]));
    const { id, version } = hostDistribution();
    expect(config.config?.Labels).toMatchObject({
      "io.buildpacks.base.id": "io.goldenpath.example.golden",
      "io.buildpacks.base.distro.name": id,
      "io.buildpacks.base.distro.version": version,
    });
    expect(config.rootfs.diff_ids).toEqual(golden.layers.map((layer) => layer.diffId));
  });

  it("holds what a program needs to start, and no shell", () => {
    expect(entries.get("lib")).toMatchObject({ linkname: "usr/lib" });
    const loader = [...entries.keys()].find((name) => /^usr\/lib(?:64)?\/ld-linux-[^/]+$/.test(name)) ?? "";
    const target = (entries.get(loader)?.linkname ?? "").replace(/^\//, "usr/");
    expect(entries.get(target)).toMatchObject({ type: "file" });
    expect(entries.get("etc/ssl/certs/ca-certificates.crt")?.content).toContain("-----BEGIN CERTIFICATE-----");
    expect(entries.get("etc/passwd")?.content).toContain("cnb:x:1000:1000:");
    expect(entries.get("tmp")).toMatchObject({ mode: 0o1777 });
    expect(entries.get("home/cnb")).toMatchObject({ uid: 1000, gid: 1000 });
    expect(
      [...entries.keys()].filter(
        (name) => /(?:^|\/)(?:sh|bash|dash|apt|dpkg)$/.test(name) && entries.get(name)?.type === "file",
      ),
    ).toEqual([]);
    const others = [...entries].filter(([name, entry]) => name !== "home/cnb" && (entry.uid !== 0 || entry.gid !== 0));
    expect(others).toEqual([]);
  });

  it("is seen by a scanner, package by package", async () => {
    const syft = await requireTool("syft");
    const result = spawnSync(
      syft,
      ["scan", `oci-dir:${writeLayout(golden, join(work, "layout"))}`, "-o", "cyclonedx-json"],
      {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOME: work, SYFT_CHECK_FOR_APP_UPDATE: "false" },
        maxBuffer: 1 << 28,
      },
    );
    expect(result.status, result.stderr).toBe(0);
    const components = (JSON.parse(result.stdout) as { components: { name: string; purl?: string }[] }).components;
    const debs = components
      .filter((component) => component.purl?.startsWith("pkg:deb/"))
      .map((component) => component.name);
    expect(debs).toEqual(
      expect.arrayContaining(["base-files", "ca-certificates", "libc6", "libgcc-s1", "libstdc++6", "tzdata", "zlib1g"]),
    );
  });

  it("shares no layer with the base that nobody approved", async () => {
    const other = await buildGoldenBase({
      outputDirectory: join(work, "one"),
      ports,
      env: process.env,
      variant: "other",
    });
    expect(other.layers[0]?.diffId).not.toBe(golden.layers[0]?.diffId);
    expect(configOf(other).config?.Labels?.["io.buildpacks.base.id"]).toBe("io.goldenpath.example.other");
    expect((await readLayer(other)).has("usr/lib/os-release")).toBe(true);
  });
});
