import { posix } from "node:path";
import type { SourcePlace } from "@goldenpath/foundation/errors";
import { DescriptorReader, type FolderNames, type SourceFolder } from "./gather-files.ts";
import { readGradle } from "./gather-gradle.ts";
import {
  isGoMain,
  readGoModule,
  readGoWork,
  readPackage,
  readPnpmWorkspace,
  readProcfile,
  readPyproject,
} from "./languages.ts";
import { isParentOf, listActivationFiles, type Pom, parentFile, readMavenProject } from "./maven.ts";
import type { GoModule, MavenProject, NodePackage, PythonProject, Survey } from "./survey.ts";
import { parseXml, UnfitXml } from "./xml.ts";

/** Reads what a folder's files say of how it is built. */
export async function readFolder(source: SourceFolder, names: FolderNames): Promise<Survey> {
  const reader = new DescriptorReader(source);
  const { path, files, folders, strays } = names;
  const remarks = [...names.remarks];
  const maven = files.includes("pom.xml") ? await readMaven(reader, posix.join(path, "pom.xml"), remarks) : undefined;
  const gradle = await readGradle(reader, names, remarks);
  const node = files.includes("package.json") ? await readNode(reader, path, files) : undefined;
  const go = await readGo(reader, names);
  const python: PythonProject | undefined = files.includes("pyproject.toml")
    ? await reader.read(posix.join(path, "pyproject.toml"), readPyproject)
    : undefined;
  const processes = files.includes("Procfile")
    ? await reader.read(posix.join(path, "Procfile"), readProcfile)
    : undefined;
  return {
    path,
    files,
    folders,
    ...(strays.length === 0 ? {} : { strays }),
    ...(maven === undefined ? {} : { maven }),
    ...(gradle === undefined ? {} : { gradle }),
    ...(node === undefined ? {} : { node }),
    ...(go === undefined ? {} : { go }),
    ...(python === undefined ? {} : { python }),
    ...(processes === undefined ? {} : { processes }),
    unread: reader.unread,
    remarks,
  };
}

/** More than a project's family ever has; a parent that is its own grandparent ends here as well. */
const maxParents = 10;

async function readMaven(
  reader: DescriptorReader,
  file: string,
  remarks: SourcePlace[],
): Promise<MavenProject | undefined> {
  const root = await reader.read(file, (text) => readPom(text));
  if (root === undefined) return undefined;
  const lineage: [Pom, ...Pom[]] = [{ file, root }];
  while (lineage.length < maxParents) {
    const child = lineage.at(-1) ?? lineage[0];
    const named = parentFile(child);
    if (named === undefined) break;
    const path = posix.join(posix.dirname(child.file), named);
    if (path.startsWith("../") || path.startsWith("/")) {
      if (named !== "../pom.xml")
        remarks.push({ file: child.file, message: `its parent ${named} is outside of the folder that is built` });
      break;
    }
    const parent = await reader.readIfThere(path, (text) => readPom(text));
    if (parent === undefined || !isParentOf({ file: path, root: parent }, child)) break;
    lineage.push({ file: path, root: parent });
  }
  return readMavenProject(lineage, await findThere(reader, posix.dirname(file), listActivationFiles(lineage)));
}

/** More than any family of POMs asks for. */
const maxActivationFiles = 50;

async function findThere(reader: DescriptorReader, folder: string, files: readonly string[]): Promise<Set<string>> {
  const there = new Set<string>();
  for (const file of files.slice(0, maxActivationFiles))
    if (await reader.isThere(posix.join(folder, file))) there.add(file);
  return there;
}

function readPom(text: string): ReturnType<typeof parseXml> {
  const root = parseXml(text);
  if (root.name !== "project") throw new UnfitXml(root.line, `its root is <${root.name}> and not <project>`);
  return root;
}

