import { existsSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { readZipEntry } from "./zip.mjs";

/** Where a jar has its manifest, and what it unpacks to. */
export const manifestPath = "META-INF/MANIFEST.MF";

/**
 * What of a manifest says how a jar starts (JAR File Specification): the class, and what has to lie beside the jar. A
 * line that is longer than 72 bytes goes on after a space in the next.
 * @returns {{ mainClass: string | undefined, classPath: string[] }} `classPath` as relative URLs
 */
export function readManifest(text) {
  const value = (name) => new RegExp(`^${name}:\\s*(\\S.*?)\\s*$`, "im").exec(text.replace(/\r?\n /g, ""))?.[1];
  return { mainClass: value("Main-Class"), classPath: (value("Class-Path") ?? "").split(/\s+/).filter(Boolean) };
}

/**
 * @returns {{ isProgram: boolean, beside: string[], missing: string[] }} whether a jar or war has a `Main-Class`; files
 *   that its `Class-Path` names, as paths, and those of them that are not there
 */
export function lookAt(path) {
  const { mainClass, classPath } = readManifest(readZipEntry(path, manifestPath));
  const named = classPath
    .filter((entry) => !/^(?:[a-z][a-z+.-]*:|\/)/i.test(entry))
    .map((entry) => join(dirname(path), decode(entry)));
  return {
    isProgram: mainClass !== undefined,
    beside: named.filter((each) => existsSync(each)),
    missing: named.filter((each) => !existsSync(each)).map((each) => relative(dirname(path), each)),
  };
}

/** A program's own path and those of what has to lie beside it: Quarkus' finds more than its manifest names. */
export function listNeeded(path) {
  return basename(path) === "quarkus-run.jar" ? [dirname(path)] : [path, ...lookAt(path).beside];
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
