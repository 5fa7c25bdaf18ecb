import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import type { MutationReport } from "./survivors.ts";

export interface Instrumented {
  /** By absolute path: the source with all of its mutants, each of which is switched on by its id. */
  sources: ReadonlyMap<string, string>;
  /** From the repository's root, in the order of the files and of what stands in them. */
  mutants: readonly { id: string; file: string; of: Mutated }[];
}
type Mutated = Omit<MutationReport["files"][string]["mutants"][number], "status">;

const silent = new Proxy({} as ConstructorParameters<typeof Instrumenter>[0], {
  get: (_, name) => (String(name).startsWith("is") ? () => false : () => undefined),
});

/** The same ids for the same files, in whichever process. */
export async function instrument(root: string, files: readonly string[]): Promise<Instrumented> {
  const read = files.map((name) => ({ name, mutate: true, content: readFileSync(join(root, name), "utf8") }));
  const options = { plugins: null, excludedMutations: [], ignorers: [] };
  const { files: written, mutants } = await new Instrumenter(silent).instrument(read, options);
  return {
    sources: new Map(written.map(({ name, content }) => [join(root, name), content])),
    mutants: mutants.map(({ id, fileName, mutatorName, replacement, location: { start, end } }) => ({
      id,
      file: fileName,
      // Lines and columns from 1, as reports have them.
      of: { mutatorName, replacement, location: { start: fromOne(start), end: fromOne(end) } },
    })),
  };
}

function fromOne({ line, column }: { line: number; column: number }): { line: number; column: number } {
  return { line: line + 1, column: column + 1 };
}
