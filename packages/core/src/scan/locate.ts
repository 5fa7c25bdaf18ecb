import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import { cutLines, findFromLine, findPackageLine } from "./find-line.ts";
import type { Finding } from "./finding.ts";

/** Where a reader changes the version of a package of this type, the surest first. Types are syft's. */
export const manifestsByType: Readonly<Record<string, readonly string[]>> = {
  npm: ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "package.json"],
  "java-archive": ["pom.xml", "build.gradle.kts", "build.gradle"],
  "go-module": ["go.mod"],
  python: ["poetry.lock", "uv.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml"],
  gem: ["Gemfile.lock", "Gemfile"],
  "rust-crate": ["Cargo.lock", "Cargo.toml"],
  "php-composer": ["composer.lock", "composer.json"],
  dotnet: ["packages.lock.json"],
};

/** Where the base is chosen, or else a file that most repositories have. */
const elsewhere = ["Dockerfile", "Containerfile", "project.toml", "README.md"];

export interface FindingPlace {
  /** A path in the checkout, with slashes. */
  file: string;
  /** From 1. */
  line?: number;
  /** False where nothing in the checkout says that it is mended there: some file has to be named. */
  isKnown: boolean;
}

/** Lock files are smaller; whatever is larger gets no line, since it is gone through for each package. Bytes. */
const maxFile = 4 * 1024 * 1024;

/**
 * The place in the checkout where a finding is mended. GitHub drops results with locations that are not there, so each
 * file is looked up; where nothing fits, the policy's file when it is in the checkout.
 * @param policy as given: a path or a URI
 */
export function createLocator(workingDirectory: string, policy: string): (finding: Finding) => FindingPlace {
  const exists = (name: string): boolean => isEntry(join(workingDirectory, name));
  const policyPath = relative(workingDirectory, isAbsolute(policy) ? policy : join(workingDirectory, policy));
  const inCheckout = policyPath !== "" && !policyPath.startsWith("..") && !isAbsolute(policyPath) && exists(policyPath);
  const fallback = elsewhere.find(exists) ?? (inCheckout ? policyPath.split(sep).join("/") : "README.md");
  const byType = new Map<string, string | undefined>();
  const read = (file: string): string => readBounded(join(workingDirectory, file));
  const cut = new Map<string, readonly string[]>();
  const found = new Map<string, number | undefined>();
  const lineOf = (file: string, name: string, version: string): number | undefined => {
    const key = JSON.stringify([file, name, version]);
    const lines = cut.get(file) ?? cutLines(read(file));
    cut.set(file, lines);
    if (!found.has(key)) found.set(key, findPackageLine(lines, name, version));
    return found.get(key);
  };
  let fromLine: { line: number | undefined } | undefined;
  return ({ origin, package: { type, name, version } }) => {
    if (!byType.has(type)) byType.set(type, manifestsByType[type]?.find(exists));
    const manifest = byType.get(type);
    if (manifest !== undefined && origin !== "base") return placed(manifest, lineOf(manifest, name, version), true);
    const dockerfile = dockerfiles.find(exists);
    if (origin === "base" && dockerfile !== undefined) {
      fromLine ??= { line: findFromLine(read(dockerfile)) };
      return placed(dockerfile, fromLine.line, true);
    }
    return placed(manifest ?? fallback, undefined, false);
  };
}

const dockerfiles = ["Dockerfile", "Containerfile"];

const placed = (file: string, line: number | undefined, isKnown: boolean): FindingPlace => ({
  file,
  ...(line === undefined ? {} : { line }),
  isKnown,
});

/** A file or a link, which has a place in the checkout wherever it leads. */
function isEntry(path: string): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isFile() || stats.isSymbolicLink();
  } catch {
    return false;
  }
}

/** The text of a file of the checkout. A link is not followed: what is outside is none of a reader's business. */
function readBounded(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    return stats.isFile() && stats.size <= maxFile ? readFileSync(file, "utf8") : "";
  } catch {
    return "";
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
