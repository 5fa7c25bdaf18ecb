import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { makeLayer, setVariable } from "../lib/layers.mjs";
import { openModule } from "../lib/module.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { read, run } from "../lib/run.mjs";
import { installRuntime } from "../lib/runtime.mjs";
import { writeSbom } from "../lib/sbom.mjs";
import { findStart } from "./start.mjs";
import { findWantedVersion } from "./version.mjs";

/** The runtime, a virtual environment with what the application needs, and how it starts. */
export function build(place) {
  const { directory } = place;
  // Of a workspace of uv, the project that is asked for, by the variable that Google's buildpacks have for it.
  const isLocked = existsSync(join(directory, "uv.lock"));
  const inner = isLocked ? openModule(place, "GOOGLE_BUILDABLE", "pyproject.toml") : place;
  const runtime = installRuntime(place, "Python");
  const python = join(runtime.root, "usr/bin/python3");
  const wheels = join(runtime.build, "usr/share/python-wheels");
  const pip = readdirSync(wheels).find((name) => /^pip-.*\.whl$/.test(name));
  const env = {
    ...runtime.env,
    PYTHONDONTWRITEBYTECODE: "1",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_NO_INPUT: "1",
    PIP_PROGRESS_BAR: "off",
    PIP_CACHE_DIR: join(place.env.TMPDIR ?? "/tmp", "pip-cache"),
    PIP_CONFIG_FILE: place.env.PIP_CONFIG_FILE ?? "/dev/null",
  };
  const steps = chooseInstallation(place, inner, python, env);
  const other = describeOtherVersion(inner, python, env);
  if (other !== undefined) place.say(`WARNING: ${other}`);
  const layer = makeLayer(place, "packages", ["launch"], `Installing ${steps.what}`, (folder) => {
    run([python, "-m", "venv", "--without-pip", folder], {
      directory,
      env,
      failure: "No virtual environment could be made.",
    });
    const venv = { ...env, VIRTUAL_ENV: folder, PATH: `${join(folder, "bin")}:${env.PATH}` };
    for (const args of steps.install) {
      // Without times in compiled files the layer is the same each time; Python compiles in memory.
      const command = [join(folder, "bin/python"), join(wheels, pip, "pip"), "install", "--no-compile", ...args];
      run(command, {
        directory,
        env: venv,
        failure: [`${steps.what} could not be installed.`, other].filter(Boolean).join(" "),
      });
    }
    if (needsSetuptools(folder)) {
      place.say("Adding setuptools, which a package uses without saying so");
      const command = [join(folder, "bin/python"), join(wheels, pip, "pip"), "install", "--no-compile", "--no-index"];
      run([...command, "--find-links", wheels, "setuptools<82"], {
        directory,
        env: venv,
        failure: "setuptools could not be installed.",
      });
    }
    for (const name of readdirSync(join(folder, "bin")))
      if (/^[Aa]ctivate/.test(name)) rmSync(join(folder, "bin", name));
    setVariable(folder, "PYTHONUNBUFFERED", "1");
    setVariable(folder, "PYTHONDONTWRITEBYTECODE", "1");
    setVariable(folder, "VIRTUAL_ENV", folder, "override");
  });
  const installed = JSON.parse(
    read([join(layer, "bin/python"), join(place.buildpack, "src/installed.py")], {
      directory,
      env,
      failure: "What is installed could not be listed.",
    }),
  );
  writeSbom(
    place,
    "packages",
    installed.map(({ name, version }) => ({ name, version, purl: `pkg:pypi/${name}@${encodeURIComponent(version)}` })),
  );
  const start = findStart(
    inner.directory,
    installed.map(({ name }) => name),
    join(layer, "bin"),
    place.env.GOOGLE_FUNCTION_TARGET,
  );
  const own = inner === place ? {} : { within: inner.directory };
  const found = start === undefined ? {} : { web: start };
  writeProcesses(inner, found, { folders: [join(layer, "bin")], names: [], ...own });
}

/** The platform has one Python; many applications do with another than they name, so it is said and tried. */
function describeOtherVersion({ directory }, python, env) {
  const wanted = findWantedVersion(directory);
  const question = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"];
  const version = read(question, { directory, env, failure: "Python can't be started." }).trim();
  if (wanted === undefined || wanted.takes(version)) return undefined;
  return `${wanted.file} asks for Python ${wanted.text}, and this platform has ${version}.`;
}

/**
 * A lock file before a list: what it names is installed, by hash, and nothing else. What pip is called with, one call
 * after the other.
 */
function chooseInstallation(place, inner, python, env) {
  const { directory } = place;
  const member = relative(directory, inner.directory);
  const has = (name) => existsSync(join(directory, name));
  const lock = ["uv.lock", "poetry.lock", "Pipfile.lock"].find(has);
  if (lock !== undefined) {
    const target = join(place.env.TMPDIR ?? "/tmp", "locked.txt");
    const command = [python, join(place.buildpack, "src/lock.py"), lock, target, member || "."];
    run(command, { directory, env: { ...env, PYTHONPATH: pipLibrary(place) }, failure: `${lock} can't be used.` });
    const hashed = /--hash/.test(readFileSync(target, "utf8")) ? ["--require-hashes"] : [];
    const install = [["--no-deps", ...hashed, "-r", target]];
    const folders = readFileSync(`${target}.folders`, "utf8").split("\n").filter(Boolean);
    if (isPackage(inner.directory)) folders.push(member);
    for (const folder of folders) install.push(["--no-deps", folder === "" ? "." : `./${folder}`]);
    return { what: `what ${lock} lists`, install };
  }
  if (has("requirements.txt")) return { what: "what requirements.txt lists", install: [["-r", "requirements.txt"]] };
  if (has("Pipfile")) {
    throw new ApplicationError(
      "There is a Pipfile and no Pipfile.lock. Run `pipenv lock` and commit the file: dependencies are installed exactly as it lists them.",
    );
  }
  if (has("pyproject.toml") || has("setup.py")) return { what: "the project and what it needs", install: [["."]] };
  place.say(
    "Nothing says what the application needs (no requirements.txt, lock file or pyproject.toml): nothing is installed",
  );
  return { what: "nothing", install: [] };
}

/** Before Python 3.12 each virtual environment had it, and packages of that time import it. Since 82 it is no part of setuptools. */
function needsSetuptools(folder) {
  const library = join(folder, "lib");
  const packages = join(library, readdirSync(library).find((name) => name.startsWith("python")) ?? "", "site-packages");
  if (existsSync(join(packages, "pkg_resources"))) return false;
  return readdirSync(packages, { recursive: true, encoding: "utf8" }).some(
    (path) =>
      path.endsWith(".py") && /^\s*(?:import|from) pkg_resources\b/m.test(readFileSync(join(packages, path), "utf8")),
  );
}

/** A project that is installed besides what it needs: one that says how it is built. */
function isPackage(directory) {
  const path = join(directory, "pyproject.toml");
  return (
    existsSync(path) &&
    /^\[build-system\]/m.test(readFileSync(path, "utf8")) &&
    !/package-mode\s*=\s*false/.test(readFileSync(path, "utf8"))
  );
}

/** pip's wheel has the library that reads versions and markers. */
function pipLibrary(place) {
  const wheels = join(place.buildpack, "runtime/usr/share/python-wheels");
  return readdirSync(wheels)
    .filter((name) => name.startsWith("pip-"))
    .map((name) => join(wheels, name))
    .join(":");
}
