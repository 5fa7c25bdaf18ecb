import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const integration = "test/{integration,interop,faults,attacks}/**/*.test.ts";

/** By what a file says that it builds on this machine, or starts a Docker daemon. */
const signs = /\/verbs\/build"|\/build-run\.ts"|\bdetect-and-build\/src|support\/dockerd\.ts"|"\.\/dockerd\.ts"/;

/**
 * The files of real tools and servers, by what they can run beside. `builds` take turns: a build's path on this machine
 * goes by its repository's name, and a second one beside it has another path and another digest; daemons and builds are
 * also what fills both cores. All others have ports, folders and users of their own, and run beside those, one after
 * another.
 */
export function sortIntoLanes(): { builds: string[]; others: string[] } {
  const known = new Map<string, boolean>();
  const isBuild = (path: string): boolean => {
    const found = known.get(path);
    if (found !== undefined) return found;
    // A circle of imports says nothing new.
    known.set(path, false);
    const text = readFileSync(path, "utf8");
    const imported = [...text.matchAll(/from "(\.{1,2}\/[^"]+\.ts)"/g)].map(([, to = ""]) => join(dirname(path), to));
    const answer = signs.test(text) || imported.some((each) => existsSync(each) && isBuild(each));
    known.set(path, answer);
    return answer;
  };
  const files = globSync(integration, { cwd: root }).sort();
  const builds = files.filter((file) => isBuild(join(root, file)));
  return { builds, others: files.filter((file) => !builds.includes(file)) };
}
