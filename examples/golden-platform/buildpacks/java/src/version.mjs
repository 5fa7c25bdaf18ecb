import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";

/** Where a build says which Java its sources are for. A number that stands in another property is not followed. */
const places = [
  { file: "pom.xml", pattern: /<(java\.version|maven\.compiler\.(?:release|source))>\s*(?:1\.)?(\d+)\s*</g },
  { file: "build.gradle", pattern: /(languageVersion)\b.*?JavaLanguageVersion\.of\((\d+)\)/g },
  { file: "build.gradle.kts", pattern: /(languageVersion)\b.*?JavaLanguageVersion\.of\((\d+)\)/g },
];

/** Before anything is fetched: a build for a later Java than the platform's fails, after minutes and in other words. */
export function requireJava(directory, home) {
  const own = Number(/^java-(\d+)-/.exec(basename(home))?.[1]);
  for (const { file, pattern } of places) {
    const path = join(directory, file);
    if (!existsSync(path)) continue;
    for (const [, name, version] of readFileSync(path, "utf8").matchAll(pattern)) {
      if (Number(version) > own)
        throw new ApplicationError(
          `${file} asks for Java ${version} (${name}), and this platform has ${own}. Compile for ${own}, or have the platform's buildpack take a later one.`,
        );
    }
  }
}
