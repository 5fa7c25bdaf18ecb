import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { readZipEntry } from "./zip.mjs";

/** Beside the application, and not it. */
const beside = /(?:-sources|-javadoc|-tests|-plain)\.[jw]ar$|^original-/;

/**
 * What the build left that runs by itself: the jar or war with a `Main-Class`, or Quarkus' folder. Else the only war,
 * which a servlet container runs.
 * @returns {{ path: string, folder?: string, isWar?: boolean }} `folder` where what is in it has to stay together
 * @throws ApplicationError that lists what there is
 */
export function chooseArtifact(directory, output, env) {
  const module = env.BP_MAVEN_BUILT_MODULE ?? env.BP_GRADLE_BUILT_MODULE;
  const named = env.BP_MAVEN_BUILT_ARTIFACT ?? env.BP_GRADLE_BUILT_ARTIFACT;
  if (named !== undefined) {
    const path = join(directory, named);
    if (!existsSync(path)) throw new ApplicationError(`The build left no ${named}, which the build's env names.`);
    return { path, isWar: path.endsWith(".war") && !hasMainClass(path) };
  }
  const folder = join(directory, module ?? "", output);
  const quarkus = join(folder, "quarkus-app/quarkus-run.jar");
  if (existsSync(quarkus)) return { path: quarkus, folder: dirname(quarkus) };
  const modules = module === undefined ? findOutputs(directory, output) : [folder];
  const found = modules.flatMap((each) => listArchives(each));
  const runnable = found.filter((path) => hasMainClass(path));
  if (runnable.length === 1) return { path: runnable[0] };
  const wars = found.filter((path) => path.endsWith(".war"));
  if (runnable.length === 0 && wars.length === 1) return { path: wars[0], isWar: true };
  const several = runnable.length > 0 ? runnable : wars;
  const shown = (several.length > 0 ? several : found).map((path) => relative(directory, path)).join(", ");
  throw new ApplicationError(
    several.length === 0
      ? `The build left nothing that runs by itself (${shown || "no jar at all"}): a jar needs a Main-Class, and its dependencies in it. With Spring Boot use its Maven or Gradle plugin, else maven-shade-plugin or the like. A war needs neither: Tomcat serves it.`
      : `The build left several programs: ${shown}. Say which in the build's env: BP_MAVEN_BUILT_ARTIFACT=${relative(directory, several[0])}.`,
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

function hasMainClass(path) {
  return /^Main-Class:/m.test(readZipEntry(path, "META-INF/MANIFEST.MF"));
}
