import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApplicationError, readApplication, readStartCommand } from "./application.mjs";
import { planInstalled, renderRuntimeSbom, renderSbom } from "./sbom.mjs";
import { readTable, tomlString } from "./toml.mjs";

/** What npm calls the processors that the Buildpack specification names as Go does. */
const processors = { amd64: "x64", arm64: "arm64" };

/** Two launch layers, `node` and `modules`, a CycloneDX document for each, and the process `web`. */
export function build(environment, directory) {
  // The application runs as another user than the one who builds it, and has to be able to read what is made here.
  process.umask(0o022);
  const { env, release } = withNpmCache(environment);
  try {
    const { manifest, lock } = readApplication(directory);
    const command = readStartCommand(manifest, directory);
    checkSources(lock);
    const descriptor = readFileSync(join(env.CNB_BUILDPACK_DIR, "buildpack.toml"), "utf8");
    const version = readTable(descriptor, "buildpack").version;
    const runtime = readTable(descriptor, "metadata.node");
    const architecture = env.CNB_TARGET_ARCH || (process.arch === "x64" ? "amd64" : process.arch);
    const target = { cpu: processors[architecture], integrity: runtime[`integrity-${architecture}`] };
    if (target.cpu === undefined || target.integrity === undefined) {
      throw new ApplicationError(
        `There is no Node.js runtime for ${architecture} in this buildpack; it has amd64 and arm64.`,
      );
    }
    const layers = env.CNB_LAYERS_DIR;
    contributeLayer(
      layers,
      "node",
      keyOf(version, runtime.version, target.integrity),
      `Node.js ${runtime.version}`,
      (layer) => installRuntime(layer, runtime.version, target, env),
    );
    writeJson(join(layers, "node.sbom.cdx.json"), renderRuntimeSbom(runtime.version, target.integrity));

    const inputs = ["package.json", "package-lock.json", ".npmrc"].filter((name) => existsSync(join(directory, name)));
    const key = keyOf(
      version,
      architecture,
      whatToInstall.join(" "),
      ...inputs.map((name) => readFileSync(join(directory, name))),
    );
    const planned = planInstalled(lock, target);
    const { absent } = contributeLayer(layers, "modules", key, "dependencies from package-lock.json", (layer) => {
      installDependencies(layer, directory, inputs, architecture, target.cpu, env);
      return { absent: findAbsent(layer, lock, planned).join(" ") };
    });
    const left = new Set(absent.split(" "));
    const present = new Set(planned.map(({ path }) => path).filter((path) => !left.has(path)));
    // With a credential in it, it must not be in the image; nothing needs it there.
    rmSync(join(directory, ".npmrc"), { force: true });
    writeJson(join(layers, "modules.sbom.cdx.json"), renderSbom(manifest, lock, present));
    linkModules(directory, join(layers, "modules", "node_modules"));
    writeFileSync(
      join(layers, "launch.toml"),
      `[[processes]]\ntype = "web"\ncommand = [${command.map(tomlString).join(", ")}]\ndefault = true\n`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ApplicationError)) throw error;
    process.stderr.write(`Node.js: ${error.message}\n`);
    return 1;
  } finally {
    release();
  }
}

/**
 * Only what a registry sends and the lock file knows the hash of is installed: npm takes an entry without `integrity`
 * as it comes. What lies inside another package's tarball (`inBundle`) is covered by that one's hash.
 */
function checkSources(lock) {
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === "" || entry.inBundle === true) continue;
    if (entry.link === true || !path.startsWith("node_modules/")) {
      throw new ApplicationError(
        `package-lock.json has ${path} from another folder. Workspaces and \`file:\` dependencies are not supported here.`,
      );
    }
    if (typeof entry.integrity !== "string") {
      throw new ApplicationError(
        `package-lock.json has no integrity for ${path}, so what is downloaded could not be checked. Depend on a registry's release of it, and write the lock file anew.`,
      );
    }
  }
}

/**
 * The lifecycle sets HOME to what /etc/passwd says, which for a service's user may be nowhere; npm can't work without a
 * place for its cache.
 */
