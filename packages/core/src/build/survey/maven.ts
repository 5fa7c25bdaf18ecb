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
 * its parents', nearest first. What a parent says is not inherited (`<inherited>false`) isn't.
 */
export function readMavenProject(lineage: readonly [Pom, ...Pom[]]): MavenProject {
  const [{ root }] = lineage;
  const last = lineage.at(-1) ?? lineage[0];
  const properties = readProperties(lineage);
  const plugins = lineage.flatMap((pom, depth) =>
    listPlugins(pom, properties).filter(
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
    plugins: withVersions(plugins),
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

function listPlugins({ file, root }: Pom, properties: Readonly<Record<string, string>>): MavenPlugin[] {
  const places = [
    { owner: root, profile: undefined },
    ...listChildren(root, "profiles", "profile").map((owner) => ({
      owner,
      profile: findChild(owner, "id")?.text ?? "default",
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
          element,
          place: { file, line: element.line, message: `plugin ${artifactId}` },
        };
      }),
    ),
  );
}

/** A plugin without a version has that of its `pluginManagement`. */
function withVersions(plugins: readonly MavenPlugin[]): MavenPlugin[] {
  return plugins.map((plugin) => {
    const managed = plugins.find(
      (each) =>
        each.isManaged &&
        each.groupId === plugin.groupId &&
        each.artifactId === plugin.artifactId &&
        each.version !== undefined,
    );
    return { ...plugin, version: plugin.version ?? managed?.version };
  });
}
