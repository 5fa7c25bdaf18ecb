import { existsSync, readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { listNeeded, lookAt } from "./manifest.mjs";

/** One with all that another of the name has, and its dependencies: as plugins that make such jars name it. */
const whole = /-(?:jar-with-dependencies|all|shaded|fat|uber)\.jar$/;

/** Beside the application, and not it. */
const beside = /(?:-sources|-javadoc|-tests|-plain)\.[jw]ar$|^original-/;

/**
 * What the build left that runs by itself: the jar or war with a `Main-Class`, and what its `Class-Path` names, or
 * Quarkus' folder. Else the only war, which a servlet container runs.
 * @returns {{ path: string, kept: string[], isWar?: boolean }} `kept` has to be in the image for it, with itself
 * @throws ApplicationError that lists what there is
 */
export function chooseArtifact(directory, output, env) {
  const module = env.BP_MAVEN_BUILT_MODULE ?? env.BP_GRADLE_BUILT_MODULE;
  const named = env.BP_MAVEN_BUILT_ARTIFACT ?? env.BP_GRADLE_BUILT_ARTIFACT;
  if (named !== undefined) {
    const path = join(directory, named);
    if (!existsSync(path)) throw new ApplicationError(`The build left no ${named}, which the build's env names.`);
    return { path, kept: listNeeded(path), isWar: path.endsWith(".war") && !lookAt(path).isProgram };
  }
  const folder = join(directory, module ?? "", output);
  const quarkus = join(folder, "quarkus-app/quarkus-run.jar");
  if (existsSync(quarkus)) return { path: quarkus, kept: listNeeded(quarkus) };
  const modules = module === undefined ? findOutputs(directory, output) : [folder];
  const found = modules.flatMap((each) => listArchives(each));
  const runnable = listRunnable(found);
  const incomplete = found.map((path) => ({ path, ...lookAt(path) })).find(({ isProgram }) => isProgram);
  if (runnable.length === 0 && incomplete !== undefined) throw lacksJars(directory, incomplete);
  if (runnable.length === 1) return { path: runnable[0], kept: listNeeded(runnable[0]) };
  const wars = found.filter((path) => path.endsWith(".war"));
  if (runnable.length === 0 && wars.length === 1) return { path: wars[0], kept: [wars[0]], isWar: true };
  const several = runnable.length > 0 ? runnable : wars;
  const shown = (several.length > 0 ? several : found).map((path) => relative(directory, path)).join(", ");
  throw new ApplicationError(
    several.length === 0
      ? `The build left nothing that runs by itself (${shown || "no jar at all"}): a jar needs a Main-Class, and its dependencies in it. With Spring Boot use its Maven or Gradle plugin, else maven-shade-plugin or the like. A war needs neither: Tomcat serves it.`
      : `The build left several programs: ${shown}. Say which in the build's env: BP_MAVEN_BUILT_ARTIFACT=${relative(directory, several[0])}.`,
  );
}

/**
 * The programs among jars and wars that lack nothing; of one that is there with and without its dependencies in it, the
 * former.
 */
export function listRunnable(paths) {
  const complete = paths.filter((path) => {
    const { isProgram, missing } = lookAt(path);
    return isProgram && missing.length === 0 && !beside.test(basename(path));
  });
  const parts = complete.filter((path) => whole.test(path)).map((path) => path.replace(whole, ".jar"));
  return complete.filter((path) => !parts.includes(path));
}

function lacksJars(directory, { path, missing }) {
  const [first, ...others] = missing;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return new ApplicationError(
    `${relative(directory, path)} needs ${first}${more} beside it (Class-Path in its manifest), and the build left no such file. Have maven-dependency-plugin copy the dependencies there, or put them into the jar, as Spring Boot's plugin and maven-shade-plugin do.`,
  );
}

/** The module at the top, and those below it. */
function findOutputs(directory, output, depth = 0) {
  const own = join(directory, output);
  const below =
    depth > 3
      ? []
      : readdirSync(directory, { withFileTypes: true }).filter(
          (entry) => entry.isDirectory() && !/^(?:\.|src$|target$|build$|node_modules$)/.test(entry.name),
        );
  return [
    ...(existsSync(own) ? [own] : []),
    ...below.flatMap((entry) => findOutputs(join(directory, entry.name), output, depth + 1)),
  ];
}

function listArchives(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.[jw]ar$/.test(name) && !beside.test(name))
    .sort()
    .map((name) => join(folder, name));
}
