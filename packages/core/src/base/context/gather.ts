import { realpath } from "node:fs/promises";
import { UserError } from "@goldenpath/foundation/errors";
import { folderOnDisk, type SourceFolder } from "../../build/survey/gather-files.ts";
import { readBakeMentions } from "./bake-files.ts";
import { readDockerfileMentions } from "./dockerfile.ts";
import { readGradleMentions, readPomMentions } from "./java-files.ts";
import type { FileMentions } from "./mention.ts";
import { readProjectMentions } from "./plain-files.ts";
import { readComposeMentions, readWorkflowMentions } from "./yaml-files.ts";

type ReadMentions = (file: string, text: string) => FileMentions;

/** Which files name images, by their names, with who reads them. */
const readers: readonly { name: RegExp; read: ReadMentions }[] = [
  {
    name: /^(?:Dockerfile|Containerfile)(?:\.(?!dockerignore$)[\w.-]+)?$|\.(?:dockerfile|containerfile)$/i,
    read: (file, text) => readDockerfileMentions(file, text),
  },
  { name: /^(?:docker-)?compose(?:[.-][\w.-]+)?\.ya?ml$/i, read: readComposeMentions },
  { name: /^docker-bake(?:\.[\w-]+)*\.(?:hcl|json)$/i, read: readBakeMentions },
  { name: /^project\.toml$/, read: readProjectMentions },
  { name: /^pom\.xml$/, read: readPomMentions },
  { name: /^build\.gradle(?:\.kts)?$/, read: readGradleMentions },
];
const workflowFile = /^(?:.*\/)?(?:\.github\/workflows\/[^/]+\.ya?ml|action\.ya?ml)$/;

/** Folders of what others wrote, or a build left. */
const passedOver = new Set(["node_modules", ".git", "vendor", "target", "dist", ".gradle", ".venv", "__pycache__"]);
const maxDepth = 12;
const maxFolders = 20_000;
/** No such file comes near it. Bytes. */
const maxBytes = 1024 * 1024;

/**
 * The images that the files of a folder name, and of all below it. Links that lead out are not followed.
 * @throws UserError `context-invalid` where it is no folder, or has more folders than anybody could mean
 */
export async function gatherMentions(folder: string): Promise<{ files: string[]; found: FileMentions }> {
  const root = await realpath(folder).catch(() => {
    throw new UserError(`'${folder}' is not there`, { code: "context-invalid", wayOut: "Name a folder." });
  });
  return gatherMentionsOf(folderOnDisk(root), folder);
}

/**
 * The same of a folder wherever it lies.
 * @param called in messages
 * @throws UserError `context-invalid` where it has more folders than anybody could mean; what its reader does
 */
export async function gatherMentionsOf(
  source: SourceFolder,
  called: string,
): Promise<{ files: string[]; found: FileMentions }> {
  const files: string[] = [];
  const found: FileMentions = { mentions: [], unread: [] };
  const waiting: { path: string; depth: number }[] = [{ path: "", depth: 0 }];
  let seen = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (++seen > maxFolders) {
      throw new UserError(`'${called}' has more than ${maxFolders} folders`, {
        code: "context-invalid",
        wayOut: "Name the folder of one application.",
      });
    }
    const names = await source.list(next.path);
    const at = (name: string): string => (next.path === "" ? name : `${next.path}/${name}`);
    for (const name of names.files) {
      const file = at(name);
      const read = readerOf(name, file);
      if (read === undefined) continue;
      files.push(file);
      const { mentions, unread } = await readFile(source, file, read);
      found.mentions.push(...mentions);
      found.unread.push(...unread);
    }
    for (const name of names.realFolders)
      if (!passedOver.has(name) && next.depth < maxDepth) waiting.push({ path: at(name), depth: next.depth + 1 });
  }
  return { files: files.toSorted(), found };
}

/** Whether a file is one of those, and in a folder that is looked into. */
export function mayNameImages(file: string): boolean {
  const folders = file.split("/");
  const name = folders.pop() ?? "";
  return readerOf(name, file) !== undefined && !folders.some((each) => passedOver.has(each));
}

function readerOf(name: string, file: string): ReadMentions | undefined {
  if (workflowFile.test(file)) return readWorkflowMentions;
  return readers.find((each) => each.name.test(name))?.read;
}

async function readFile(source: SourceFolder, file: string, read: ReadMentions): Promise<FileMentions> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await source.read(file, maxBytes));
  } catch (error) {
    const message =
      error instanceof TypeError ? "it is not UTF-8" : error instanceof Error ? error.message : String(error);
    return { mentions: [], unread: [{ file, line: 1, message }] };
  }
  return read(file, text);
}
