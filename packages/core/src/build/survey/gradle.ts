import type { SourcePlace } from "@goldenpath/foundation/errors";
import { trimEnd } from "@goldenpath/foundation/text/clean";
import { parseScript, type Statement, type Token } from "./script.ts";
import type { GradlePlugin } from "./survey.ts";

/** What one build script says of plugins, before anything of it runs. */
export interface BuildScript {
  /** That it applies to its own project. */
  plugins: GradlePlugin[];
  /** That it applies to the projects below it. */
  below: GradlePlugin[];
  /** What it says of plugins in a way that only a run can tell. */
  unread: SourcePlace[];
}

/** Versions and names that a script takes from elsewhere in its build. */
export interface BuildNames {
  /** From the settings' `pluginManagement`, or the root project's script: by a plugin's ID. */
  versions: Readonly<Record<string, string>>;
  /** Catalogues, by the name that scripts have for them: `libs`. */
  catalogues: Readonly<Record<string, Catalogue>>;
}

/** The plugins of a version catalogue, by the name that scripts give them: `spring.boot`. */
export type Catalogue = Readonly<Record<string, { id: string; version: string | undefined }>>;

export const noNames: BuildNames = { versions: {}, catalogues: {} };

/**
 * Reads a build script for its plugins: the `plugins` block, in which Gradle itself takes nothing but literals, and the
 * older `apply`. Everything else is a program, and is not understood.
 * @throws UnfitScript
 */
export function readBuildScript(text: string, file: string, names: BuildNames): BuildScript {
  const script: BuildScript = { plugins: [], below: [], unread: [] };
  const statements = parseScript(text);
  for (const statement of statements) {
    const [first] = statement.tokens;
    if (first?.value === "plugins" && statement.block !== undefined)
      readPluginsBlock(statement.block, file, names, script);
    else if (first?.value === "subprojects" && statement.block !== undefined)
      readApplies(statement.block, file, names, { ...script, plugins: script.below });
    else if (first?.value === "allprojects" && statement.block !== undefined) {
      const all: BuildScript = { plugins: [], below: [], unread: script.unread };
      readApplies(statement.block, file, names, all);
      script.plugins.push(...all.plugins);
      script.below.push(...all.plugins);
    }
  }
  readApplies(statements, file, names, script);
  return script;
}

function versionOf({ versions }: BuildNames, id: string): string | undefined {
  return Object.hasOwn(versions, id) ? versions[id] : undefined;
}

function readPluginsBlock(block: readonly Statement[], file: string, names: BuildNames, script: BuildScript): void {
  for (const { tokens, line } of block) {
    const [first, ...rest] = tokens;
    // A value's declaration, which Kotlin allows between them.
    if (first === undefined || first.value === "val") continue;
    const [argument] = rest.filter((token) => token.kind !== "sign");
    // `apply false` puts a plugin where projects below can take it, and does nothing else.
    const isApplied = !hasPhrase(tokens, "apply", "false");
    let found: { id: string; version: string | undefined } | undefined;
    if (first.value === "id" && argument?.kind === "text" && argument.isTemplate !== true)
      found = { id: argument.value, version: undefined };
    else if (first.value === "kotlin" && argument?.kind === "text")
      found = { id: `org.jetbrains.kotlin.${argument.value}`, version: undefined };
    else if (first.value === "alias") found = findAlias(rest, names);
    // A word alone is one of Gradle's own, in Kotlin.
    else if (first.kind === "word" && rest.length === 0) found = { id: first.value, version: undefined };
    if (found === undefined) {
      script.unread.push({ file, line, message: `a plugin that only a run can name: ${renderTokens(tokens)}` });
    } else if (isApplied) {
      const { id } = found;
      const version = findVersion(tokens) ?? found.version ?? versionOf(names, id);
      script.plugins.push({ id, version, place: { file, line, message: `plugin ${id}` } });
    }
  }
}

/** `alias(libs.plugins.spring.boot)`. */
function findAlias(
  tokens: readonly Token[],
  { catalogues }: BuildNames,
): { id: string; version: string | undefined } | undefined {
  const words: string[] = [];
  for (const token of tokens) {
    if (token.value === ")") break;
    if (token.kind === "word") words.push(token.value);
  }
  const [library = "", plugins, ...name] = words;
  const key = name.join(".");
  const catalogue = Object.hasOwn(catalogues, library) ? catalogues[library] : undefined;
  return catalogue !== undefined && plugins === "plugins" && Object.hasOwn(catalogue, key) ? catalogue[key] : undefined;
}

/** The version that an entry names, where it is a literal. */
function findVersion(tokens: readonly Token[]): string | undefined {
  const at = tokens.findIndex((token) => token.kind === "word" && token.value === "version");
  const value = at === -1 ? undefined : tokens.slice(at + 1).find((token) => token.kind !== "sign");
  return value?.kind === "text" && value.isTemplate !== true ? value.value : undefined;
}

