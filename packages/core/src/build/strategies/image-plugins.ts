import type { SourcePlace } from "@goldenpath/foundation/errors";
import type { MavenPlugin, MavenProject, Survey, XmlElement } from "../survey/survey.ts";

/** A plugin that makes images, by the names that Maven and Gradle have for it. */
export interface ImagePlugin {
  /** For people. */
  title: string;
  maven: {
    groupId: string;
    artifactId: string;
    /** The property that keeps it from its work where it is `true`. */
    skip: string;
  };
  gradle: string;
}

/** What an application's build says of a plugin, one clause each: `pom.xml (jib 3.4.6)`. */
export function describePlugin({ maven, gradle }: Survey, plugin: ImagePlugin): string[] {
  const clause = ({ file }: SourcePlace, version: string | undefined): string =>
    `${file.split("/").at(-1) ?? file} (${plugin.title}${version === undefined ? "" : ` ${version}`})`;
  const ofMaven = isSkippedByProperty(maven, plugin)
    ? undefined
    : listMavenPlugins(maven, plugin).find(({ runs }) => runs);
  const ofGradle = gradle?.plugins.find(({ id }) => id === plugin.gradle);
  return [ofMaven, ofGradle].flatMap((each) => (each === undefined ? [] : [clause(each.place, each.version)]));
}

/**
 * Where the application's build has the plugin and tells it to skip its work, or a parent of it does: it speaks for
 * nothing then, and whoever put it there wonders why.
 */
export function findSkip({ maven }: Pick<Survey, "maven">, plugin: ImagePlugin): SourcePlace | undefined {
  const plugins = listMavenPlugins(maven, plugin);
  const { skipped } = plugins.find((each) => each.skipped !== undefined) ?? {};
  const running = isSkippedByProperty(maven, plugin) ? plugins.find(({ runs }) => runs) : undefined;
  const { artifactId, skip } = plugin.maven;
  return (
    skipped ??
    (running && { ...running.place, message: `${artifactId} is told to skip its work by the property ${skip}` })
  );
}

function isSkippedByProperty(maven: MavenProject | undefined, { maven: { skip } }: ImagePlugin): boolean {
  return maven?.properties[skip] === "true";
}

export function listMavenPlugins(maven: MavenProject | undefined, { maven: names }: ImagePlugin): MavenPlugin[] {
  return (maven?.plugins ?? []).filter(
    ({ groupId, artifactId }) => groupId === names.groupId && artifactId === names.artifactId,
  );
}

/** A setting of a plugin in a POM, by its path in `configuration`: `["image", "builder"]`. */
export interface PomSetting {
  text: string;
  place: SourcePlace;
}

/**
 * Where the plugin's configuration has a setting: in its own, and in that of the execution that the command line runs.
 * Those of profiles and of `pluginManagement` are among them, since either may hold.
 */
export function findSettings(plugins: readonly MavenPlugin[], path: readonly string[]): PomSetting[] {
  return plugins.flatMap(({ element, place }) =>
    listConfigurations(element)
      .flatMap((configuration) => descend(configuration, path))
      .map(({ text, line }) => ({ text, place: { file: place.file, line, message: `<${path.join("><")}> is set` } })),
  );
}

function listConfigurations(plugin: XmlElement): XmlElement[] {
  const executions = childrenOf(plugin, "executions").flatMap((each) => childrenOf(each, "execution"));
  const ofCommandLine = executions.filter((each) => childrenOf(each, "id").some(({ text }) => text === "default-cli"));
  return [plugin, ...ofCommandLine].flatMap((each) => childrenOf(each, "configuration"));
}

function descend(element: XmlElement, [name, ...rest]: readonly string[]): XmlElement[] {
  return name === undefined ? [element] : childrenOf(element, name).flatMap((each) => descend(each, rest));
}

/** Maven takes `run-image` and `builder-` for the fields `runImage` and `builder` of what a parameter is made of. */
function childrenOf({ children }: XmlElement, name: string): XmlElement[] {
  return children.filter((child) => child.name === name || fieldOf(child.name) === name);
}

function fieldOf(name: string): string {
  const humped = name
    .split("-")
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join("");
  return humped.charAt(0).toLowerCase() + humped.slice(1);
}

/** With those whose name has a property in it that is not known here, which only Maven can tell. */
export function listPossiblePlugins(maven: MavenProject | undefined, { maven: names }: ImagePlugin): MavenPlugin[] {
  const mayBe = (text: string, wanted: string): boolean => text === wanted || text.includes("${");
  return (maven?.plugins ?? []).filter(
    ({ groupId, artifactId }) => mayBe(groupId, names.groupId) && mayBe(artifactId, names.artifactId),
  );
}

/** `pom.xml:12` */
export function formatPlace({ file, line }: SourcePlace): string {
  return line === undefined ? file : `${file}:${line}`;
}
