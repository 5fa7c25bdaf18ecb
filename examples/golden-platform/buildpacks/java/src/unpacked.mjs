import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const manifest = "META-INF/MANIFEST.MF";
const buildFiles = ["pom.xml", "build.gradle", "build.gradle.kts"];

/** Whether the folder is a jar that was unpacked, and has nothing to be built from. */
export function isUnpacked(directory) {
  const has = (name) => existsSync(join(directory, name));
  return !buildFiles.some(has) && has(manifest) && readMainClass(directory) !== undefined;
}

/** Whether the folder is a war that was unpacked, and has nothing to be built from. */
export function isUnpackedWar(directory) {
  const has = (name) => existsSync(join(directory, name));
  return !buildFiles.some(has) && has("WEB-INF");
}

/** `Main-Class` of the manifest; a line that is longer than 72 bytes goes on after a space in the next. */
export function readMainClass(directory) {
  const text = readFileSync(join(directory, manifest), "utf8").replace(/\r?\n /g, "");
  return /^Main-Class:\s*([\w.$]+)\s*$/im.exec(text)?.[1];
}
