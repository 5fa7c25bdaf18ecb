import { findStage, rootOf, stageBelow } from "../../build/strategies/dockerfile/images.ts";
import { type Dockerfile, readDockerfile } from "../../build/strategies/dockerfile/stages.ts";
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
  const root = rootOf(stages, stages.at(-1) ?? stages[0]);
  for (const stage of stages) {
    if (stage.base !== "scratch" && stageBelow(stages, stage) === undefined)
      add(stage.base, stage.line, stage === root ? "base" : "build");
    // A stage may take from one below it, too: BuildKit orders them by what they need.
    for (const { name, line } of [...stage.from, ...stage.onBuild.from])
      if (findStage(stages, name) === undefined) add(name, line, "build");
  }
  if (syntax !== undefined) add(syntax.name, syntax.line, "build");
  return { mentions: [...mentions.values()], unread: [] };
}
