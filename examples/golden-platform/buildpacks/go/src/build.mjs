import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { makeLayer } from "../lib/layers.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { read, run } from "../lib/run.mjs";
import { writeSbom } from "../lib/sbom.mjs";

/** Without paths, times and revisions in it, the same source is the same program. */
const reproducible = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];

/** One launch layer with the programs, and a process for each. */
export function build(place) {
  const { directory } = place;
  const root = join(place.buildpack, "runtime/go");
  if (!existsSync(root))
    throw new ApplicationError(
      "This buildpack was packaged without its toolchain. The platform makes it: see languages.ts.",
    );
  const env = environment(place, root);
  const go = join(root, "bin/go");
  if (!isWorkspace(directory)) {
    nameModule(place, go, env);
    lockModule(place, go, env);
  }
  const targets = chooseTargets(place, go, env);
  // What a module's program reads is beside it.
  const own = isWorkspace(directory) ? { within: findModule(directory, targets[0]) } : {};
  const layer = makeLayer(place, "programs", ["launch"], `Compiling ${targets.join(", ")}`, (folder) => {
    mkdirSync(join(folder, "bin"));
    run([go, "build", ...reproducible, "-o", join(folder, "bin"), ...targets], {
      directory,
      env,
      failure: `${targets.join(", ")} could not be compiled.`,
    });
  });
  const programs = readdirSync(join(layer, "bin")).sort();
  writeSbom(
    place,
    "programs",
    programs.flatMap((name) => listModules(go, join(layer, "bin", name), env)),
  );
  removeSources(directory);
  const [first, ...others] = orderLike(programs, targets);
  writeProcesses(place, Object.fromEntries([["web", [first]], ...others.map((name) => [name, [name]])]), {
    folders: [join(layer, "bin")],
    names: [],
    ...own,
    translate: (command) => nameProgram(command, programs, first),
  });
}

/** `go run ./cmd/web --verbose` → `web --verbose`: the image has what was compiled, and no compiler. */
export function nameProgram(command, programs, first) {
  const [, target, rest] = /^(?:exec\s+)?go\s+run\s+((?:\S+\.go\s+)*\S+\.go|\.\S*)(\s.*)?$/.exec(command.trim()) ?? [];
  if (target === undefined) return command;
  const [path] = target.split(/\s+/);
  const folder = path.endsWith(".go") ? dirname(path) : path;
  const named = basename(folder);
  if (named !== "." && !programs.includes(named)) return command;
  return `${named === "." ? first : named}${rest ?? ""}`;
}

/** Several modules by go.work, and none of them in the application's own folder. */
function isWorkspace(directory) {
  return existsSync(join(directory, "go.work")) && !existsSync(join(directory, "go.mod"));
}

/** The folder of the module that a target is in. */
function findModule(directory, target) {
  let folder = join(directory, target);
  while (folder !== directory && !existsSync(join(folder, "go.mod"))) folder = dirname(folder);
  return folder;
}

/** A program of the standard library alone needs no go.mod from its author. */
function nameModule({ directory, say }, go, env) {
  if (existsSync(join(directory, "go.mod"))) return;
  say("There is no go.mod: the folder is compiled as a module that needs no others");
  run([go, "mod", "init", "application"], { directory, env, failure: "The folder could not be made a module." });
}

/** Without go.sum the versions are those that go.mod names, and what they need is looked up in the build. */
function lockModule({ directory, say }, go, env) {
  const has = (name) => existsSync(join(directory, name));
  if (has("go.sum") || has("vendor") || !/^\s*require\b/m.test(readFileSync(join(directory, "go.mod"), "utf8"))) return;
  say(
    "WARNING: there is no go.sum, so this build takes what the module proxy has today, and another may take others. Run `go mod tidy` and commit the file.",
  );
  run([go, "mod", "tidy"], { directory, env, failure: "What go.mod requires could not be looked up." });
}

function environment(place, root) {
  const temporary = place.env.TMPDIR ?? "/tmp";
  return {
    ...place.env,
    GOROOT: root,
    GOPATH: join(temporary, "go"),
    GOCACHE: join(temporary, "go-cache"),
    // The platform's toolchain is the one that builds; a go.mod that wants a newer one is told so.
    GOTOOLCHAIN: "local",
    GOWORK: place.env.GOWORK ?? (isWorkspace(place.directory) ? join(place.directory, "go.work") : "off"),
    CGO_ENABLED: "0",
    GOOS: "linux",
    GOARCH: place.architecture,
    PATH: `${join(root, "bin")}:${place.env.PATH}`,
  };
}

/** BP_GO_TARGETS, separated by colons; else the program at the root; else the only one there is. */
function chooseTargets({ directory, env }, go, goEnvironment) {
  const given = (env.BP_GO_TARGETS ?? "")
    .split(":")
    .filter((target) => target !== "")
    .map((target) => (/^\.{0,2}\//.test(target) || target === "." ? target : `./${target}`));
  const isModule = given.length === 1 && isWorkspace(directory) && existsSync(join(directory, given[0], "go.mod"));
  if (given.length > 0 && !isModule) return given;
  if (given.length === 0 && isWorkspace(directory))
    throw new ApplicationError(
      "There is a go.work with modules in folders. Say which one's program it is in the build's env: BP_GO_TARGETS=./FOLDER.",
    );
  const within = given[0] ?? ".";
  const format = '{{if eq .Name "main"}}{{.Dir}}{{end}}';
  const found = read([go, "list", "-f", format, `${within}/...`], {
    directory,
    env: goEnvironment,
    failure: "The module's packages could not be listed.",
  });
  const mains = found
    .split("\n")
    .filter(Boolean)
    .map((path) => `./${path.slice(directory.length + 1)}`);
  if (mains.includes("./")) return ["."];
  if (isModule && mains.includes(within)) return [within];
  if (mains.length === 1) return mains;
  throw new ApplicationError(
    mains.length === 0
      ? "The module has no program: no package main."
      : `The module has ${mains.length} programs: ${mains.join(", ")}. Say which in the build's env: BP_GO_TARGETS=${mains[0]} (several with a colon between them; the first is what starts).`,
  );
}

/** The first target's program starts. */
function orderLike(programs, targets) {
  const named = targets.map((target) => basename(target)).filter((name) => programs.includes(name));
  return [...new Set([...named, ...programs])];
}

/** What the linker wrote into the program: the modules that are in it, and no others. */
function listModules(go, program, env) {
  const told = read([go, "version", "-m", program], { directory: "/", env, failure: `${program} can't be read.` });
  const components = [];
  for (const line of told.split("\n")) {
    const [, kind, name, version] = line.split("\t");
    if (kind !== "dep" && kind !== "=>") continue;
    // A replacement stands in the line after what it replaces.
    if (kind === "=>") components.pop();
    components.push({ name, version, purl: `pkg:golang/${name}@${version}` });
  }
  const compiler = told.split("\n")[0]?.match(/: go(\S+)/)?.[1] ?? "";
  return [...components, { name: "stdlib", version: compiler, purl: `pkg:golang/stdlib@${compiler}` }];
}

/** Templates, pages and data stay beside the program; sources do not go into an image. */
function removeSources(directory) {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (/\.go$|^go\.(?:mod|sum|work|work\.sum)$/.test(name) || name === "vendor") rmSync(path, { recursive: true });
    else if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) removeSources(path);
  }
}
