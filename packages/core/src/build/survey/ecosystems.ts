import type { Survey } from "./survey.ts";

/** Languages by the names that a policy's builders have for them. */
export const languages = [
  "nodejs",
  "java",
  "go",
  "python",
  "ruby",
  "php",
  "dotnet",
  "rust",
  "deno",
  "dart",
  "elixir",
  "swift",
  "cpp",
  "static",
] as const;
export type Language = (typeof languages)[number];

export const languageTitles: Readonly<Record<Language, string>> = {
  nodejs: "Node.js",
  java: "Java",
  go: "Go",
  python: "Python",
  ruby: "Ruby",
  php: "PHP",
  dotnet: ".NET",
  rust: "Rust",
  deno: "Deno",
  dart: "Dart",
  elixir: "Elixir",
  swift: "Swift",
  cpp: "C++",
  static: "a static site",
};

/** What a file says an application is written in and built with. */
export interface Ecosystem {
  language: Language;
  /** The file that says it. */
  file: string;
  /** `Java with Maven`. */
  title: string;
  /** The file that pins what is installed. */
  lock: string | undefined;
}

interface Row {
  language: Language;
  /** The first that is there. */
  files: readonly RegExp[];
  /** What those are names of, files unless told. */
  in?: "files" | "folders" | "pages";
  title: string;
  locks: readonly string[];
  /** Whether the file means it, where its name alone doesn't say. */
  means?(survey: Survey): boolean;
}

const rows: readonly Row[] = [
  { language: "java", files: [/^pom\.xml$/], title: "Java with Maven", locks: [] },
  {
    language: "java",
    files: [/^build\.gradle(?:\.kts)?$/, /^settings\.gradle(?:\.kts)?$/],
    title: "Java with Gradle",
    locks: ["gradle.lockfile"],
  },
  { language: "java", files: [/^build\.sbt$/], title: "Scala with sbt", locks: [] },
  { language: "java", files: [/^build\.(?:mill|sc)$/], title: "Scala with Mill", locks: [] },
  { language: "java", files: [/^project\.clj$/], title: "Clojure with Leiningen", locks: [] },
  { language: "java", files: [/^deps\.edn$/], title: "Clojure", locks: [] },
  { language: "go", files: [/^go\.mod$/, /^go\.work$/], title: "Go", locks: ["go.sum", "go.work.sum"] },
  {
    language: "python",
    files: [/^requirements\.txt$/, /^Pipfile$/, /^setup\.py$/],
    title: "Python",
    locks: ["Pipfile.lock"],
  },
  {
    language: "python",
    files: [/^pyproject\.toml$/],
    title: "Python",
    locks: ["uv.lock", "poetry.lock", "pdm.lock"],
    // Many have one for a linter's settings. One that can't be read counts: nothing is guessed about it.
    means: ({ python, files }) =>
      python?.isProject !== false || files.some((name) => ["uv.lock", "poetry.lock", "pdm.lock"].includes(name)),
  },
  { language: "python", files: [/^environment\.ya?ml$/], title: "Python with conda", locks: [] },
  { language: "rust", files: [/^Cargo\.toml$/], title: "Rust", locks: ["Cargo.lock"] },
  { language: "ruby", files: [/^Gemfile$/, /^config\.ru$/], title: "Ruby", locks: ["Gemfile.lock"] },
  { language: "php", files: [/^composer\.json$/, /^index\.php$/], title: "PHP", locks: ["composer.lock"] },
  {
    language: "dotnet",
    files: [/\.(?:cs|fs|vb)proj$/, /\.slnx?$/, /\.runtimeconfig\.json$/],
    title: ".NET",
    locks: ["packages.lock.json"],
  },
  { language: "elixir", files: [/^mix\.exs$/], title: "Elixir", locks: ["mix.lock"] },
  { language: "dart", files: [/^pubspec\.yaml$/], title: "Dart", locks: ["pubspec.lock"] },
  { language: "swift", files: [/^Package\.swift$/], title: "Swift", locks: ["Package.resolved"] },
  // After the others: beside one of them, a package.json is for its pages.
  {
    language: "nodejs",
    files: [/^package\.json$/],
    title: "Node.js",
    locks: ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"],
  },
  // What the older languages' projects have for other ends as well, where nothing else says what it is.
  { language: "deno", files: [/^deno\.jsonc?$/], title: "Deno", locks: ["deno.lock"], means: isAlone },
  { language: "java", files: [/^build\.xml$/], title: "Java with Ant", locks: [], means: isAlone },
  { language: "cpp", files: [/^CMakeLists\.txt$/], title: "C++ with CMake", locks: [], means: isAlone },
  // A program alone.
  { language: "go", files: [/^main\.go$/], title: "Go without a module", locks: [], means: isAlone },
  {
    language: "java",
    // An archive that was unpacked: its start class is in META-INF/MANIFEST.MF, or a servlet container starts it.
    files: [/^META-INF$/, /^WEB-INF$/],
    in: "folders",
    title: "Java, compiled already",
    locks: [],
    means: isAlone,
  },
  { language: "nodejs", files: [/^server\.js$/], title: "Node.js without packages", locks: [], means: isAlone },
  {
    language: "python",
    files: [/^(?:main|app|manage|wsgi|asgi|server)\.py$/],
    title: "Python without packages",
    locks: [],
    means: isAlone,
  },
  { language: "php", files: [/\/index\.php$/], in: "pages", title: "PHP", locks: [], means: isAlone },
  {
    language: "static",
    files: [/^nginx\.conf$/, /^httpd\.conf$/, /^Staticfile$/, /^index\.html$/],
    title: "a static site",
    locks: [],
    means: isAlone,
  },
  { language: "static", files: [/\/index\.html$/], in: "pages", title: "a static site", locks: [], means: isAlone },
  { language: "static", files: [/^hugo\.(?:toml|ya?ml|json)$/], title: "a site by Hugo", locks: [], means: isAlone },
  { language: "static", files: [/^mkdocs\.ya?ml$/], title: "a site by MkDocs", locks: [], means: isAlone },
];

/** Whether no file of the folder names how it is built. */
function isAlone(survey: Survey): boolean {
  return !rows.some((row) => row.means !== isAlone && findFile(row, survey) !== undefined);
}

function findFile({ files: patterns, in: place = "files" }: Row, survey: Survey): string | undefined {
  for (const pattern of patterns) {
    const file = survey[place]?.find((name) => pattern.test(name));
    if (file !== undefined) return file;
  }
  return undefined;
}

/** Where a language has no lock file, what names the versions: a change of it is one of what is installed. */
const insteadOfLocks = ["requirements.txt", "pom.xml", "build.gradle", "build.gradle.kts"];

/** Of a folder's files those that pin what a build installs. */
export function listLockFiles(files: readonly string[]): string[] {
  const known = new Set([...rows.flatMap(({ locks }) => locks), ...insteadOfLocks]);
  return files.filter((name) => known.has(name));
}

/** What a folder's application is written in, in the table's order: one language may be there twice. */
export function detectEcosystems(survey: Survey): Ecosystem[] {
  return rows.flatMap((row) => {
    const file = findFile(row, survey);
    if (file === undefined || row.means?.(survey) === false) return [];
    const lock = row.locks.find((name) => survey.files.includes(name));
    return [{ language: row.language, file, title: row.title, lock }];
  });
}
