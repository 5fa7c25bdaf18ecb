import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseStageResult, type StageResult } from "@goldenpath/core/result";
import { runProcess } from "@goldenpath/foundation/exec/run";

const root = join(import.meta.dirname, "../..");

export interface BundleOptions {
  /** The action's folder. */
  action: string;
  inputs: Readonly<Record<string, string>>;
  /** A directory of this step's own: temporary files, outputs, summary, log. */
  directory: string;
  /** Where relative paths lead; by default this repository. */
  workspace?: string;
  /** The source's commit: what a runner knows of the run. */
  commit: string;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal;
  onLine?: (line: string) => unknown;
}

/** What a bundle left, whether it came to a result or not. */
export interface BundleEnd {
  exitCode: number;
  outputs: Record<string, string>;
  summary: string;
  log: string;
  seconds: number;
}

export interface BundleRun extends Omit<BundleEnd, "summary"> {
  action: string;
  result: StageResult;
}

/** Starts an action's bundle as a runner does, and takes it that the action leaves a result. */
export async function runBundle(options: BundleOptions): Promise<BundleRun> {
  const { summary: _, ...end } = await startBundle(options);
  const file = end.outputs["result"] ?? "";
  if (file === "") {
    const last = end.log.trimEnd().split("\n").slice(-20).join("\n");
    throw new Error(`${options.action} left no result; its log is ${join(options.directory, "log.txt")}:\n${last}`);
  }
  return { action: options.action, ...end, result: parseStageResult(await readFile(file, "utf8"), file) };
}

/** Starts an action's bundle as a runner does: inputs and facts by environment; outputs, summary and result by file. */
export async function startBundle(options: BundleOptions): Promise<BundleEnd> {
  const { action, inputs, directory, commit, workspace = root } = options;
  await mkdir(directory, { recursive: true });
  const [outputFile, summaryFile] = [join(directory, "output"), join(directory, "summary.md")];
  await Promise.all([writeFile(outputFile, ""), writeFile(summaryFile, "")]);
  const started = Date.now();
  const lines: string[] = [];
  const { exitCode } = await runProcess(process.execPath, [join(root, "actions", action, "dist/index.js")], {
    env: {
      ...options.env,
      ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
      RUNNER_TEMP: directory,
      GITHUB_WORKSPACE: workspace,
      GITHUB_OUTPUT: outputFile,
      GITHUB_STEP_SUMMARY: summaryFile,
      GITHUB_SERVER_URL: "https://github.com",
      GITHUB_REPOSITORY: "goldenpath-ci/goldenpath",
      GITHUB_SHA: commit,
      GITHUB_REF: "refs/heads/main",
      GITHUB_WORKFLOW_REF: "goldenpath-ci/goldenpath/.github/workflows/demo.yml@refs/heads/main",
      GITHUB_RUN_ID: String(started),
      GITHUB_RUN_ATTEMPT: "1",
    },
    cwd: workspace,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onLine: (line) => {
      lines.push(line);
      options.onLine?.(line);
    },
  });
  const log = `${lines.join("\n")}\n`;
  await writeFile(join(directory, "log.txt"), log);
  const outputs = parseOutputs(await readFile(outputFile, "utf8"));
  return {
    exitCode,
    outputs,
    summary: await readFile(summaryFile, "utf8"),
    log,
    seconds: (Date.now() - started) / 1000,
  };
}

/** The runner's output file: `name<<delimiter`, lines, `delimiter`. */
export function parseOutputs(text: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const heredoc = /^([^=<]+)<<(.+)$/.exec(lines[at] ?? "");
    const [name, delimiter] = [heredoc?.[1], heredoc?.[2]];
    if (name === undefined || delimiter === undefined) continue;
    const end = lines.indexOf(delimiter, at + 1);
    if (end === -1) throw new Error(`output ${name} has no end`);
    outputs[name] = lines.slice(at + 1, end).join("\n");
    at = end;
  }
  return outputs;
}
