import { type RunnerTask, type RunnerTestCase, type RunnerTestFile, type RunnerTestSuite, TestRunner } from "vitest";
import { mutantSwitch, trial } from "./trial.ts";

/** Runs of a file the tests that may tell, until one fails. */
// biome-ignore lint/style/noDefaultExport: Vitest takes a file's default export as its runner
export default class extends TestRunner {
  override async onBeforeRunSuite(suite: RunnerTestSuite): Promise<void> {
    if (!isWanted(suite)) suite.mode = "skip";
    await super.onBeforeRunSuite(suite);
  }

  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    if (!isWanted(test)) test.mode = "skip";
    await super.onBeforeRunTask(test);
    mutantSwitch.currentTestId = test.id;
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    super.onAfterRunTask(test);
    mutantSwitch.currentTestId = undefined;
    note(test);
  }

  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    await super.onAfterRunSuite(suite);
    note(suite);
  }

  override onAfterRunFiles(files: RunnerTestFile[]): void {
    super.onAfterRunFiles(files);
    for (const file of files) note(file);
  }
}

/** A suite's setting up takes time as well. */
function isWanted(task: RunnerTask): boolean {
  if (trial.failed !== undefined) return false;
  if (trial.wanted === undefined) return true;
  return task.type === "suite" ? task.tasks.some(isWanted) : trial.wanted.has(task.id);
}

/** A suite fails as well where it can't be loaded or set up, with no test that does. */
function note({ name, result }: RunnerTask): void {
  if (result?.state !== "fail") return;
  const isLate = (result.errors ?? []).some(({ message }) => message.includes("timed out in"));
  trial.failed ??= { test: name, isLate };
}
