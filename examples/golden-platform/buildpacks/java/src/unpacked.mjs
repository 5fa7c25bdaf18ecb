import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isServed } from "../lib/served.mjs";
import { manifestPath, readManifest } from "./manifest.mjs";

const buildFiles = ["pom.xml", "build.gradle", "build.gradle.kts"];

/** Whether the folder is a jar that was unpacked, and has nothing to be built from. */
export function isUnpacked(directory) {
  const has = (name) => existsSync(join(directory, name));
  return !buildFiles.some(has) && has(manifestPath) && readMainClass(directory) !== undefined;
}

/** Whether the folder is a war that was unpacked, and has nothing to be built from. */
export function isUnpackedWar(directory) {
  const has = (name) => existsSync(join(directory, name));
  return !buildFiles.some(has) && has("WEB-INF");
}

/** All of an unpacked war is served but for WEB-INF and META-INF, so what is not to be seen goes. */
export function leaveOutHidden(directory) {
  const visit = (folder, kept) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (!isServed(entry.name)) rmSync(path, { recursive: true, force: true });
      else if (entry.isDirectory() && !kept.includes(entry.name)) visit(path, []);
    }
  };
  visit(directory, ["WEB-INF", "META-INF"]);
}

/** `Main-Class` of the manifest, where that is a class's name: it becomes a word of the start command. */
export function readMainClass(directory) {
  const { mainClass = "" } = readManifest(readFileSync(join(directory, manifestPath), "utf8"));
  return /^[\w.$]+$/.test(mainClass) ? mainClass : undefined;
}
