// `npm run mutants`: Stryker's mutators change what decides, one thing at a time, and a unit test has to fail at each change.
// Whoever survives is listed with the reason in its room's file in mutants/, or the run fails.
import { base } from "./mutants/base.ts";
import { gate } from "./mutants/gate.ts";
import { origin } from "./mutants/origin.ts";
import { policy } from "./mutants/policy.ts";
import { signing } from "./mutants/signing.ts";
import { judgeSurvivors, listSurvivors, listUntried, type Room } from "./mutants/survivors.ts";
import { tryMutants } from "./mutants/try-mutants.ts";
import { root } from "./steps.ts";

const rooms: Readonly<Record<string, Room>> = { gate, signing, origin, policy, base };

/** In seconds of CPU: a file's tests take a few at most. */
const patience = 120;

const wanted = process.argv.slice(2);
const chosen = Object.entries(rooms)
  .map(([name, room]) => ({
    name,
    room,
    files: room.mutated.filter(
      (file) =>
        wanted.length === 0 ||
        wanted.some((part) => (Object.hasOwn(rooms, part) ? part === name : file.includes(part))),
    ),
  }))
  .filter(({ files }) => files.length > 0);
if (chosen.length === 0) throw new Error(`nothing of what is mutated is called ${wanted.join(" or ")}`);
for (const each of chosen) if ((await mutate(each)).length > 0) process.exitCode = 1;

/** Prints each problem, and how many there are. */
async function mutate({ name, room, files }: (typeof chosen)[number]): Promise<string[]> {
  const start = performance.now();
  const report = await tryMutants({ root, mutated: files, tests: room.tests, patience });
  const listed = room.accepted.filter(({ file }) => files.includes(file));
  const problems = [...listUntried(files, report), ...judgeSurvivors(listSurvivors(report), listed)];
  for (const problem of problems) console.log(problem);
  const all = Object.values(report.files).flatMap(({ mutants }) => mutants);
  const count = (wantedStatus: string): number => all.filter(({ status }) => status === wantedStatus).length;
  const counts = `${all.length} mutants in ${files.length} files, ${count("Killed")} at which a test fails`;
  const others = `${count("Timeout")} that never end, ${listed.length} listed as survivors, ${problems.length} problems`;
  console.log(`${name}: ${counts}, ${others}, in ${Math.round((performance.now() - start) / 1000)} s`);
  return problems;
}
