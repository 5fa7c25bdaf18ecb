import { posix } from "node:path";
import type { SourcePlace } from "@goldenpath/foundation/errors";
import { readCatalogue } from "./catalogue.ts";
import type { DescriptorReader, FolderNames } from "./gather-files.ts";
import {
  type BuildNames,
  type BuildScript,
  type BuildSettings,
  type Catalogue,
  noNames,
  readBuildScript,
  readSettings,
} from "./gradle.ts";
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
  const names = build?.names ?? noNames;
  const own = script === undefined ? undefined : await readScript(reader, posix.join(path, script), names);
  const inherited = await readInherited(reader, path, build);
  const unread = [...(own?.unread ?? []), ...(settings === undefined ? [] : (build?.settings.unread ?? []))];
  remarks.push(...unread.slice(0, maxRemarks));
  const plugins = [...(own?.plugins ?? []), ...inherited];
  const conventions = build === undefined ? [] : await readConventions(reader, build, plugins, remarks);
  return {
    file,
    plugins: [...plugins, ...conventions],
    modules: settings === undefined ? [] : (build?.settings.modules ?? []),
  };
}

/** Of one script: whoever reads a hundred does not read more. */
const maxRemarks = 100;

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
      const catalogues = await readCatalogues(reader, folder, settings);
      return { folder, settings, names: { versions: settings.versions, catalogues } };
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

/** The usual catalogue, and those that the settings name, as far as they are in the application. */
async function readCatalogues(
  reader: DescriptorReader,
  folder: string,
  { catalogues }: BuildSettings,
): Promise<Record<string, Catalogue>> {
  const read: [string, Catalogue][] = [];
  for (const [name, file] of Object.entries({ libs: "gradle/libs.versions.toml", ...catalogues })) {
    const path = posix.join(folder, file);
    const catalogue = isOutside(path) ? undefined : await reader.readIfThere(path, readCatalogue);
    if (catalogue !== undefined) read.push([name, catalogue]);
  }
  return Object.fromEntries(read);
}

function isOutside(path: string): boolean {
  return path === ".." || path.startsWith("../") || path.startsWith("/");
}

/** More than anybody has, of scripts that apply each other. */
const maxConventions = 100;

/** Plugins that are scripts of the build itself: what those apply, the projects have, by way of another as well. */
async function readConventions(
  reader: DescriptorReader,
  build: GradleBuild,
  plugins: readonly GradlePlugin[],
  remarks: SourcePlace[],
): Promise<GradlePlugin[]> {
  const folders = await listConventionFolders(reader, build);
  const found: GradlePlugin[] = [];
  const seen = new Set<string>();
  const waiting = plugins.map(({ id }) => id);
  for (let id = waiting.shift(); id !== undefined && seen.size < maxConventions; id = waiting.shift()) {
    if (!/^[\w.-]+$/.test(id) || seen.has(id)) continue;
    seen.add(id);
    for (const script of folders.flatMap((folder) => [
      `${folder}/groovy/${id}.gradle`,
      `${folder}/kotlin/${id}.gradle.kts`,
    ])) {
      const read = await reader.readIfThere(script, (text) => readBuildScript(text, script, build.names));
      for (const plugin of read?.plugins ?? []) {
        found.push(plugin);
        waiting.push(plugin.id);
      }
      remarks.push(...(read?.unread ?? []).slice(0, maxRemarks));
    }
  }
  return found;
}

/** More than any build includes. */
const maxIncluded = 20;

/** Where a build's own plugins are: in `buildSrc`, and in the builds that it includes and their projects. */
async function listConventionFolders(reader: DescriptorReader, { folder, settings }: GradleBuild): Promise<string[]> {
  const builds = [...new Set(settings.included)]
    .map((each) => posix.join(folder, each))
    .filter((each) => !isOutside(each));
  const folders = [posix.join(folder, "buildSrc")];
  for (const each of builds.slice(0, maxIncluded)) {
    folders.push(each);
    for (const name of settingsScripts) {
      const file = posix.join(each, name);
      const inner = await reader.readIfThere(file, (text) => readSettings(text, file));
      folders.push(...(inner?.modules ?? []).slice(0, maxIncluded).map((module) => posix.join(each, module)));
    }
  }
  return folders.filter((each) => !isOutside(each)).map((each) => `${each}/src/main`);
}
