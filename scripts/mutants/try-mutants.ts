import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instrument } from "./instrument.ts";
import type { MutationReport } from "./survivors.ts";
import { hung, readOutcomes, type Task } from "./trial.ts";

/**
 * Tries every mutant of some sources by the tests that reach it, in one process after another, as a mutant that never
 * comes to its end takes its process with it. Throws where a test fails without any mutant.
 */
export async function tryMutants(asked: Omit<Task, "outcomes">): Promise<MutationReport> {
  const { root, mutated } = asked;
  const folder = mkdtempSync(join(tmpdir(), "goldenpath-mutants-"));
  try {
    const task: Task = { ...asked, outcomes: join(folder, "outcomes") };
    writeFileSync(join(folder, "task"), JSON.stringify(task));
    writeFileSync(task.outcomes, "");
    for (let status: number | null = hung; status === hung; ) {
      const script = join(import.meta.dirname, "try-room.ts");
      const args = ["--conditions=goldenpath-source", script];
      const env = { ...process.env, GOLDENPATH_MUTANTS: join(folder, "task") };
      const ended = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit", env });
      if (ended.error !== undefined) throw ended.error;
      status = ended.status;
      if (status !== 0 && status !== hung) throw new Error(`the mutants' tests end with ${status ?? ended.signal}`);
    }
    const statuses = new Map(
      readOutcomes(task).flatMap((each) => ("mutant" in each ? [[each.mutant, each.status] as const] : [])),
    );
    const { mutants } = await instrument(root, mutated);
    const files = mutated.map((file) => [
      file,
      {
        source: readFileSync(join(root, file), "utf8"),
        mutants: mutants
          .filter((each) => each.file === file)
          .map(({ id, of }) => ({ ...of, status: statuses.get(id) ?? "Pending" })),
      },
    ]);
    return { files: Object.fromEntries(files) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
