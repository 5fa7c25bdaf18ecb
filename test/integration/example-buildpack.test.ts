import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, describe, expect, it } from "vitest";
import { packageBuildpack } from "../../examples/golden-platform/buildpackage.ts";
import { type BuiltImage, pushImage } from "../../examples/golden-platform/image.ts";
import {
  type Application,
  askForPage,
  configOf,
  copyApplication,
  exampleBuildpack,
  examples,
  readLayer,
  runBuildpack,
} from "../support/golden-platform.ts";

const work = mkdtempSync(join(tmpdir(), "example-buildpack-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe("the buildpackage", () => {
  const broken = (name: string, change: (directory: string) => void): Promise<BuiltImage> => {
    const directory = join(work, `buildpack-${name}`);
    cpSync(exampleBuildpack, directory, { recursive: true });
    change(directory);
    return packageBuildpack(directory, { outputDirectory: join(work, "packages"), env: {} });
  };

  it.each([
    ["descriptor", (directory: string) => rmSync(join(directory, "buildpack.toml")), "no buildpack.toml"],
    ["detect", (directory: string) => rmSync(join(directory, "bin/detect")), "no bin/detect"],
    ["toml", (directory: string) => appendFileSync(join(directory, "buildpack.toml"), "\n[["), "not TOML"],
    [
      "version",
      (directory: string) => {
        const path = join(directory, "buildpack.toml");
        writeFileSync(path, readFileSync(path, "utf8").replace('version = "0.1.0"', 'version = "../../x"'));
      },
      "version",
    ],
  ])("refuses a folder without a good %s", async (name, change, message) => {
    const failure = await broken(name, change).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "buildpack-invalid", message: expect.stringContaining(message) });
  });

  it("has the specification's labels and its one layer, and is the same digest again", async () => {
    const image = await packageBuildpack(exampleBuildpack, { outputDirectory: join(work, "packages"), env: {} });
    const config = configOf(image);
    const label = (name: string): unknown => JSON.parse(config.config?.Labels?.[name] ?? "null");
    expect(label("io.buildpacks.buildpackage.metadata")).toMatchObject({
      id: "goldenpath/example-node",
      version: "0.1.0",
      stacks: [{ id: "*" }],
    });
    expect(label("io.buildpacks.buildpack.layers")).toMatchObject({
      "goldenpath/example-node": { "0.1.0": { api: "0.11", layerDiffID: config.rootfs.diff_ids[0] } },
    });
    expect(image.layers).toHaveLength(1);
    expect(digestOf(gunzipSync(readFileSync(image.layers[0]?.path ?? "")))).toBe(config.rootfs.diff_ids[0]);
    const entries = await readLayer(image);
    const root = "/cnb/buildpacks/goldenpath_example-node";
    expect([...entries.keys()].slice(0, 2)).toEqual([root, `${root}/0.1.0`]);
    expect(entries.has(`${root}/0.1.0/buildpack.toml`)).toBe(true);
    // A checkout on another file system may have lost the modes; the image must not show it.
    const again = await broken("modes", (directory) => chmodSync(join(directory, "bin/build"), 0o600));
    expect(again.digest).toBe(image.digest);
    expect((await readLayer(again)).get(`${root}/0.1.0/bin/build`)).toMatchObject({ mode: 0o755 });
  });
});

describe("pushing an image", () => {
  it("gives the registry the same digest, once by tag, and sends no layer twice", async () => {
    const image = await packageBuildpack(exampleBuildpack, { outputDirectory: join(work, "packages"), env: {} });
    const registry = await startRegistry();
    const client = createRegistryClient({ ports: silentPorts(), env: { HOME: work } });
    try {
      const repository = parseRepository(`${registry.host}/platform/buildpack`);
      await expect(pushImage(client, repository, image, "latest")).resolves.toBe(image.digest);
      const fetched = await client.fetchManifest({ ...repository, tag: "latest" });
      expect(fetched.digest).toBe(image.digest);
      const layer = fetched.kind === "image" ? fetched.manifest.layers[0] : undefined;
      if (layer === undefined) throw new Error("the image has no layer");
      expect(Buffer.from(await client.fetchBlob(repository, layer))).toEqual(readFileSync(image.layers[0]?.path ?? ""));
      const sent = client.traffic.bytesSent;
      await pushImage(client, repository, image, "again");
      expect(client.traffic.bytesSent - sent).toBeLessThan(layer.size);
    } finally {
      await client.close();
      await registry.close();
    }
  });
});

