import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "./error.mjs";
import { readTable } from "./toml.mjs";

/**
 * What a buildpack's program knows of where it runs.
 * @typedef {object} Place
 * @property {Record<string, string>} env
 * @property {string} directory the application
 * @property {string} layers where layers go; empty in detection
 * @property {string} buildpack the buildpack's own folder
 * @property {string} version the buildpack's own
 * @property {string} architecture as Go names it: amd64, arm64
 * @property {(text: string) => void} say
 */

/** @returns {Place} */
function findPlace(env, directory) {
  const buildpack = env.CNB_BUILDPACK_DIR;
  return {
    env,
    directory,
    layers: env.CNB_LAYERS_DIR ?? "",
    buildpack,
    version: readTable(readFileSync(join(buildpack, "buildpack.toml"), "utf8"), "buildpack").version,
    architecture: env.CNB_TARGET_ARCH || (process.arch === "x64" ? "amd64" : process.arch),
    say: (text) => void process.stdout.write(`${text}\n`),
  };
}

/**
 * `bin/detect`. Exit codes by the Buildpack specification: 0 takes the application, 100 does not, anything else is an
 * error.
 * @param {(place: Place) => void} detect throws an ApplicationError that says what is missing
 */
export function runDetect(title, detect) {
  process.exitCode = told(title, 100, () => detect(findPlace(process.env, process.cwd())));
}

/** `bin/build`. @param {(place: Place) => void} build */
export function runBuild(title, build) {
  // The application runs as another user than the one who builds it, and has to be able to read what is made here.
  process.umask(0o022);
  process.exitCode = told(title, 1, () => build(findPlace(process.env, process.cwd())));
}

function told(title, exitCode, work) {
  try {
    work();
    return 0;
  } catch (error) {
    if (!(error instanceof ApplicationError)) throw error;
    process.stderr.write(`${title}: ${error.message}\n`);
    return exitCode;
  }
}
