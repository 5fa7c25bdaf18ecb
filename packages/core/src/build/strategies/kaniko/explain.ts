import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import { explainKill } from "../../causes.ts";

/** A line of kaniko's own: `{"level":"info","msg":"RUN make","time":"…"}`; a step's output is as the step writes it. */
export function readLine(line: string): { text: string; isKanikos: boolean } {
  if (!line.startsWith("{")) return { text: line, isKanikos: false };
  try {
    const { msg, level } = parseJson(line) as { msg?: unknown; level?: unknown };
    if (typeof msg === "string" && typeof level === "string") return { text: msg, isKanikos: true };
  } catch {
    // A step may print what it likes.
  }
  return { text: line, isKanikos: false };
}

/** How many lines a message repeats. */
const shownLines = 20;

export interface Failure {
  exitCode: number;
  lines: readonly { text: string; isKanikos: boolean }[];
  /** As messages name the Dockerfile, and its text. */
  file: string;
  content: string;
}

/**
 * kaniko names no line: the instruction that it announced last is looked for in the file. It ends in `error building
 * image: …`, which is no JSON.
 */
export function explainKaniko({ exitCode, lines, file, content }: Failure): UserError | InfrastructureError {
  const cause = lines.findLast(({ text }) => /^error /.test(text))?.text;
  if (cause === undefined) {
    const tail = lines.slice(-shownLines).map(({ text }) => `\n${text}`);
    return new InfrastructureError(`kaniko ended with exit code ${exitCode}${tail.join("")}`, {
      code: "dockerfile-engine-failed",
    });
  }
  const begun = lines.findLastIndex(({ text, isKanikos }) => isKanikos && instruction.test(text));
  const line = content.split("\n").findIndex((each) => each.trim() === lines[begun]?.text.trim()) + 1;
  const output = lines.slice(begun + 1).filter(({ text, isKanikos }) => !isKanikos && text !== cause);
  const at = line === 0 ? file : `${file}:${line}`;
  return new UserError([`${at}: ${cause}`, ...output.slice(-shownLines).map(({ text }) => text)].join("\n"), {
    code: "dockerfile-build-failed",
    wayOut: `The whole output is in the log above.${explainKill(cause)}`,
    places: [{ file, ...(line === 0 ? {} : { line }), message: cause }],
  });
}

const instruction = /^(?:RUN|COPY|ADD|WORKDIR|USER|ENV|ARG|CMD|ENTRYPOINT|LABEL|EXPOSE|VOLUME) /;