describe("the Node.js buildpack", () => {
  const application = (name: string, change?: (directory: string) => void): Application =>
    copyApplication(join(work, `app ${name}`), change);

  it("takes an application without a lock file where the platform says so, else says what to do", () => {
    const strict = join(work, "buildpack-strict");
    cpSync(exampleBuildpack, strict, { recursive: true, dereference: true });
    const path = join(strict, "buildpack.toml");
    writeFileSync(path, readFileSync(path, "utf8").replace('missing = "resolve"', 'missing = "refuse"'));
    const app = application("no-lock", (directory) => rmSync(join(directory, "package-lock.json")));
    const result = runBuildpack("detect", app, strict);
    expect(result.status).toBe(100);
    expect(result.stderr).toContain("There is no package-lock.json. Run `npm install --package-lock-only`");
    expect(runBuildpack("detect", app).status).toBe(0);
  });

  it.each([
    ["that lists nothing", '{"lockfileVersion":1}', "lists no packages"],
    ["cut in half", '{"lockfileVersion":3,"pack', "can't be read"],
  ])("does not take a lock file %s", (name, content, message) => {
    const app = application(`lock ${name}`, (directory) =>
      writeFileSync(join(directory, "package-lock.json"), content),
    );
    const result = runBuildpack("detect", app);
    expect(result.status).toBe(100);
    expect(result.stderr).toContain(message);
  });

  it("installs no runtime that differs from its pin", () => {
    const changed = join(work, "buildpack-pin");
    cpSync(exampleBuildpack, changed, { recursive: true });
    const path = join(changed, "buildpack.toml");
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(/(integrity-\w+ = )"sha512-..../g, '$1"sha512-AAAA'));
    const app = application("pin");
    const result = runBuildpack("build", app, changed);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain("its integrity differs. Nothing of it is used.");
    expect(existsSync(join(app.layers, "node/bin/node"))).toBe(false);
    expect(existsSync(join(app.layers, "node.toml"))).toBe(false);
  });

  it.each([
    ["a dependency without a hash", { integrity: undefined }, "no integrity for node_modules/lodash"],
    ["a dependency with another hash", { integrity: `sha512-${"A".repeat(86)}==` }, "its integrity differs"],
    ["a dependency in another folder", { link: true, resolved: "../lodash" }, "another folder"],
  ])("refuses %s", (name, change, message) => {
    const app = application(name, (directory) => {
      const path = join(directory, "package-lock.json");
      const lock = JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, object> };
      lock.packages["node_modules/lodash"] = { ...lock.packages["node_modules/lodash"], ...change };
      writeFileSync(path, JSON.stringify(lock));
    });
    const result = runBuildpack("build", app);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(message);
    expect(existsSync(join(app.layers, "modules.toml"))).toBe(false);
  });

  it.each([
    ["node server.js && rm -rf /", "needs a shell, the run image has none"],
    ["nodemon server.js", "has node and not nodemon"],
  ])("refuses the start command '%s'", (start, message) => {
    const app = application(`start ${start.slice(0, 6)}`, (directory) => {
      const path = join(directory, "package.json");
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), scripts: { start } }));
    });
    const result = runBuildpack("build", app);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(message);
  });

  it("builds an application that serves its page, describes it, and keeps its layers", async () => {
    const addSecret = (directory: string): void =>
      writeFileSync(join(directory, ".npmrc"), "//registry.example/:_authToken=secret\n");
    const app = application("web", addSecret);
    expect(runBuildpack("detect", app).status).toBe(0);
    const result = runBuildpack("build", app);
    expect(result.status, result.stderr).toBe(0);
    expect(readFileSync(join(app.layers, "launch.toml"), "utf8")).toContain('command = ["node", "server.js"]');
    expect(readdirSync(join(app.layers, "node")).sort()).toEqual(["bin", "env.launch"]);
    expect(readdirSync(join(app.layers, "node/bin"))).toEqual(["node"]);
    expect(statSync(join(app.layers, "node/bin/node")).mode & 0o755).toBe(0o755);
    expect(readdirSync(join(app.layers, "modules"))).toEqual(["node_modules"]);
    expect(existsSync(join(app.layers, "modules/node_modules/.package-lock.json"))).toBe(false);
    expect(existsSync(join(app.directory, ".npmrc"))).toBe(false);

    const lock = JSON.parse(readFileSync(join(app.directory, "package-lock.json"), "utf8")) as {
      packages: Record<string, { integrity: string }>;
    };
    const sbom = JSON.parse(readFileSync(join(app.layers, "modules.sbom.cdx.json"), "utf8")) as Sbom;
    expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
    expect(sbom.components).toHaveLength(Object.keys(lock.packages).length - 1);
    const lodash = sbom.components.find((component) => component.purl === "pkg:npm/lodash@4.18.1");
    const hash = Buffer.from(lock.packages["node_modules/lodash"]?.integrity.slice(7) ?? "", "base64").toString("hex");
    expect(lodash).toMatchObject({ hashes: [{ alg: "SHA-512", content: hash }], licenses: [{ expression: "MIT" }] });
    const refs = new Set(sbom.components.map((component) => component["bom-ref"]));
    expect(refs.size).toBe(sbom.components.length);
    expect(sbom.dependencies.flatMap((item) => item.dependsOn).filter((ref) => !refs.has(ref))).toEqual([]);
    expect(sbom.dependencies[0]?.dependsOn).toHaveLength(2);

    await expect(askForPage(app)).resolves.toContain("<h1>Hello, world</h1>");

    // What the lifecycle restores from the earlier image: descriptions without content.
    rmSync(join(app.layers, "node"), { recursive: true });
    rmSync(join(app.layers, "modules"), { recursive: true });
    addSecret(app.directory);
    const second = runBuildpack("build", app);
    expect(second.status, second.stderr).toBe(0);
    expect(second.stdout).toMatch(/Keeping Node\.js [\s\S]*Keeping dependencies/);
    expect(existsSync(join(app.layers, "modules"))).toBe(false);
    expect(existsSync(join(app.directory, ".npmrc"))).toBe(false);

    // Another lock file is another layer; the runtime stays.
    appendFileSync(join(app.directory, "package-lock.json"), "\n");
    const third = runBuildpack("build", app);
    expect(third.stdout).toMatch(/Keeping Node\.js [\s\S]*Installing dependencies/);
  });
});

describe("the example applications", () => {
  const read = (app: string, name: string): string => readFileSync(join(examples, "apps", app, name), "utf8");

  it.each(["web-vulnerable", "web-foreign-base"])("%s is the service of web, to the byte", (app) => {
    expect(read(app, "server.js")).toBe(read("web", "server.js"));
  });

  it.each([
    ["web", "4.18.1"],
    ["web-vulnerable", "4.17.20"],
    ["web-foreign-base", "4.18.1"],
  ])("%s has lodash %s, and a lock file that names no host", (app, version) => {
    const lock = JSON.parse(read(app, "package-lock.json")) as {
      packages: Record<string, { version: string; resolved?: string; integrity?: string }>;
    };
    expect(lock.packages["node_modules/lodash"]?.version).toBe(version);
    for (const [path, entry] of Object.entries(lock.packages)) {
      expect(entry.resolved, path).toBeUndefined();
      if (path !== "") expect(entry.integrity, path).toMatch(/^sha512-/);
    }
  });
});

interface Sbom {
  components: { "bom-ref": string; purl: string; hashes: object[]; licenses: object[] }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}
