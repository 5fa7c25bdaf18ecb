import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { explainKill } from "../../causes.ts";
import { noBuildKit } from "./scripts.ts";

/** How many lines of a step's output a message repeats. */
const shownLines = 20;

export interface Failure {
  exitCode: number;
  /** The last of what was said, without secrets. */
  lines: readonly string[];
  /** As messages name the Dockerfile, in the checkout. */
  file: string;
}

/**
 * What BuildKit said when it ended → the error to throw. It points at lines of the file by `Dockerfile:7`, `7 | >>> RUN
 * …`, and ends in `error: failed to solve: …`; a step's own output has the step's number before it, as `#8 0.123 …`.
 */
export function explainFailure({ exitCode, lines, file }: Failure): UserError | InfrastructureError {
  const shown = lines.slice(-shownLines).join("\n");
  const tail = shown === "" ? "" : `:\n${shown}`;
  const cause = lines
    .findLast((line) => /^(?:error|ERROR): /.test(line))
    ?.replace(/^(?:error|ERROR): (?:failed to solve: )?/, "");
  if (exitCode === noBuildKit || cause === undefined) {
    return new InfrastructureError(`BuildKit ended with exit code ${exitCode}${tail}`, {
      code: "dockerfile-engine-failed",
      wayOut: "Look at the log above; where it says nothing, run the step again.",
    });
  }
  const line = findLine(lines);
  const at = line === undefined ? file : `${file}:${line}`;
  const output = stepOutput(lines);
  const details = output.length === 0 ? "" : `\n${output.slice(-shownLines).join("\n")}`;
  const places = [{ file, line, message: cause }];
  if (/source .*not allowed by policy|source denied by policy/i.test(cause)) {
    return new UserError(`${at}: ${cause}`, {
      code: "dockerfile-refused",
      wayOut:
        "A build fetches what its file names plainly, so that it can be judged before: write images and URLs out, without variables of a stage.",
      places,
    });
  }
  if (/^(?:dockerfile parse error|unknown instruction|failed to process)/i.test(cause)) {
    return new UserError(`${at}: ${cause}`, { code: "dockerfile-invalid", places });
  }
  return new UserError(`${at}: ${cause}${details}`, {
    code: "dockerfile-build-failed",
    wayOut: `The whole output is in the log above. Steps reach the network by the proxy that HTTP_PROXY and HTTPS_PROXY name, and no address of this machine.${explainKill(cause)}`,
    places,
  });
}

/** Why BuildKit left no cache, by what it said; undefined where there was nothing to leave. */
export function explainNoCache(lines: readonly string[]): string | undefined {
  if (lines.some((line) => /^#\d+ skipping cache export for empty result/.test(line))) return undefined;
  const step = /^#(\d+) /.exec(
    lines.findLast((line) => /^#\d+ exporting cache to client directory/.test(line)) ?? "",
  )?.[1];
  const start = `#${step} ERROR: `;
  return lines.findLast((line) => line.startsWith(start))?.slice(start.length) ?? "BuildKit does not say why";
}

/** The last line that BuildKit points at. */
function findLine(lines: readonly string[]): number | undefined {
  const pointed = lines.findLast((line) => /^\s*\d+ \| >>> /.test(line));
  const found =
    /^\s*(\d+) \|/.exec(pointed ?? "")?.[1] ??
    /^[^\s:]+:(\d+)$/.exec(lines.findLast((line) => /^[^\s:]+:\d+$/.test(line)) ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
}

/** What the step that failed had said: `#8 ERROR: …` names it. */
function stepOutput(lines: readonly string[]): string[] {
  const step = /^#(\d+) ERROR: /.exec(lines.findLast((line) => /^#\d+ ERROR: /.test(line)) ?? "")?.[1];
  if (step === undefined) return [];
  const own = new RegExp(`^#${step} \\d+\\.\\d+ (.*)$`);
  return lines.flatMap((line) => own.exec(line)?.[1] ?? []);
}
