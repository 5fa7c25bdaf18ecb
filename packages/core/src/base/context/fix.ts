import type { ContextProblem } from "./judge.ts";

export interface FixedText {
  text: string;
  fixed: ContextProblem[];
  /** Whose line does not have the name as it is, or has it twice: somebody composes it. */
  left: ContextProblem[];
}

/** A text with what {@link ContextProblem.fix} says, line by line; everything else stays byte for byte. */
export function fixText(text: string, problems: readonly ContextProblem[]): FixedText {
  const lines = text.split("\n");
  const result: FixedText = { text, fixed: [], left: [] };
  for (const problem of problems) {
    const { fix, line } = problem;
    const written = lines[line - 1];
    const pieces = fix === undefined || written === undefined ? [] : splitAtName(written, fix.from);
    if (fix === undefined || pieces.length !== 2) result.left.push(problem);
    else {
      lines[line - 1] = pieces.join(fix.to);
      result.fixed.push(problem);
    }
  }
  return { ...result, text: lines.join("\n") };
}

/** Where a name stands alone, and is no part of a longer one. */
function splitAtName(line: string, name: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = line.indexOf(name); at !== -1; at = line.indexOf(name, at + 1)) {
    const isPart = /[\w./:@-]/.test(line[at + name.length] ?? " ") || /[\w.:@-]/.test(line[at - 1] ?? " ");
    const isPath = line[at - 1] === "/" && !line.slice(0, at).endsWith("://");
    if (isPart || isPath) continue;
    pieces.push(line.slice(start, at));
    start = at + name.length;
  }
  return [...pieces, line.slice(start)];
}
