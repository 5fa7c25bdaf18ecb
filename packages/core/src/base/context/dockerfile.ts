import { findStage, rootOf, stageBelow } from "../../build/strategies/dockerfile/images.ts";
import { type Dockerfile, readDockerfile } from "../../build/strategies/dockerfile/stages.ts";
import { DockerfileProblem } from "../../build/strategies/dockerfile/words.ts";
import { type FileMentions, type Mention, type MentionUse, noMentions } from "./mention.ts";

/** Where a Dockerfile stands within another file, and what that one gives it. */
export interface DockerfilePlace {
  /** From 1. */
  firstLine?: number;
  /** By the argument's name; one that nobody here knows has a `$` in it, which no image has. */
  buildArgs?: Readonly<Record<string, string>>;
}

/**
 * The images of all stages of a Dockerfile, not only those that one target needs, with the default values of its
 * arguments, or those that are given to it.
 */
export function readDockerfileMentions(
  file: string,
  text: string,
  { firstLine = 1, buildArgs = {} }: DockerfilePlace = {},
): FileMentions {
  const platform = { os: "linux", architecture: "amd64" };
  try {
    return listMentions(file, readDockerfile(text, { buildArgs, platform, target: undefined }), firstLine);
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    const line = Math.max(1, error.line) + firstLine - 1;
    return { mentions: [], unread: [{ file, line, message: error.message }] };
  }
}

/**
 * The frontend that is given as an argument, which counts before the one that the file asks for (BuildKit,
 * frontend/dockerfile/builder: `build-arg:BUILDKIT_SYNTAX`).
 */
export function readGivenSyntax(
  at: Pick<Mention, "file" | "line">,
  buildArgs: Readonly<Record<string, string>>,
): FileMentions {
  const name = Object.hasOwn(buildArgs, syntaxArgument) ? (buildArgs[syntaxArgument] ?? "") : "";
  return name === "" ? noMentions : separate([{ ...at, name, use: "build" }]);
}

const syntaxArgument = "BUILDKIT_SYNTAX";

/** Those that have a variable left in them are nobody's to know. */
function separate(mentions: readonly Mention[]): FileMentions {
  const { known = [], unknown = [] } = Object.groupBy(mentions, ({ name }) =>
    name.includes("$") ? "unknown" : "known",
  );
  const unread = unknown.map(({ file, line, name, use }) => ({
    ...{ file, line, use },
    message: `'${name}' can't be resolved: it has a variable without a value`,
  }));
  return { mentions: known, unread };
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
  return separate([...mentions.values()]);
}
