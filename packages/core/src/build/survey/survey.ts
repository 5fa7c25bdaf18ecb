import type { SourcePlace } from "@goldenpath/foundation/errors";

/**
 * What there is to see in one folder of an application before anything of it runs: facts alone, which detection decides
 * on. Everything in it is the application's own word. `gather.ts` reads it from the disk, within bounds, and follows no
 * link out of the checkout.
 */
export interface Survey {
  /** From the folder that was given, with `/` in between; empty for that one. */
  path: string;
  /** Names of the regular files in it, sorted: links that end at one within the application among them. */
  files: readonly string[];
  /** Names of the folders in it, sorted. */
  folders: readonly string[];
  /** Names of what is in it and is neither, sorted: a link that leads out of the application or nowhere, a device. */
  strays?: readonly string[];
  /**
   * First pages in the folder that a web server would serve, `htdocs/index.php`: where nothing else speaks for what the
   * application is, and nothing below it is one.
   */
  pages?: readonly string[];
  /** What is in its `pom.xml`. */
  maven?: MavenProject;
  /** A build around it, in the same checkout, that names it as a member: by which file, and as which folder of it. */
  frame?: { file: string; module: string } | undefined;
  /** What is in its `build.gradle` or `build.gradle.kts`, and in the settings and catalogue of its build. */
  gradle?: GradleProject;
  /** What is in its `package.json`, and the workspaces that `pnpm-workspace.yaml` adds. */
  node?: NodePackage;
  go?: GoModule;
  /** What is in its `pyproject.toml`. */
  python?: PythonProject;
  /** The processes that its `Procfile` names. */
  processes?: readonly string[];
  /**
   * Files by which an application says how it is built, and which could not be read: whoever would guess what is in one
   * could take the wrong strategy.
   */
  unread: readonly SourcePlace[];
  /** What else was there and is not known, or is passed over. */
  remarks: readonly SourcePlace[];
}

/** An application's folder, and what is in the folders below it that may be applications as well. */
export interface SurveyedTree {
  top: Survey;
  /** By their path: those with a file by which an application says how it is built. */
  below: readonly Survey[];
}

/** An element of XML, as it stands in the file: nothing is replaced in it. */
export interface XmlElement {
  /** Without a prefix. */
  name: string;
  /** Of its start, from 1. */
  line: number;
  /** Its own text without that of its children, without white space around it. */
  text: string;
  children: readonly XmlElement[];
}

/** A project of Maven with what it inherits from parents that are in the checkout. */
export interface MavenProject {
  groupId: string | undefined;
  artifactId: string;
  /** `jar`, where the file does not say. */
  packaging: string;
  /** Folders, as the file names them, those of profiles too. */
  modules: readonly string[];
  /** Its own before those of its parents: the first of a name is the one that holds. */
  plugins: readonly MavenPlugin[];
  /** Its own and its parents', with properties in them replaced as far as they are known. */
  properties: Readonly<Record<string, string>>;
  /** `GROUP:ARTIFACT:VERSION` of the parent that is not in the checkout: what that brings is not known. */
  outerParent: string | undefined;
}

export interface MavenPlugin {
  groupId: string;
  artifactId: string;
  /** Undefined where it comes from a parent that is not in the checkout. */
  version: string | undefined;
  /** The profile that has to be on for it, where that is not on by files that there are. */
  profile: string | undefined;
  /** In `pluginManagement`: not run by itself, but what it configures holds whenever the plugin runs. */
  isManaged: boolean;
  /** Neither managed alone, nor in a profile that has to be on for it, nor told to skip. */
  runs: boolean;
  /** Where its configuration tells it to skip its work, where that is what keeps it from running. */
  skipped?: SourcePlace | undefined;
  /** All of `<plugin>`, its `configuration` and `executions` among it. */
  element: XmlElement;
  place: SourcePlace;
}

export interface GradleProject {
  /** The build script's name. */
  file: string;
  /** Those that it applies to itself. */
  plugins: readonly GradlePlugin[];
  /** Projects of the build that its settings name, each a folder. */
  modules: readonly string[];
}

export interface GradlePlugin {
  id: string;
  /** Undefined where it is not written down in a place that was read. */
  version: string | undefined;
  place: SourcePlace;
}

export interface NodePackage {
  name: string | undefined;
  main: string | undefined;
  /** Names of those that have a command. */
  scripts: readonly string[];
  /** Patterns of folders. */
  workspaces: readonly string[];
}

export interface GoModule {
  /** Its path; undefined where there is only a `go.work`. */
  module: string | undefined;
  /** Folders with a program in them, of the module's own folder and of those of `cmd`, or else of others; empty for the folder itself. */
  programs: readonly string[];
  /** Folders that a `go.work` uses. */
  uses: readonly string[];
}

export interface PythonProject {
  /** False for a file that has settings of tools and nothing else. */
  isProject: boolean;
  isPoetry: boolean;
  /** Names of the commands that it installs. */
  scripts: readonly string[];
  /** Patterns of folders, of uv's workspace. */
  workspaces: readonly string[];
}
