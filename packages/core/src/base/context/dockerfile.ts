import { type Dockerfile, readDockerfile, type Stage } from "../../build/strategies/dockerfile/stages.ts";
import { DockerfileProblem } from "../../build/strategies/dockerfile/words.ts";
import type { FileMentions, Mention, MentionUse } from "./mention.ts";

/**
 * The images of all stages of a Dockerfile, not only those that one target needs, with the default values of its
 * arguments.
 */
export function readDockerfileMentions(file: string, text: string, firstLine = 1): FileMentions {
  const platform = { os: "linux", architecture: "amd64" };
  try {
    return listMentions(file, readDockerfile(text, { buildArgs: {}, platform, target: undefined }), firstLine);
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    const line = Math.max(1, error.line) + firstLine - 1;
    return { mentions: [], unread: [{ file, line, message: error.message }] };
  }
}

function listMentions(file: string, { stages, syntax }: Dockerfile, firstLine: number): FileMentions {
  const mentions = new Map<string, Mention>();
  const add = (name: string, line: number, use: MentionUse): void => {
    const at = line + firstLine - 1;
    mentions.set(`${at} ${name}`, { file, line: at, name, use });
  };
  const isStage = (name: string, before: number): boolean =>
    stages.slice(0, before).some((stage) => stage.name === name.toLowerCase()) ||
    (/^\d+$/.test(name) && Number(name) < before);
  const last = rootOf(stages, stages.length - 1);
  for (const [index, stage] of stages.entries()) {
    if (stage.base !== "scratch" && !isStage(stage.base, index))
      add(stage.base, stage.line, stage === last ? "base" : "build");
    // A stage may take from one below it, too: BuildKit orders them by what they need.
    for (const { name, line } of [...stage.from, ...stage.onBuild.from])
      if (!isStage(name, stages.length)) add(name, line, "build");
  }
  if (syntax !== undefined) add(syntax.name, syntax.line, "build");
  return { mentions: [...mentions.values()], unread: [] };
}

/** What the result stands on, through the stages that stand on each other. */
function rootOf(stages: readonly Stage[], index: number): Stage | undefined {
  const stage = stages[index];
  const below = stages.slice(0, index).findLastIndex(({ name }) => name === stage?.base.toLowerCase());
  return below === -1 ? stage : rootOf(stages, below);
}
