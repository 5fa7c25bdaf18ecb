import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { InfrastructureError, type SourcePlace, UserError } from "@goldenpath/foundation/errors";
import { classifyRefusal, type RefusalCode } from "@goldenpath/registry-client/refusals";
import { explainKill } from "../../causes.ts";
import { type Ecosystem, languageTitles } from "../../survey/ecosystems.ts";

export const phases = ["analyze", "detect", "build", "export"] as const;
export type Phase = (typeof phases)[number];

const phaseCodes = {
  analyze: "lifecycle-analyze",
  detect: "lifecycle-detect",
  build: "lifecycle-build",
  export: "lifecycle-export",
} as const satisfies Record<Phase, ErrorCode>;

/** How many lines of a phase's output a message repeats. */
const shownLines = 20;

/** What one buildpack said in detection. */
interface DetectAnswer {
  buildpack: string;
  answer: "fail" | "skip" | "err" | "pass";
  output: string[];
}

/**
 * The lifecycle's account of a detection that failed: `======== Output: id@version ========`, lines, and `fail:
 * id@version` under `Results`.
 */
export function parseDetectAnswers(lines: readonly string[]): DetectAnswer[] {
  const outputs = new Map<string, string[]>();
  const answers = new Map<string, DetectAnswer["answer"]>();
  let current: string[] | undefined;
  for (const line of lines) {
    const heading = /^======== (Output|Error|Results)(?:: (\S+))? ========$/.exec(line.trim());
    if (heading !== null) {
      const buildpack = heading[2];
      current = buildpack === undefined ? undefined : (outputs.get(buildpack) ?? []);
      if (buildpack !== undefined && current !== undefined) outputs.set(buildpack, current);
      continue;
    }
    const answer = /^(pass|fail|skip|err): +([^\s@]+@\S+)(?: \(\d+\))?$/.exec(line.trim());
    if (answer !== null && answer[2] !== undefined) {
      current = undefined;
      answers.set(answer[2], answer[1] as DetectAnswer["answer"]);
    } else if (current !== undefined && line.trim() !== "") current.push(line.trim());
  }
  return [...answers].map(([buildpack, answer]) => ({ buildpack, answer, output: outputs.get(buildpack) ?? [] }));
}

/** What of the Platform API's exit codes is a phase's: 20–29 detect, 30–39 analyze, 40–49 restore, and so on. */
const phasesByCode: Readonly<Record<number, Phase>> = { 2: "detect", 3: "analyze", 5: "build", 6: "export" };

/**
 * pack's own line of the phase that failed. A phase's lines, and so a build's, begin with its name in brackets: what a
 * build prints is never taken for this one.
 */
const lastLine = /^ERROR: failed to build: executing lifecycle\b.*: failed with status code: (\d+)$/;

/** The exit code of the lifecycle, or NaN. What comes by the other pipe may stand after pack's last line. */
function lifecycleCode(lines: readonly string[]): number {
  return Number(lastLine.exec(lines.findLast((line) => lastLine.test(line)) ?? "")?.[1] ?? Number.NaN);
}

/**
 * pack's own exit code says nothing; its last line has the lifecycle's: `failed with status code: 51`.
 * @returns as {@link explainFailure}
 */
export function explainPackFailure(
  exitCode: number,
  lines: readonly string[],
  about: AboutApplication = {},
): UserError | InfrastructureError {
  const code = lifecycleCode(lines);
  // Code 1 is of no phase, but that which failed said so in the last of its lines.
  const phase = phasesByCode[Math.floor(code / 10)] ?? (code === 1 ? findPhase(lines) : undefined);
  // Lines of a phase begin with its name: `[detector] fail: id@version`.
  const plain = lines.filter((line) => !lastLine.test(line)).map((line) => line.replace(/^\[[a-z]+\] ?/, ""));
  if (phase !== undefined || code === 11 || code === 12) return explainFailure(phase ?? "detect", code, plain, about);
  const tail = plain.slice(-shownLines).join("\n");
  const said = Number.isNaN(code) ? `exit code ${exitCode}` : `the lifecycle ended with ${code}`;
  return new InfrastructureError(`pack could not build (${said}): ${describeCode(code)}${tail}`, {
    code: "pack-failed",
    safeToRetry: true,
  });
}

/** Phases that run no strangers' code, whose lines are the lifecycle's own. */
function findPhase(lines: readonly string[]): Phase | undefined {
  const [, name] = /^\[(analyzer|exporter)\] ERROR: /.exec(lines.findLast((line) => line.startsWith("[")) ?? "") ?? [];
  return name === undefined ? undefined : name === "analyzer" ? "analyze" : "export";
}

/** By the last line of pack: whether it was the lifecycle's `restore` that failed, by a code of its own. */
export function isRestoreFailure(lines: readonly string[]): boolean {
  return Math.floor(lifecycleCode(lines) / 10) === 4;
}

function describeCode(code: number): string {
  const meaning: Readonly<Record<number, string>> = {
    3: "it was given arguments that it does not take",
    4: "what it has to restore is in another form than it reads",
  };
  const phase = { 4: "restore", 7: "rebase", 8: "launch", 9: "generate", 10: "extend" }[Math.floor(code / 10)];
  return `${meaning[code] ?? (phase === undefined ? "nothing more is known" : `its phase ${phase} failed`)}\n`;
}

/** What is known of the application that is built. */
export interface AboutApplication {
  /** What it is written in, by its files. */
  ecosystems?: readonly Ecosystem[];
  /** Its lines that a compiler complains about in this output. */
  findPlaces?(lines: readonly string[]): SourcePlace[];
}

