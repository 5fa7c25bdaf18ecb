import { describeError, type SourcePlace } from "@goldenpath/foundation/errors";
import { type FolderNames, folderOnDisk, type SourceFolder } from "./gather-files.ts";
import { readFolder } from "./gather-folder.ts";
import { isMarker } from "./markers.ts";
import type { Survey, SurveyedTree } from "./survey.ts";

const maxDepth = 6;
const maxFolders = 5000;
const maxSurveys = 300;

/** Folders that hold what others wrote or a build made, by the customs of the ecosystems. */
const passedOver = new Set([
  "node_modules",
  "vendor",
  "target",
  "build",
  "dist",
  "out",
  "testdata",
  "__pycache__",
  "venv",
  "META-INF",
  "WEB-INF",
  "BOOT-INF",
]);

/** In a folder `src`, the sources of Maven's and Gradle's projects: deep, and never a project. */
const sourceSets = /^(?:main|test|it|\w+Test)$/;

/**
 * Looks at an application's folder and at those below it, within bounds: so deep, so many. Below, only folders are gone
 * into that are no links and no hidden ones.
 * @param from a folder of the disk, by its path without links in it, or what reads one
 * @throws what the reader does, where the folder itself can't be listed
 */
export async function surveyTree(from: string | SourceFolder): Promise<SurveyedTree> {
  const source = typeof from === "string" ? folderOnDisk(from) : from;
  const topNames = await source.list("");
  const top = await readFolder(source, topNames);
  const below: Survey[] = [];
  const remarks: SourcePlace[] = [];
  let tooDeep = "";
  const waiting = innerFolders(topNames);
  let listed = 0;
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    if (++listed > maxFolders || below.length >= maxSurveys) {
      remarks.push({ file: path, message: "is not looked at, nor is what comes after it: there are too many folders" });
      break;
    }
    try {
      const names = await source.list(path);
      if (names.files.some(isMarker)) below.push(await readFolder(source, names));
      const inner = innerFolders(names);
      if (path.split("/").length < maxDepth) waiting.push(...inner);
      else if (inner.length > 0 && tooDeep === "") tooDeep = path;
    } catch (error) {
      remarks.push({ file: path, message: `can't be looked at: ${describeError(error)}` });
    }
  }
  if (tooDeep !== "") remarks.push({ file: tooDeep, message: "has folders that are too deep to be looked at" });
  below.sort((one, other) => (one.path < other.path ? -1 : 1));
  const pages = below.length > 0 ? [] : await listPages(source, topNames);
  const found = pages.length === 0 ? {} : { pages };
  return { top: { ...top, ...found, remarks: [...top.remarks, ...remarks] }, below };
}

/** Whether a file says how an application is built, and is in a folder that is looked into. */
export function isSurveyed(file: string): boolean {
  const folders = file.split("/");
  const name = folders.pop() ?? "";
  return isMarker(name) && !folders.some((each) => each.startsWith(".") || passedOver.has(each));
}

/** Folders that a web server serves, by the customs of PHP's and of site makers' frameworks. */
const webRoots = ["public", "htdocs", "web"];

async function listPages(source: SourceFolder, { realFolders }: FolderNames): Promise<string[]> {
  const pages: string[] = [];
  for (const folder of webRoots.filter((name) => realFolders.includes(name))) {
    // What can't be listed speaks for nothing: whoever builds it meets it again.
    const names = await source.list(folder).catch(() => undefined);
    // Beside a program, a page that is only read is the program's.
    const page = ["index.php", "index.html"].find((name) => names?.files.includes(name));
    if (page !== undefined) pages.push(`${folder}/${page}`);
  }
  return pages;
}

function innerFolders({ path, realFolders }: FolderNames): string[] {
  const isSource = /(?:^|\/)src$/.test(path);
  return realFolders
    .filter((name) => !name.startsWith(".") && !passedOver.has(name) && !(isSource && sourceSets.test(name)))
    .map((name) => (path === "" ? name : `${path}/${name}`));
}