function withNpmCache(env) {
  const isWritable = (path) => {
    try {
      mkdirSync(path, { recursive: true });
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  };
  if (env.npm_config_cache !== undefined || isWritable(join(env.HOME ?? "/nonexistent", ".npm")))
    return { env, release: () => undefined };
  const cache = mkdtempSync(join(tmpdir(), "npm-cache-"));
  return { env: { ...env, npm_config_cache: cache }, release: () => rmSync(cache, { recursive: true, force: true }) };
}

/**
 * Makes a launch layer, or keeps the earlier image's: there the lifecycle has restored `<layer>.toml` with the key of
 * what was built, and a layer without a folder means "as it was".
 * @param {(layer: string) => Record<string, string> | undefined} fill says what is to be known of the layer when it is
 *   kept
 * @returns {Record<string, string>}
 */
function contributeLayer(layers, name, key, what, fill) {
  const description = join(layers, `${name}.toml`);
  const folder = join(layers, name);
  const { key: earlierKey, ...earlier } = existsSync(description)
    ? readTable(readFileSync(description, "utf8"), "metadata")
    : {};
  let facts = earlier;
  if (earlierKey === key) process.stdout.write(`Keeping ${what} of the earlier image\n`);
  else {
    process.stdout.write(`Installing ${what}\n`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    facts = fill(folder) ?? {};
  }
  const metadata = Object.entries({ key, ...facts }).map(([each, value]) => `${each} = ${tomlString(value)}\n`);
  writeFileSync(description, `[types]\nlaunch = true\n\n[metadata]\n${metadata.join("")}`);
  return facts;
}

/**
 * npm itself checks the tarball against the integrity in the lock file that is written here, whichever registry or
 * cache it comes from.
 */
function installRuntime(layer, version, target, env) {
  const name = `node-linux-${target.cpu}`;
  const work = mkdtempSync(join(layer, "install-"));
  const dependencies = { [name]: version };
  writeJson(join(work, "package.json"), { private: true, dependencies });
  writeJson(join(work, "package-lock.json"), {
    lockfileVersion: 3,
    requires: true,
    packages: { "": { dependencies }, [`node_modules/${name}`]: { version, integrity: target.integrity } },
  });
  runNpm(
    ["ci", `--cpu=${target.cpu}`, "--os=linux"],
    work,
    env,
    `The Node.js runtime ${name}@${version} could not be installed.`,
  );
  mkdirSync(join(layer, "bin"));
  renameSync(join(work, "node_modules", name, "bin", "node"), join(layer, "bin", "node"));
  rmSync(work, { recursive: true });
  mkdirSync(join(layer, "env.launch"));
  writeFileSync(join(layer, "env.launch", "NODE_ENV.default"), "production");
}

/** All of it is said, so that no `omit` or `include` of an .npmrc or of the environment makes it another set. */
const whatToInstall = ["--omit=dev", "--include=prod", "--include=optional", "--include=peer"];

function installDependencies(layer, directory, inputs, architecture, cpu, env) {
  for (const name of inputs) copyFileSync(join(directory, name), join(layer, name));
  try {
    const failure = `The dependencies of package-lock.json could not be installed for linux/${architecture}.`;
    runNpm(["ci", ...whatToInstall, `--cpu=${cpu}`, "--os=linux"], layer, env, failure);
  } finally {
    // .npmrc may hold a credential.
    for (const name of inputs) rmSync(join(layer, name));
  }
  // An application without dependencies gets no folder, and the link to it has to lead somewhere.
  mkdirSync(join(layer, "node_modules"), { recursive: true });
  // npm's own notes name the host that it downloaded from.
  rmSync(join(layer, "node_modules", ".package-lock.json"), { force: true });
}

/**
 * Paths that npm left out, as it may; anything else that differs from the plan would be missing in the SBOM, or a lie
 * in it.
 * @throws ApplicationError
 */
function findAbsent(layer, lock, planned) {
  const isThere = (path) => existsSync(join(layer, path, "package.json"));
  const expected = new Set(planned.map(({ path }) => path));
  const extra = Object.keys(lock.packages).find((path) => path !== "" && !expected.has(path) && isThere(path));
  if (extra !== undefined) {
    throw new ApplicationError(
      `npm installed ${extra}, which is not for production. Look in .npmrc for a setting such as \`dev\` or \`include\`.`,
    );
  }
  const absent = planned.filter(({ path }) => !isThere(path));
  const missed = absent.find(({ mayBeAbsent }) => !mayBeAbsent);
  if (missed !== undefined) {
    throw new ApplicationError(
      `npm did not install ${missed.path}, which package-lock.json has. Look in .npmrc for a setting such as \`legacy-peer-deps\`.`,
    );
  }
  return absent.map(({ path }) => path);
}

/** Packages' install scripts are strangers' code and don't run. */
function runNpm(args, directory, env, failure) {
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const result = spawnSync("npm", [...args, ...quiet], {
    cwd: directory,
    env,
    encoding: "utf8",
    stdio: ["ignore", "inherit", "pipe"],
  });
  if (result.error !== undefined)
    throw new ApplicationError(
      `npm can't be started (${result.error.message}). The build environment needs Node.js with npm.`,
    );
  if (result.status === 0) return;
  const output = result.stderr.trim();
  const reason = output.includes("EINTEGRITY")
    ? "What the registry sent is not what was pinned: its integrity differs. Nothing of it is used. Find out why before you change the pin."
    : "See npm's message above.";
  throw new ApplicationError(`${output}\n${failure} ${reason}`);
}

/** Node.js looks for packages beside the application's files. */
function linkModules(directory, target) {
  const link = join(directory, "node_modules");
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) {
    process.stdout.write("Leaving out the node_modules folder that came with the source\n");
    rmSync(link, { recursive: true, force: true });
  }
  symlinkSync(target, link);
}

/** Each part with its length, so that no two lists of parts look alike. */
function keyOf(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
