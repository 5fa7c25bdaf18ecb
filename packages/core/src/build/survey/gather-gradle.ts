import { posix } from "node:path";
import type { SourcePlace } from "@goldenpath/foundation/errors";
import { readCatalogue } from "./catalogue.ts";
import type { DescriptorReader, FolderNames } from "./gather-files.ts";
import { type BuildNames, type BuildScript, type BuildSettings, readBuildScript, readSettings } from "./gradle.ts";
import type { GradlePlugin, GradleProject } from "./survey.ts";

const scripts = ["build.gradle", "build.gradle.kts"];
const settingsScripts = ["settings.gradle", "settings.gradle.kts"];

/** A build: the folder with its settings, which a project's own folder is or is below. */
interface GradleBuild {
  folder: string;
  settings: BuildSettings;
  names: BuildNames;
}

/** What a folder's build script and the settings of its build say; undefined where it has neither. */
export async function readGradle(
  reader: DescriptorReader,
  { path, files }: FolderNames,
  remarks: SourcePlace[],
): Promise<GradleProject | undefined> {
  const script = files.find((name) => scripts.includes(name));
  const settings = files.find((name) => settingsScripts.includes(name));
  const file = script ?? settings;
  if (file === undefined) return undefined;
  const build = await findBuild(reader, path);
  const names = build?.names ?? { versions: {}, catalogue: {} };
  const own = script === undefined ? undefined : await readScript(reader, posix.join(path, script), names);
  const inherited = await readInherited(reader, path, build);
  remarks.push(...(own?.unread ?? []), ...(settings === undefined ? [] : (build?.settings.unread ?? [])));
  const plugins = [...(own?.plugins ?? []), ...inherited];
  const conventions = build === undefined ? [] : await readConventions(reader, build, plugins, remarks);
  return {
    file,
    plugins: [...plugins, ...conventions],
    modules: settings === undefined ? [] : (build?.settings.modules ?? []),
  };
}

function readScript(reader: DescriptorReader, file: string, names: BuildNames): Promise<BuildScript | undefined> {
  return reader.read(file, (text) => readBuildScript(text, file, names));
}

/** The nearest settings, from the project's folder upwards. */
async function findBuild(reader: DescriptorReader, path: string): Promise<GradleBuild | undefined> {
  for (let folder = path; ; folder = posix.dirname(folder)) {
    if (folder === ".") folder = "";
    for (const name of settingsScripts) {
      const file = posix.join(folder, name);
      const settings = await reader.readIfThere(file, (text) => readSettings(text, file));
      if (settings === undefined) continue;
      const catalogue = await reader.readIfThere(posix.join(folder, "gradle/libs.versions.toml"), readCatalogue);
      return { folder, settings, names: { versions: settings.versions, catalogue: catalogue ?? {} } };
    }
    if (folder === "") return undefined;
  }
}

/** What the root project applies to all below it, for a project that its settings name. */
async function readInherited(
  reader: DescriptorReader,
  path: string,
  build: GradleBuild | undefined,
): Promise<GradlePlugin[]> {
  if (build === undefined || path === build.folder) return [];
  if (!build.settings.modules.some((module) => posix.join(build.folder, module) === path)) return [];
  for (const name of scripts) {
    const file = posix.join(build.folder, name);
    const script = await reader.readIfThere(file, (text) => readBuildScript(text, file, build.names));
    if (script !== undefined) return script.below;
  }
  return [];
}

/** Plugins that are scripts of the build itself, in `buildSrc`: what those apply, the projects have. */
async function readConventions(
  reader: DescriptorReader,
  { folder, names }: GradleBuild,
  plugins: readonly GradlePlugin[],
  remarks: SourcePlace[],
): Promise<GradlePlugin[]> {
  const found: GradlePlugin[] = [];
  for (const { id } of plugins.filter((plugin) => /^[\w.-]+$/.test(plugin.id))) {
    for (const script of [`groovy/${id}.gradle`, `kotlin/${id}.gradle.kts`]) {
      const file = posix.join(folder, "buildSrc/src/main", script);
      const read = await reader.readIfThere(file, (text) => readBuildScript(text, file, names));
      found.push(...(read?.plugins ?? []));
      remarks.push(...(read?.unread ?? []));
    }
  }
  return found;
}