/**
 * A phase that ended with another exit code than 0 → the error to throw. The codes are the Platform API's: 11 and 12 an
 * API that is not supported, 20–29 detect, 30–39 analyze, 50–59 build, 60–69 export. Detection and the buildpacks are
 * about the application, so those are its author's to act on.
 */
export function explainFailure(
  phase: Phase,
  exitCode: number,
  lines: readonly string[],
  { ecosystems = [], findPlaces = () => [] }: AboutApplication = {},
): UserError | InfrastructureError {
  const output = lines.slice(-shownLines).join("\n");
  const tail = output === "" ? "" : `:\n${output}`;
  if (exitCode === 20 || exitCode === 21) return explainDetection(exitCode, { lines, ecosystems, tail });
  if (exitCode === 51) {
    return new UserError(`a buildpack failed to build the application${tail}`, {
      code: "buildpack-failed",
      places: findPlaces(lines),
      wayOut: `The whole output is in the log above. What a buildpack needs beyond the files is given by the input 'env'.${explainKill(output)}`,
    });
  }
  if (exitCode === 11 || exitCode === 12) {
    return new UserError(
      `the lifecycle does not support the ${exitCode === 11 ? "platform" : "buildpack"} API that is asked for${tail}`,
      {
        code: "lifecycle-api",
        wayOut: "Have the policy name a version of the buildpack that this goldenpath's lifecycle can run.",
      },
    );
  }
  const refusal = findRefusal(phase, lines);
  if (refusal !== undefined) {
    return new InfrastructureError(`${refusals[refusal].what}${tail}`, {
      code: refusal,
      wayOut: refusals[refusal].wayOut,
    });
  }
  if (/\b(?:UNAUTHORIZED|DENIED|401 Unauthorized|403 Forbidden)\b/.test(output)) {
    return new UserError(`the registry does not let the build ${phase === "export" ? "push" : "in"}${tail}`, {
      code: "registry-unauthorized",
      wayOut: "Log in (docker login) with an account that may push to this repository in quarantine.",
    });
  }
  return new InfrastructureError(`the lifecycle could not ${phase} (exit code ${exitCode})${tail}`, {
    code: phaseCodes[phase],
    wayOut:
      phase === "analyze" || phase === "export"
        ? "Run the step again: a tag is set last, and what is in the registry already is not sent again. Where it fails again, see whether the registry can be reached and works."
        : "Run the step again; where it fails again, the log above says more.",
    // Nothing is pushed before export, and an export that is repeated pushes the same bytes.
    safeToRetry: true,
  });
}

/** A refusal of the registry that is no matter of logging in, by what the lifecycle repeats of its answer. */
function findRefusal(phase: Phase, lines: readonly string[]): RefusalCode | undefined {
  if (phase !== "analyze" && phase !== "export") return undefined;
  const message = lines.findLast((line) => line.startsWith("ERROR: ")) ?? "";
  const status = Number(/\bstatus code (\d{3})\b/.exec(message)?.[1] ?? 403);
  const code = /: ([A-Z_]{3,}): /.exec(message)?.[1] ?? "";
  // Nothing but the whole push is known of it, so that it may have been about a tag.
  return message === "" ? undefined : classifyRefusal({ status, problems: [{ code, message }], tag: "" });
}

const refusals: Readonly<Record<RefusalCode, { what: string; wayOut: string }>> = {
  "quota-exceeded": {
    what: "the registry takes nothing more: its quota or storage is used up",
    wayOut: "Delete what is not needed in the repository, or have its quota raised; then run again: no tag was set.",
  },
  "registry-read-only": {
    what: "the registry takes no writes now, it is read-only",
    wayOut: "Wait for the end of its maintenance, or push to a registry that is no cache or group; then run again.",
  },
  "tag-immutable": {
    what: "the registry does not let the tag be moved",
    wayOut: "Choose a tag that does not exist yet, or except this one from the registry's rule.",
  },
};

interface Detected {
  lines: readonly string[];
  ecosystems: readonly Ecosystem[];
  tail: string;
}

function explainDetection(exitCode: 20 | 21, { lines, ecosystems, tail }: Detected): UserError {
  const answers = parseDetectAnswers(lines);
  const listed = answers.map(({ buildpack, answer, output }) => {
    const verdict = { fail: "does not fit", skip: "does not fit, and is not needed", err: "failed", pass: "fits" }[
      answer
    ];
    const reasons = output.slice(-shownLines);
    return `  ${buildpack} ${verdict}${reasons.length === 0 ? " (and gives no reason)" : `: ${reasons.join("\n    ")}`}`;
  });
  const details = listed.length === 0 ? tail : `:\n${listed.join("\n")}`;
  if (exitCode === 21) {
    return new UserError(`a buildpack failed while it looked at the application${details}`, {
      code: "detect-failed",
      wayOut: "The whole output is in the log above.",
    });
  }
  // A buildpack names the file that it looks for. Whoever has an application in another language should add none.
  const [main] = ecosystems;
  const found = ecosystems.map(({ file, title }) => `${file}: ${title}`).join(", ");
  return new UserError(
    `the builder's buildpacks do not fit the application${main === undefined ? "" : ` (${found})`}${details}`,
    {
      code: "nothing-detected",
      wayOut:
        main === undefined
          ? "Check the input 'context', add what the buildpack looks for, or name another builder of the policy."
          : `Name a builder of the policy that builds ${languageTitles[main.language]} by the input 'builder', or have one added to the policy's build.builders.`,
    },
  );
}
