import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Application, copyApplication, runBuildpack } from "../support/golden-platform.ts";
import { type NpmPackage, type NpmRegistry, startNpmRegistry } from "../support/npm-registry.ts";

const one = "1.0.0";

/** Each way in which npm comes to install a package, or not to. */
const packages: readonly NpmPackage[] = [
  {
    name: "@t/app-needs",
    dependencies: { "@t/base": one },
    optionalDependencies: { "@t/both": one, "@t/extra": one, "@t/mac": one, "@t/gone": one },
    peerDependencies: { "@t/peer": one },
  },
  { name: "@t/base" },
  { name: "@t/both" },
  { name: "@t/extra", dependencies: { "@t/extra-needs": one } },
  { name: "@t/extra-needs" },
  { name: "@t/mac", os: ["darwin"], dependencies: { "@t/mac-needs": one } },
  { name: "@t/mac-needs" },
  { name: "@t/gone", dependencies: { "@t/gone-needs": one }, gone: true },
  { name: "@t/gone-needs" },
  { name: "@t/peer" },
  { name: "@t/real" },
  { name: "@t/bundle", dependencies: { "@t/inner": one }, bundleDependencies: ["@t/inner"] },
  { name: "@t/inner" },
  { name: "@t/tool", dependencies: { "@t/tool-needs": one, "@t/base": one } },
  { name: "@t/tool-needs" },
];

const manifest = {
  name: "kinds",
  version: one,
  scripts: { start: "node server.js" },
  dependencies: { "@t/app-needs": one, "@t/bundle": one, aka: "npm:@t/real@1.0.0" },
  devDependencies: { "@t/tool": one, "@t/both": one },
};

const work = mkdtempSync(join(tmpdir(), "example-sbom-"));
let registry: NpmRegistry;
beforeAll(async () => {
  registry = await startNpmRegistry(join(work, "packages"), packages);
});
afterAll(async () => {
  await registry?.close();
  rmSync(work, { recursive: true, force: true });
});

/** An application with a lock file that npm itself wrote. */
function application(name: string, { npmrc = "", lockVersion = 3, mark = "" } = {}): Application {
  return copyApplication(join(work, name), (directory) => {
    const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
    write("package.json", JSON.stringify(manifest));
    write(".npmrc", `@t:registry=${registry.url}\n`);
    rmSync(join(directory, "package-lock.json"), { force: true });
    const args = [
      "install",
      "--package-lock-only",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `--lockfile-version=${lockVersion}`,
    ];
    execFileSync("npm", args, {
      cwd: directory,
      stdio: "pipe",
      env: { ...process.env, npm_config_cache: join(work, "npm-cache") },
    });
    write(".npmrc", `@t:registry=${registry.url}\n${npmrc}`);
    for (const file of ["package.json", "package-lock.json"])
      write(file, mark + readFileSync(join(directory, file), "utf8"));
  });
}

/** Names with versions of what lies in a folder of packages, at any depth. */
function readInstalled(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => /(?:^|node_modules\/)(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path))
    .map((path) => JSON.parse(readFileSync(join(folder, path), "utf8")) as { name: string; version: string })
    .map(({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`)
    .toSorted();
}

function readSbom(app: Application): string[] {
  const sbom = JSON.parse(readFileSync(join(app.layers, "modules.sbom.cdx.json"), "utf8")) as {
    components: { purl: string }[];
  };
  return sbom.components.map(({ purl }) => purl).toSorted();
}

const expected = ["app-needs", "base", "both", "bundle", "extra", "extra-needs", "inner", "peer", "real"]
  .map((name) => `pkg:npm/%40t/${name}@1.0.0`)
  .toSorted();

describe("the example buildpack's SBOM is what npm installs", () => {
  it("of each kind, also when the layer is kept and only its description comes back", () => {
    // The two files may begin with a byte order mark: npm passes over it.
    const app = application("kinds", { mark: "\uFEFF" });
    const detected = runBuildpack("detect", app);
    expect(detected.status, detected.stderr).toBe(0);
    const built = runBuildpack("build", app);
    expect(built.status, built.stderr).toBe(0);
    expect(readInstalled(join(app.layers, "modules/node_modules"))).toEqual(expected);
    expect(readSbom(app)).toEqual(expected);

    rmSync(join(app.layers, "modules"), { recursive: true });
    rmSync(join(app.layers, "modules.sbom.cdx.json"));
    writeFileSync(join(app.directory, ".npmrc"), `@t:registry=${registry.url}\n`);
    const again = runBuildpack("build", app);
    expect(again.stdout, again.stderr).toContain("Keeping dependencies");
    expect(readSbom(app)).toEqual(expected);
  });

  it("whatever .npmrc says of omitting and including, from a lock file of version 2", () => {
    const app = application("settings", {
      lockVersion: 2,
      npmrc: "omit=optional\nomit=peer\ninclude=dev\noptional=false\n",
    });
    const built = runBuildpack("build", app);
    expect(built.status, built.stderr).toBe(0);
    expect(readInstalled(join(app.layers, "modules/node_modules"))).toEqual(expected);
    expect(readSbom(app)).toEqual(expected);
  });

  it("or there is none: a setting that makes npm install what is for development is named", () => {
    const built = runBuildpack("build", application("development", { npmrc: "production=false\n" }));
    expect(built.status).toBe(1);
    expect(built.stderr).toContain("npm installed node_modules/@t/tool, which is not for production. Look in .npmrc");
  });
});