async function readNode(
  reader: DescriptorReader,
  path: string,
  files: readonly string[],
): Promise<NodePackage | undefined> {
  const node = await reader.read(posix.join(path, "package.json"), readPackage);
  if (node === undefined || !files.includes("pnpm-workspace.yaml")) return node;
  const patterns = await reader.read(posix.join(path, "pnpm-workspace.yaml"), (text) => {
    const read = readPnpmWorkspace(text);
    if (read === undefined) throw new Error("its packages are not a plain list, a line each");
    return read;
  });
  return { ...node, workspaces: [...node.workspaces, ...(patterns ?? [])] };
}

/** So many files of one folder are asked for their package. */
const maxGoFiles = 100;
const maxGoFolders = 30;

async function readGo(reader: DescriptorReader, names: FolderNames): Promise<GoModule | undefined> {
  const { path, files } = names;
  const isModule = files.includes("go.mod");
  if (!isModule && !files.includes("go.work")) return undefined;
  const module = isModule ? await reader.read(posix.join(path, "go.mod"), readGoModule) : undefined;
  const uses = files.includes("go.work") ? await reader.read(posix.join(path, "go.work"), readGoWork) : [];
  const programs = isModule ? await findPrograms(reader, names) : [];
  return { module, programs, uses: uses ?? [] };
}

/** Folders with a program in them: the module's own, and those of `cmd`, as the custom is; where neither has one, others. */
async function findPrograms(reader: DescriptorReader, names: FolderNames): Promise<string[]> {
  const programs = await findUsualPrograms(reader, names);
  return programs.length > 0 ? programs : findOtherPrograms(reader, names);
}

async function findUsualPrograms(reader: DescriptorReader, names: FolderNames): Promise<string[]> {
  const programs: string[] = [];
  if (await hasProgram(reader, names)) programs.push("");
  if (!names.realFolders.includes("cmd")) return programs;
  const cmd = await reader.list(posix.join(names.path, "cmd"));
  if (await hasProgram(reader, cmd)) programs.push("cmd");
  for (const folder of cmd.realFolders.slice(0, maxGoFolders)) {
    if (await hasProgram(reader, await reader.list(posix.join(names.path, "cmd", folder))))
      programs.push(`cmd/${folder}`);
  }
  return programs;
}

const maxOtherFolders = 200;
const maxOtherDepth = 3;

/** Folders of what helps with the module and is not what it is for; and those that Go itself leaves out. */
const aside = /^(?:[._].*|examples?|tests?|testdata|e2e|tools?|hack|scripts?|docs?|internal|vendor|node_modules)$/;

/** By a `main.go`, in folders of the module that are none of the usual ones. */
async function findOtherPrograms(reader: DescriptorReader, names: FolderNames): Promise<string[]> {
  const programs: string[] = [];
  const innerOf = ({ realFolders }: FolderNames, folder: string): string[] =>
    realFolders.filter((name) => !aside.test(name)).map((name) => posix.join(folder, name));
  const waiting = innerOf(names, "");
  for (let seen = 0; seen < maxOtherFolders && programs.length < maxGoFolders; seen++) {
    const folder = waiting.shift();
    if (folder === undefined) break;
    const inner = await reader.list(posix.join(names.path, folder));
    if (inner.files.includes("go.mod")) continue;
    const main = posix.join(inner.path, "main.go");
    if (inner.files.includes("main.go") && (await reader.read(main, isGoMain)) === true) programs.push(folder);
    if (folder.split("/").length < maxOtherDepth) waiting.push(...innerOf(inner, folder));
  }
  return programs;
}

async function hasProgram(reader: DescriptorReader, { path, files }: FolderNames): Promise<boolean> {
  const sources = files.filter((name) => name.endsWith(".go") && !name.endsWith("_test.go"));
  for (const name of sources.slice(0, maxGoFiles)) {
    if ((await reader.read(posix.join(path, name), isGoMain)) === true) return true;
  }
  return false;
}
