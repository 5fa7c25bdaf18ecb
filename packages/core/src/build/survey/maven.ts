import type { SourcePlace } from "@goldenpath/foundation/errors";
import { trimEnd } from "@goldenpath/foundation/text/clean";
import type { MavenPlugin, MavenProject, XmlElement } from "./survey.ts";
import { findChild, listChildren } from "./xml.ts";

/** So many in each other, and no more text than a version or a name has. */
const maxReplacements = 10;
const maxValue = 1000;

/** One `pom.xml`, by its path from the folder that was given. */
export interface Pom {
  file: string;
  root: XmlElement;
}

/**
 * Files for whose sake a profile is on or off, as those of `lineage` name them: each from the folder of the project that
 * is built, in a parent's profile as well (Maven's model builder).
 */
export function listActivationFiles(lineage: readonly Pom[]): string[] {
  const texts = lineage.flatMap(({ root }) =>
    listChildren(root, "profiles", "profile").flatMap((profile) =>
      (findChild(profile, "activation", "file")?.children ?? []).map(fileOfActivation),
    ),
  );
  return [...new Set(texts)].filter((text) => text !== "" && text.length <= maxValue);
}

function fileOfActivation({ text }: XmlElement): string {
  return text.replace(/^\$\{(?:project\.)?basedir\}\//, "").replace(/^\.\//, "");
}

/**
 * The profiles of a POM that are on without being named, as far as files say it: by one that is there or is not; or by
 * default, where no other may be on. What a Java, a system or a property decides is not known here.
 */
function findActive(profiles: readonly XmlElement[], there: ReadonlySet<string>): Set<XmlElement> {
  const conditioned = profiles.map((profile) => ({
    profile,
    conditions: (findChild(profile, "activation")?.children ?? []).filter(({ name }) => name !== "activeByDefault"),
  }));
  const isByFiles = ({ name, children }: XmlElement): boolean => name === "file" && children.length > 0;
  const holds = ({ children }: XmlElement): boolean =>
    children.every((file) => there.has(fileOfActivation(file)) === (file.name === "exists"));
  const isOn = ({ conditions }: { conditions: readonly XmlElement[] }): boolean =>
    conditions.length > 0 && conditions.every((each) => isByFiles(each) && holds(each));
  const active = conditioned.filter(isOn).map(({ profile }) => profile);
  const mayBeOn = conditioned.some(
    ({ conditions }) => conditions.length > 0 && conditions.every((each) => !isByFiles(each) || holds(each)),
  );
  const byDefault = mayBeOn
    ? []
    : profiles.filter((profile) => findChild(profile, "activation", "activeByDefault")?.text === "true");
  return new Set([...active, ...byDefault]);
}

/** Where a project says that its parent's file is; undefined where it has no parent, or says that it is in no folder. */
export function parentFile({ root }: Pom): string | undefined {
  const parent = findChild(root, "parent");
  if (parent === undefined) return undefined;
  const path = findChild(parent, "relativePath");
  if (path !== undefined && path.text === "") return undefined;
  const text = path?.text ?? "../pom.xml";
  return text.endsWith(".xml") ? text : `${trimEnd(text, "/")}/pom.xml`;
}

/** Whether a file is the parent that a project names: Maven takes none of another name from the folder above it. */
export function isParentOf(candidate: Pom, { root }: Pom): boolean {
  const asked = findChild(root, "parent");
  const groupOf = ({ root: pom }: Pom): string | undefined =>
    findChild(pom, "groupId")?.text ?? findChild(pom, "parent", "groupId")?.text;
  return (
    findChild(candidate.root, "artifactId")?.text === findChild(asked, "artifactId")?.text &&
    groupOf(candidate) === findChild(asked, "groupId")?.text
  );
}

/**
 * A project with what it inherits, by Maven's model (maven.apache.org/pom.html): from `lineage`, its own file and then
 * its parents', nearest first. What a parent says is not inherited (`<inherited>false`) isn't. `there` has those of
 * {@link listActivationFiles} that there are.
 */
export function readMavenProject(
  lineage: readonly [Pom, ...Pom[]],
  there: ReadonlySet<string> = new Set(),
): MavenProject {
  const [{ root }] = lineage;
  const last = lineage.at(-1) ?? lineage[0];
  const properties = readProperties(lineage);
  const plugins = lineage.flatMap((pom, depth) =>
    listPlugins(pom, properties, there).filter(
      ({ element }) => depth === 0 || findChild(element, "inherited")?.text !== "false",
    ),
  );
  const outer = findChild(last.root, "parent");
  const outerNames = ["groupId", "artifactId", "version"].map((name) => findChild(outer, name)?.text ?? "?");
  return {
    groupId: findChild(root, "groupId")?.text ?? findChild(root, "parent", "groupId")?.text,
    artifactId: findChild(root, "artifactId")?.text ?? "",
    packaging: findChild(root, "packaging")?.text ?? "jar",
    modules: [...new Set([root, ...listChildren(root, "profiles", "profile")].flatMap((each) => listModules(each)))],
    plugins: withRuns(withVersions(plugins), properties),
    properties,
    outerParent: outer === undefined ? undefined : outerNames.join(":"),
  };
}

/** Maven 4 calls them subprojects. */
function listModules(element: XmlElement): string[] {
  return [...listChildren(element, "modules", "module"), ...listChildren(element, "subprojects", "subproject")]
    .map(({ text }) => text)
    .filter((text) => text !== "" && text.length <= maxValue);
}

function readProperties(lineage: readonly Pom[]): Record<string, string> {
  const own: Record<string, string> = {};
  for (const { root } of lineage.toReversed()) {
    for (const { name, text } of findChild(root, "properties")?.children ?? []) own[name] = text.slice(0, maxValue);
    const version = findChild(root, "version")?.text ?? findChild(root, "parent", "version")?.text;
    if (version !== undefined) own["project.version"] = version;
    const parentVersion = findChild(root, "parent", "version")?.text;
    if (parentVersion !== undefined) own["project.parent.version"] = parentVersion;
  }
  return Object.fromEntries(Object.entries(own).map(([name, text]) => [name, replaceProperties(text, own)]));
}

/** `${name}` → its value, where it is known; what is not stays as it is. */
export function replaceProperties(text: string, properties: Readonly<Record<string, string>>): string {
  let replaced = text;
  for (let round = 0; round < maxReplacements && replaced.includes("${") && replaced.length <= maxValue; round++) {
    const next = replaced.replace(/\$\{([^{}]*)\}/g, (whole, name: string) =>
      Object.hasOwn(properties, name) ? (properties[name] ?? whole) : whole,
    );
    if (next === replaced) break;
    replaced = next;
  }
  return replaced.slice(0, maxValue);
}

function listPlugins(
  { file, root }: Pom,
  properties: Readonly<Record<string, string>>,
  there: ReadonlySet<string>,
): MavenPlugin[] {
  const profiles = listChildren(root, "profiles", "profile");
  const active = findActive(profiles, there);
  const places = [
    { owner: root, profile: undefined },
    ...profiles.map((owner) => ({
      owner,
      profile: active.has(owner) ? undefined : (findChild(owner, "id")?.text ?? "default"),
    })),
  ];
  return places.flatMap(({ owner, profile }) =>
    [false, true].flatMap((isManaged) =>
      listChildren(owner, "build", ...(isManaged ? ["pluginManagement"] : []), "plugins", "plugin").map((element) => {
        const artifactId = replaceProperties(findChild(element, "artifactId")?.text ?? "", properties);
        const version = findChild(element, "version")?.text;
        return {
          groupId: replaceProperties(findChild(element, "groupId")?.text ?? "org.apache.maven.plugins", properties),
          artifactId,
          version: version === undefined ? undefined : replaceProperties(version, properties),
          profile,
          isManaged,
          runs: false,
          element,
          place: { file, line: element.line, message: `plugin ${artifactId}` },
        };
      }),
    ),
  );
}

/**
 * Which plugins run by themselves: not those that are only managed, or in a profile that has to be named, or told to do
 * nothing (`<skip>`) by the nearest that says anything of it.
 */
function withRuns(plugins: readonly MavenPlugin[], properties: Readonly<Record<string, string>>): MavenPlugin[] {
  const nameOf = ({ groupId, artifactId }: MavenPlugin): string => `${groupId}:${artifactId}`;
  const skips = new Map<string, SourcePlace | undefined>();
  for (const plugin of plugins.filter(({ profile }) => profile === undefined)) {
    const skip = findChild(plugin.element, "configuration", "skip");
    if (skip === undefined || skips.has(nameOf(plugin))) continue;
    const place = {
      file: plugin.place.file,
      line: skip.line,
      message: `${plugin.artifactId} is told to skip its work`,
    };
    skips.set(nameOf(plugin), replaceProperties(skip.text, properties) === "true" ? place : undefined);
  }
  return plugins.map((plugin) => {
    const isMeant = !plugin.isManaged && plugin.profile === undefined;
    const skipped = isMeant ? skips.get(nameOf(plugin)) : undefined;
    return { ...plugin, runs: isMeant && skipped === undefined, skipped };
  });
}

/** A plugin without a version has that of its `pluginManagement`. */
function withVersions(plugins: readonly MavenPlugin[]): MavenPlugin[] {
  const nameOf = ({ groupId, artifactId }: MavenPlugin): string => `${groupId}:${artifactId}`;
  const managed = new Map<string, string>();
  for (const plugin of plugins) {
    if (plugin.isManaged && plugin.version !== undefined && !managed.has(nameOf(plugin)))
      managed.set(nameOf(plugin), plugin.version);
  }
  return plugins.map((plugin) => ({ ...plugin, version: plugin.version ?? managed.get(nameOf(plugin)) }));
}
