import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { ApplicationError } from "./error.mjs";
import { makeLayer } from "./layers.mjs";
import { debianComponent, writeSbom } from "./sbom.mjs";

/**
 * The distribution's packages that lie in the buildpack (`runtime`, made by the platform), the part that applications
 * run with as a launch layer: `bin` and `lib` of a layer are in its PATH and LD_LIBRARY_PATH by the specification.
 * @returns {{ root: string, build: string, env: Record<string, string> }} the layer; the whole runtime with what is for
 *   building alone; an environment in which the layer's programs run
 */
export function installRuntime(place, what) {
  const build = join(place.buildpack, "runtime");
  const libraries = join("usr/lib", triplets[place.architecture] ?? "");
  const root = takePackages(place, "runtime", readRuntime(place, what), what, (layer) => {
    if (existsSync(join(layer, libraries))) symlinkSync(libraries, join(layer, "lib"));
    if (existsSync(join(layer, "usr/bin")) && !existsSync(join(layer, "bin")))
      symlinkSync("usr/bin", join(layer, "bin"));
  });
  const libraryPaths = [join(root, libraries), join(build, libraries), place.env.LD_LIBRARY_PATH];
  return {
    root,
    build,
    env: {
      ...place.env,
      PATH: [join(root, "usr/bin"), join(build, "usr/bin"), place.env.PATH].join(":"),
      LD_LIBRARY_PATH: libraryPaths.filter(Boolean).join(":"),
    },
  };
}

/** What only some applications run with, as a layer of its own. Returns the layer. */
export function installPart(place, name, what) {
  const part = readRuntime(place, what).parts?.[name];
  if (part === undefined)
    throw new ApplicationError(
      `This buildpack was packaged without ${what}. The platform makes it: see \`parts\` of its packages.json.`,
    );
  return takePackages(place, name, part, what, () => undefined);
}

function readRuntime({ buildpack }, what) {
  if (!existsSync(join(buildpack, "runtime")))
    throw new ApplicationError(
      `This buildpack was packaged without its runtime (${what}). The platform makes it: see runtimes.ts.`,
    );
  return JSON.parse(readFileSync(join(buildpack, "runtime.json"), "utf8"));
}

function takePackages(place, name, { launch, packages }, what, finish) {
  const root = makeLayer(place, name, ["launch"], `Taking ${what} of the platform`, (layer) => {
    for (const path of launch) copy(join(place.buildpack, "runtime", path), join(layer, path));
    finish(layer);
  });
  writeSbom(place, name, packages.map(debianComponent));
  return root;
}

const triplets = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

function copy(from, to) {
  const stats = lstatSync(from);
  mkdirSync(stats.isDirectory() ? to : dirname(to), { recursive: true });
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else if (stats.isFile()) copyFileSync(from, to);
}