function hasPhrase(tokens: readonly Token[], first: string, second: string): boolean {
  const words = tokens.filter((token) => token.kind === "word").map((token) => token.value);
  return words.some((value, at) => value === first && words[at + 1] === second);
}

/** `apply plugin: 'x'`, `apply(plugin = "x")`; `apply from:` is another script, which is not read. */
function readApplies(statements: readonly Statement[], file: string, names: BuildNames, script: BuildScript): void {
  for (const { tokens, line } of statements) {
    if (tokens[0]?.value !== "apply" || tokens[0].kind !== "word") continue;
    const at = tokens.findIndex((token) => token.kind === "word" && token.value === "plugin");
    const value = tokens[at + 2];
    if (at !== -1 && value?.kind === "text" && value.isTemplate !== true) {
      const id = value.value;
      script.plugins.push({ id, version: versionOf(names, id), place: { file, line, message: `plugin ${id}` } });
    } else script.unread.push({ file, line, message: `it applies what only a run can tell: ${renderTokens(tokens)}` });
  }
}

function renderTokens(tokens: readonly Token[]): string {
  return tokens
    .map(({ kind, value }) => (kind === "text" ? `"${value}"` : value))
    .join(" ")
    .slice(0, 80);
}

/** What the settings of a build say. */
export interface BuildSettings {
  /** Folders of the projects in it, from that of the settings. */
  modules: string[];
  /** Versions of plugins, by their ID. */
  versions: Record<string, string>;
  /** Files of version catalogues, by the name that scripts have for them, besides the usual one. */
  catalogues: Record<string, string>;
  /** Folders of builds that it includes: conventions of its own may be there. */
  included: string[];
  unread: SourcePlace[];
}

/**
 * Reads `settings.gradle` or `settings.gradle.kts`.
 * @throws UnfitScript
 */
export function readSettings(text: string, file: string): BuildSettings {
  const settings: BuildSettings = { modules: [], versions: {}, catalogues: {}, included: [], unread: [] };
  const folders = new Map<string, string>();
  for (const { tokens, block, line } of parseScript(text)) {
    const [first] = tokens;
    if (first?.value === "include" || first?.value === "includeFlat") {
      const paths = tokens.slice(1).filter((token) => token.kind === "text");
      const isKnown =
        paths.length > 0 && paths.every(({ isTemplate }) => isTemplate !== true) && first.value === "include";
      if (!isKnown)
        settings.unread.push({ file, line, message: `projects that only a run can name: ${renderTokens(tokens)}` });
      else
        for (const { value } of paths)
          folders.set(`:${value.replace(/^:/, "")}`, value.replace(/^:/, "").replaceAll(":", "/"));
    } else if (first?.value === "pluginManagement") {
      const plugins = block?.find((statement) => statement.tokens[0]?.value === "plugins");
      for (const entry of plugins?.block ?? []) {
        const id = entry.tokens.find((token) => token.kind === "text");
        const version = findVersion(entry.tokens);
        if (id !== undefined && version !== undefined) settings.versions[id.value] = version;
      }
      for (const statement of block ?? []) settings.included.push(...readIncluded(statement));
    } else if (first?.value === "includeBuild") {
      settings.included.push(...readIncluded({ tokens, block, line }));
    } else if (first?.value === "dependencyResolutionManagement") {
      Object.assign(settings.catalogues, readCatalogues(block ?? []));
    } else if (tokens.some(({ kind, value }) => kind === "word" && value === "projectDir")) {
      const [name, folder] = tokens.filter((token) => token.kind === "text");
      if (name !== undefined && folder !== undefined && folder.isTemplate !== true && folders.has(name.value))
        folders.set(name.value, trimEnd(folder.value.replace(/^\.\//, ""), "/"));
      else
        settings.unread.push({
          file,
          line,
          message: `a project's folder that only a run can name: ${renderTokens(tokens)}`,
        });
    }
  }
  settings.modules.push(...folders.values());
  return settings;
}

/** `includeBuild("build-logic")`. */
function readIncluded({ tokens }: Statement): string[] {
  const [first, ...rest] = tokens;
  const folder = first?.value === "includeBuild" ? rest.find(({ kind }) => kind === "text") : undefined;
  return folder === undefined || folder.isTemplate === true ? [] : [trimEnd(folder.value.replace(/^\.\//, ""), "/")];
}

/** `versionCatalogs { create("deps") { from(files("gradle/deps.versions.toml")) } }`; Groovy has `deps { … }` as well. */
function readCatalogues(management: readonly Statement[]): Record<string, string> {
  const found: [string, string][] = [];
  const catalogues = management.find(({ tokens }) => tokens[0]?.value === "versionCatalogs");
  for (const { tokens, block } of catalogues?.block ?? []) {
    const name = tokens.find(({ kind }) => kind === "text") ?? tokens[0];
    const from = block?.find((statement) => statement.tokens[0]?.value === "from");
    const file = from?.tokens.find(({ kind, isTemplate }) => kind === "text" && isTemplate !== true);
    if (name !== undefined && file !== undefined) found.push([name.value, file.value]);
  }
  return Object.fromEntries(found);
}
